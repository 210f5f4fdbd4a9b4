//! The heap: dlmalloc behind a lock of the standard library, which costs an instruction where nobody else wants it. That
//! of the crate itself is pthread's, called twice for each of the ten thousand pieces of an ADD.
//!
//! musl's own allocator gives each small piece to the kernel again: half a millisecond of every ADD.

#![allow(unsafe_code)] // An allocator hands out memory by address; see each block.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::{Mutex, PoisonError};

use dlmalloc::Dlmalloc;

/// A process is forked while it has one thread (see `wharf_sandbox::spawn`), so no copy of the lock is held in it.
pub(crate) struct Heap(Mutex<Dlmalloc>);

impl Heap {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Dlmalloc::new()))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Dlmalloc) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// SAFETY: dlmalloc hands out blocks of the size and alignment that were asked for, which belong to the caller until they
// come back, null when there are none, and does not unwind; the lock keeps two threads from it. Nothing is inlined: the
// allocator at each of its thousands of callers would be 300 kB more.
unsafe impl GlobalAlloc for Heap {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: any size and any power of two are good.
        self.with(|heap| unsafe { heap.malloc(layout.size(), layout.align()) })
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        self.with(|heap| unsafe { heap.calloc(layout.size(), layout.align()) })
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller has it from this heap, by that layout.
        self.with(|heap| unsafe { heap.free(block, layout.size(), layout.align()) });
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        self.with(|heap| unsafe { heap.realloc(block, layout.size(), layout.align(), size) })
    }
}
