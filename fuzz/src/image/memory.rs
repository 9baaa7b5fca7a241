//! What a reader holds at once is counted, and an end is put to it: a limit on the whole process would be far too wide.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The most that opening and reading an image may take, in bytes. What decoders written in C take is not in it.
const MOST: usize = 64 << 20;

static HELD: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

struct Counted;

#[global_allocator]
static ALLOCATOR: Counted = Counted;

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.realloc(place, layout, size) }
    }
}

fn count(size: usize) {
    let held = HELD.fetch_add(size, Relaxed).saturating_add(size);
    if held > LIMIT.load(Relaxed) {
        // The message of the panic must not end here again.
        LIMIT.store(usize::MAX, Relaxed);
        panic!("more memory than {MOST} bytes: {size} more");
    }
}

/// Runs what may not take more memory than the limit, on top of what is held before.
pub fn limited<T>(run: impl FnOnce() -> T) -> T {
    LIMIT.store(HELD.load(Relaxed).saturating_add(MOST), Relaxed);
    let result = run();
    LIMIT.store(usize::MAX, Relaxed);
    result
}
