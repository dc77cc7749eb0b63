//! dlmalloc, for a program in which one thread does nearly everything.
//!
//! - Small pieces that are given back are kept by size and handed out again as they are, up to a
//!   bound: most of a review's are of the sizes of the last one's.
//! - Large ones, such as the body of a large review, are mappings of their own: what is given back
//!   is the kernel's again at once.
//! - What lies between is dlmalloc's, which wastes little.
//!
//! The lock is one word: other threads, such as the one that asks for a host's address, allocate
//! so rarely that they never wait for each other.

use dlmalloc::Dlmalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::yield_now;

/// What dlmalloc aligns to, and the difference between two sizes of small pieces, bytes.
const STEP_BYTES: usize = 16;
/// Largest small piece, bytes.
const SMALL_BYTES_MAX: usize = 1_024;
const SIZES: usize = SMALL_BYTES_MAX / STEP_BYTES;
/// Small pieces that are kept in all, bytes: those of some reviews at once.
const KEPT_BYTES_MAX: usize = 256 * 1_024;
/// Smallest piece that is a mapping of its own, bytes. A mapping costs some microseconds.
const LARGE_BYTES_MIN: usize = 512 * 1_024;
/// Alignment of mappings, bytes: the smallest that an architecture has.
const PAGE_BYTES: usize = 4_096;

/// The allocator of a program: `#[global_allocator]`.
pub struct Allocator {
    is_taken: AtomicBool,
    heap: UnsafeCell<Heap>,
}

struct Heap {
    dlmalloc: Dlmalloc,
    /// The first of the pieces of each size that are kept.
    kept: [*mut Kept; SIZES],
    kept_bytes: usize,
}

/// A piece that is kept, from one to the next.
struct Kept {
    next: *mut Self,
}

/// Who answers for a piece, by its size and alignment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of so many steps, less one.
    Small(usize),
    Middle,
    Large,
}

impl Kind {
    #[inline]
    fn of(layout: Layout) -> Self {
        let bytes = layout.size();
        if bytes >= LARGE_BYTES_MIN && layout.align() <= PAGE_BYTES {
            Self::Large
        } else if bytes <= SMALL_BYTES_MAX && layout.align() <= STEP_BYTES {
            Self::Small(bytes.saturating_sub(1) / STEP_BYTES)
        } else {
            Self::Middle
        }
    }
}

// SAFETY: the heap is only reached through `locked`, by one thread at a time.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// An allocator that has no memory yet.
    #[expect(clippy::new_without_default, reason = "a default cannot be a static")]
    pub const fn new() -> Self {
        Self {
            is_taken: AtomicBool::new(false),
            heap: UnsafeCell::new(Heap {
                dlmalloc: Dlmalloc::new(),
                kept: [null_mut(); SIZES],
                kept_bytes: 0,
            }),
        }
    }

    #[inline]
    fn locked<T>(&self, work: impl FnOnce(&mut Heap) -> T) -> T {
        while self.is_taken.swap(true, Ordering::Acquire) {
            yield_now();
        }
        // SAFETY: whoever has set the flag is alone until it is cleared. Nothing in `work` panics,
        // and none of it allocates by way of this allocator.
        let done = work(unsafe { &mut *self.heap.get() });
        self.is_taken.store(false, Ordering::Release);
        done
    }
}

// SAFETY: a piece is of the size and alignment that were asked for, and is handed out to nobody else
// until it is given back, to the part of the heap that it is from: `Kind` follows from the layout.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Kind::of(layout) {
            Kind::Small(size) => self.locked(|heap| heap.small(size)),
            Kind::Middle => {
                // SAFETY: any size and alignment will do.
                self.locked(|heap| unsafe { heap.dlmalloc.malloc(layout.size(), layout.align()) })
            }
            Kind::Large => map(layout.size()),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let (bytes, align) = (layout.size(), layout.align());
        match Kind::of(layout) {
            // SAFETY: the caller promises that the piece is one of this layout, and is not used
            // again; so do those below.
            Kind::Small(size) => self.locked(|heap| unsafe { heap.keep(piece, size) }),
            Kind::Middle => {
                // SAFETY: see above.
                self.locked(|heap| unsafe { heap.dlmalloc.free(piece, bytes, align) });
            }
            // SAFETY: see above.
            Kind::Large => unsafe { unmap(piece, bytes) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises what `alloc` wants.
        let piece = unsafe { self.alloc(layout) };
        // A new mapping is zero.
        if !piece.is_null() && Kind::of(layout) != Kind::Large {
            // SAFETY: it is of this size.
            unsafe { piece.write_bytes(0, layout.size()) };
        }
        piece
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size, rounded up to the alignment, is one.
        let wanted = unsafe { Layout::from_size_align_unchecked(bytes, layout.align()) };
        match (Kind::of(layout), Kind::of(wanted)) {
            (Kind::Small(old), Kind::Small(new)) if old == new => piece,
            (Kind::Middle, Kind::Middle) => {
                let (size, align) = (layout.size(), layout.align());
                // SAFETY: the caller promises that the piece is one of this layout.
                self.locked(|heap| unsafe { heap.dlmalloc.realloc(piece, size, align, bytes) })
            }
            // SAFETY: as above; what both pieces hold is copied.
            _ => unsafe {
                let new = self.alloc(wanted);
                if !new.is_null() {
                    new.copy_from_nonoverlapping(piece, layout.size().min(bytes));
                    self.dealloc(piece, layout);
                }
                new
            },
        }
    }
}

impl Heap {
    #[inline]
    fn small(&mut self, size: usize) -> *mut u8 {
        let (first, bytes) = (self.kept[size], (size + 1) * STEP_BYTES);
        if first.is_null() {
            // SAFETY: any size and alignment will do.
            return unsafe { self.dlmalloc.malloc(bytes, STEP_BYTES) };
        }
        // SAFETY: what is kept was written by `keep`, and nobody else has it.
        self.kept[size] = unsafe { (*first).next };
        self.kept_bytes -= bytes;
        first.cast()
    }

    /// # Safety
    /// The piece is from `small` of this size, and is not used again.
    #[inline]
    unsafe fn keep(&mut self, piece: *mut u8, size: usize) {
        let bytes = (size + 1) * STEP_BYTES;
        if self.kept_bytes + bytes > KEPT_BYTES_MAX {
            // SAFETY: it was dlmalloc's, of this size.
            unsafe { self.dlmalloc.free(piece, bytes, STEP_BYTES) };
            return;
        }
        let (first, next) = (piece.cast::<Kept>(), self.kept[size]);
        // SAFETY: the smallest piece has room for it, and dlmalloc aligns each.
        unsafe { first.write(Kept { next }) };
        self.kept[size] = first;
        self.kept_bytes += bytes;
    }
}

fn map(bytes: usize) -> *mut u8 {
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: a new mapping touches nothing that exists.
    let piece = unsafe { libc::mmap(null_mut(), bytes, protection, flags, -1, 0) };
    if piece == libc::MAP_FAILED {
        return null_mut();
    }
    piece.cast()
}

/// # Safety
/// The piece is from [`map`], of this size, and is not used again.
unsafe fn unmap(piece: *mut u8, bytes: usize) {
    // SAFETY: the caller promises it. The kernel refuses no mapping of ours; if it did, it would
    // stay, and nothing else.
    unsafe { libc::munmap(piece.cast(), bytes) };
}

#[cfg(test)]
mod tests;
