//! `wharf:tc/shaping`: rate limits.

use serde::{Deserialize, Serialize};

use crate::Link;

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// At least 8.
    pub bits_per_second: u64,
    /// At least 8, below 2^35.
    pub burst_bits: u64,
    /// The longest that a packet may wait.
    pub latency_ms: u32,
}

/// What can be asked of traffic control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShapingOp {
    /// A tbf at the root → `Done`.
    SetEgress {
        /// Which link.
        on: Link,
        /// How fast.
        rate: Rate,
    },
    /// → `MaybeRate`.
    GetEgress {
        /// Which link.
        on: Link,
    },
    /// Everything that `on` receives is sent by `to` → `Done`.
    RedirectIngress {
        /// Which link.
        on: Link,
        /// An ifb.
        to: Link,
    },
    /// → `MaybeIndex`.
    GetRedirect {
        /// Which link.
        on: Link,
    },
    /// Removes both: the tbf at the root, and the ingress qdisc that redirects; absent is success → `Done`.
    Clear {
        /// Which link.
        on: Link,
    },
    /// Undoes [`Self::SetEgress`]: removes the tbf at the root; absent is success → `Done`. The broker's own: no guest can
    /// import it.
    ClearEgress {
        /// Which link.
        on: Link,
    },
    /// Undoes [`Self::RedirectIngress`], also one that was cut short: removes the ingress qdisc if it redirects or has no
    /// filter; absent is success → `Done`. The broker's own: no guest can import it.
    ClearIngress {
        /// Which link.
        on: Link,
    },
}
