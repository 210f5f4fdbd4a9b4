//! The one configuration of Wasmtime that artefacts are compiled with and run with.
//!
//! Nothing interrupts the guest (the broker kills the process at the deadline) and nothing describes a trap beyond its
//! kind. Memories are filled by copying: a copy-on-write image would need a descriptor in the sandbox. All 4 GiB that a
//! guest can address are reserved, not used: without bounds checks a fifth of the text falls away, and text costs time
//! to read and to hash. Release build of the runtime alone, loopback guest (286 KB) on a busy machine: reading 0.10 ms,
//! fork 0.06, confinement 0.20, loading 0.24, instantiation 0.12, the first operation 0.7 to 1.0 ms after the fork.

#![allow(unsafe_code)] // Making the text of an artefact executable is a call of mprotect(2) on memory that we mapped.

use std::ptr::NonNull;
use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::{Config, CustomCodeMemory, Engine};

use crate::artefact::Artefact;

/// Artefacts are made for the baseline of the architecture, so that one that was compiled in a build farm runs on every
/// node, and loading it needs no look at the processor.
#[cfg(feature = "compiler")]
const TARGET: &str =
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };

/// All that a 32-bit guest can address: an access needs no check, the kernel makes it.
pub(crate) const RESERVATION: u64 = 4 << 30;
/// Catches an access with a large constant offset.
pub(crate) const GUARD: u64 = 32 << 20;

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        .consume_fuel(false)
        .epoch_interruption(false)
        .generate_address_map(false)
        .native_unwind_info(false)
        .signals_based_traps(true)
        .table_lazy_init(true)
        .memory_init_cow(false)
        .memory_may_move(true)
        .memory_reservation(RESERVATION)
        .memory_guard_size(GUARD)
        .debug_symbols(false)
        .memory_reservation_for_growth(0)
        .guard_before_linear_memory(false);
    config
}

/// Of the guest's calls: a part of the process's own stack.
const STACK: usize = 512 << 10;

/// The engine that runs artefacts.
pub(crate) fn runner() -> wasmtime::Result<Engine> {
    let mut config = config();
    config.max_wasm_stack(STACK);
    // Setting up Cranelift takes longer than all the rest; the CNI binary has none.
    #[cfg(feature = "compiler")]
    config.enable_compiler(false);
    config.with_custom_code_memory(Some(Arc::new(Publisher)));
    Engine::new(&config)
}

/// The engine that makes artefacts.
#[cfg(feature = "compiler")]
pub(crate) fn compiler() -> wasmtime::Result<Engine> {
    let mut config = config();
    config.target(TARGET)?.cranelift_nan_canonicalization(true);
    Engine::new(&config)
}

/// The component in an artefact. The memory is used as it is, without a copy.
pub(crate) fn load(engine: &Engine, artefact: &Artefact) -> wasmtime::Result<Component> {
    // SAFETY: the broker has compared the digest of exactly these bytes with that of what `compile` made, which makes
    // them trusted; nothing writes to them (see `artefact`), and a sandbox never unmaps them before it exits.
    unsafe { Component::deserialize_raw(engine, NonNull::from(artefact.bytes())) }
}

/// Makes the text of an artefact executable: Wasmtime leaves that to the owner of the memory.
struct Publisher;

impl Publisher {
    fn protect(start: *const u8, len: usize, protection: libc::c_int) -> wasmtime::Result<()> {
        // SAFETY: Wasmtime passes the text section, which lies page-aligned inside the artefact's mapping; the mapping
        // was readable before and stays so, and nobody holds a mutable reference into it.
        if unsafe { libc::mprotect(start.cast_mut().cast(), len, protection) } == 0 {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error().into())
        }
    }
}

impl CustomCodeMemory for Publisher {
    fn required_alignment(&self) -> usize {
        crate::artefact::page_size()
    }

    fn publish_executable(&self, start: *const u8, len: usize) -> wasmtime::Result<()> {
        Self::protect(start, len, libc::PROT_READ | libc::PROT_EXEC)
    }

    fn unpublish_executable(&self, start: *const u8, len: usize) -> wasmtime::Result<()> {
        Self::protect(start, len, libc::PROT_READ)
    }
}
