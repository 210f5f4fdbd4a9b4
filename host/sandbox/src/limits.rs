//! How much a guest may use, and the limiter that ends it with words instead of a crash.

use serde::{Deserialize, Serialize};
use wasmtime::{ResourceLimiter, Result};

const MIB: usize = 1024 * 1024;
/// A guest has one; one that was composed of several components has one for each.
pub(crate) const MAX_MEMORIES: usize = 8;

/// How much a guest may use. The time is the broker's to watch: it kills the sandbox at the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Of all linear memories together.
    pub memory_bytes: usize,
    /// Of all tables together.
    pub table_elements: usize,
    /// Core instances; a component has one for each module in it.
    pub instances: usize,
    /// Of all log lines together, standard output and error included.
    pub log_bytes: usize,
    /// RLIMIT_CPU: what ends a sandbox whose broker was stopped.
    pub cpu_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 * MIB,
            table_elements: 65_536,
            instances: 64,
            log_bytes: 64 * 1024,
            cpu_seconds: 60,
        }
    }
}

/// A limit that was reached, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LimitReached(pub(crate) String);

/// Counts what a guest has.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: Limits,
    memory: usize,
    table: usize,
}

impl Limiter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, memory: 0, table: 0 }
    }

    /// The bytes of all memories together.
    pub(crate) fn memory(&self) -> u64 {
        self.memory as u64
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        let limit = self.limits.memory_bytes;
        if total > limit {
            let message = format!("the guest asked for {total} bytes of memory, its limit is {limit}");
            return Err(LimitReached(message).into());
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = self.table.saturating_add(desired.saturating_sub(current));
        let limit = self.limits.table_elements;
        if total > limit {
            let message = format!("the guest asked for {total} table elements, its limit is {limit}");
            return Err(LimitReached(message).into());
        }
        self.table = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.instances
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_and_tables_are_counted_together() {
        let limits = Limits { memory_bytes: 100, table_elements: 10, ..Limits::default() };
        let mut limiter = Limiter::new(limits);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        let error = limiter.memory_growing(40, 41, None).unwrap_err();
        assert_eq!(error.to_string(), "the guest asked for 101 bytes of memory, its limit is 100");
        assert!(limiter.table_growing(0, 10, None).unwrap());
        let error = limiter.table_growing(0, 1, None).unwrap_err();
        assert_eq!(error.to_string(), "the guest asked for 11 table elements, its limit is 10");
    }

    #[test]
    fn a_growth_over_the_guests_own_maximum_is_not_our_limit() {
        let mut limiter = Limiter::new(Limits { memory_bytes: 100, ..Limits::default() });
        assert!(!limiter.memory_growing(0, 300, Some(200)).unwrap());
    }
}
