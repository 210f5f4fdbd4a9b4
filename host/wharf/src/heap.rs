//! The heap: dlmalloc behind a lock of the standard library, which is two instructions where nobody else wants it. That of
//! the crate itself is pthread's, whose two calls are a part of what each allocation costs.
//!
//! musl's own allocator gives each small piece to the kernel again: half a millisecond of every ADD. glibc's would do, but
//! then what is tested with one would be used with the other.

#![allow(unsafe_code)] // An allocator hands out memory by address; see each block.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::{Mutex, PoisonError};

use dlmalloc::Dlmalloc;

/// On Linux a `Mutex` is a futex, and allocates nothing. A process is forked while it has one thread (see
/// `wharf_sandbox::spawn`), so no copy of the lock is held in it.
pub(crate) struct Heap(Mutex<Dlmalloc>);

impl Heap {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Dlmalloc::new()))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Dlmalloc) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// Nothing is inlined: the allocator at each of its thousands of callers would be 300 kB more.
//
// SAFETY: dlmalloc hands out blocks of the size and alignment that were asked for, which belong to the caller until they
// come back, and null when there are none; the lock keeps two threads from it. It panics only over a block that is not
// its own.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills, grows, reads and gives back blocks of one alignment.
    fn churn(heap: &Heap, seed: u8, align: usize) {
        for round in 1..200_usize {
            let layout = Layout::from_size_align(round * 7, align).unwrap();
            let grown = Layout::from_size_align(round * 13, align).unwrap();
            // SAFETY: each block comes from this heap, is used within its size, and is given back once by its layout.
            unsafe {
                let block = heap.alloc(layout);
                assert!(!block.is_null() && block.addr().is_multiple_of(align));
                block.write_bytes(seed, layout.size());
                let block = heap.realloc(block, layout, grown.size());
                assert!(!block.is_null() && block.addr().is_multiple_of(align));
                let bytes = std::slice::from_raw_parts(block, layout.size());
                assert!(bytes.iter().all(|byte| *byte == seed), "another thread wrote into the block");
                let zeroed = heap.alloc_zeroed(layout);
                assert!(std::slice::from_raw_parts(zeroed, layout.size()).iter().all(|byte| *byte == 0));
                heap.dealloc(zeroed, layout);
                heap.dealloc(block, grown);
            }
        }
    }

    #[test]
    fn threads_get_blocks_of_their_own() {
        let heap = Heap::new();
        std::thread::scope(|scope| {
            for (seed, align) in [(1, 1), (2, 16), (3, 64), (4, 4096)] {
                let heap = &heap;
                scope.spawn(move || churn(heap, seed, align));
            }
        });
    }
}
