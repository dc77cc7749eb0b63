//! dlmalloc, for a program in which few threads do nearly everything.
//!
//! - Pieces that are given back are kept by size and handed out again as they are, up to a bound:
//!   most of a review's are of the sizes of the last one's. Each thread keeps its own, if it asked
//!   to, so that it waits for nobody.
//! - Large ones, such as the body of a large review, are mappings of their own: what is given back
//!   is the kernel's again at once.
//! - What lies between, and what is not kept, is dlmalloc's, which wastes little. All threads share
//!   it, and its lock, which is one word.

use dlmalloc::Dlmalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::yield_now;

/// What dlmalloc aligns to, and the difference between two sizes of small pieces, bytes.
const STEP_BYTES: usize = 16;
/// Largest small piece, bytes.
const SMALL_BYTES_MAX: usize = 1_024;
const SMALL_SIZES: usize = SMALL_BYTES_MAX / STEP_BYTES;
/// Largest piece that is kept, bytes: what is read from the kernel at once, or the body of an
/// ordinary review. Beyond small ones each size is twice the one before.
const KEPT_BYTES_EACH_MAX: usize = 64 * 1_024;
const SIZES: usize = SMALL_SIZES + (KEPT_BYTES_EACH_MAX / SMALL_BYTES_MAX).ilog2() as usize;
/// Pieces that a thread keeps in all, bytes: those of some reviews at once.
const KEPT_BYTES_MAX: usize = 256 * 1_024;
/// Smallest piece that is a mapping of its own, bytes. A mapping costs some microseconds.
const LARGE_BYTES_MIN: usize = 512 * 1_024;
/// Alignment of mappings, bytes: the smallest that an architecture has.
const PAGE_BYTES: usize = 4_096;

/// The allocator of a program: `#[global_allocator]`.
pub struct Allocator;

static HEAP: Heap = Heap {
    is_taken: AtomicBool::new(false),
    dlmalloc: UnsafeCell::new(Dlmalloc::new()),
};

thread_local! {
    /// What this thread keeps. It is ready from the start and needs no end, so that it can be looked
    /// at whenever a thread allocates.
    static KEPT: Kept = const { Kept::new() };
}

/// What all threads share.
struct Heap {
    is_taken: AtomicBool,
    dlmalloc: UnsafeCell<Dlmalloc>,
}

/// Pieces that a thread keeps.
struct Kept {
    keeps: Cell<bool>,
    bytes: Cell<usize>,
    /// The first piece of each size.
    first: [Cell<*mut Piece>; SIZES],
}

/// A piece that is kept, from one to the next.
struct Piece {
    next: *mut Self,
}

/// Lets this thread keep pieces that it gives back. What it keeps is lost when it ends: this is
/// for threads that live as long as the program.
pub fn keep_in_this_thread() {
    KEPT.with(|kept| kept.keeps.set(true));
}

/// Who answers for a piece, by its size and alignment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of a size that is kept, by its number: see [`bytes_of`].
    Kept(usize),
    Middle,
    Large,
}

impl Kind {
    #[inline]
    fn of(layout: Layout) -> Self {
        let bytes = layout.size();
        if bytes >= LARGE_BYTES_MIN && layout.align() <= PAGE_BYTES {
            Self::Large
        } else if bytes > KEPT_BYTES_EACH_MAX || layout.align() > STEP_BYTES {
            Self::Middle
        } else if bytes <= SMALL_BYTES_MAX {
            Self::Kept(bytes.saturating_sub(1) / STEP_BYTES)
        } else {
            let doublings = ((bytes - 1) / SMALL_BYTES_MAX).ilog2() as usize;
            Self::Kept(SMALL_SIZES + doublings)
        }
    }
}

/// The bytes of a piece of this size, which has room for each layout of its [`Kind`].
#[inline]
fn bytes_of(size: usize) -> usize {
    match size.checked_sub(SMALL_SIZES) {
        None => (size + 1) * STEP_BYTES,
        Some(doublings) => SMALL_BYTES_MAX << (doublings + 1),
    }
}

// SAFETY: dlmalloc is only reached through `locked`, by one thread at a time.
unsafe impl Sync for Heap {}

impl Heap {
    #[inline]
    fn locked<T>(&self, work: impl FnOnce(&mut Dlmalloc) -> T) -> T {
        while self.is_taken.swap(true, Ordering::Acquire) {
            yield_now();
        }
        // SAFETY: whoever has set the flag is alone until it is cleared. Nothing in `work` panics,
        // and none of it allocates by way of this allocator.
        let done = work(unsafe { &mut *self.dlmalloc.get() });
        self.is_taken.store(false, Ordering::Release);
        done
    }

    fn get(&self, bytes: usize, align: usize) -> *mut u8 {
        // SAFETY: any size and alignment will do.
        self.locked(|dlmalloc| unsafe { dlmalloc.malloc(bytes, align) })
    }

    /// # Safety
    /// The piece is from [`Self::get`], of this size and alignment, and is not used again.
    unsafe fn put(&self, piece: *mut u8, bytes: usize, align: usize) {
        // SAFETY: the caller's promise is the same.
        self.locked(|dlmalloc| unsafe { dlmalloc.free(piece, bytes, align) });
    }
}

impl Kept {
    const fn new() -> Self {
        Self {
            keeps: Cell::new(false),
            bytes: Cell::new(0),
            first: [const { Cell::new(null_mut()) }; SIZES],
        }
    }

    /// A piece of this size.
    #[inline]
    fn get(&self, size: usize) -> *mut u8 {
        let (first, bytes) = (self.first[size].get(), bytes_of(size));
        if first.is_null() {
            return HEAP.get(bytes, STEP_BYTES);
        }
        // SAFETY: what is kept was written by `put`, and nobody else has it.
        self.first[size].set(unsafe { (*first).next });
        self.bytes.set(self.bytes.get() - bytes);
        first.cast()
    }

    /// # Safety
    /// The piece is from [`Self::get`] of this size, of any thread, and is not used again.
    #[inline]
    unsafe fn put(&self, piece: *mut u8, size: usize) {
        let bytes = bytes_of(size);
        let kept_bytes = self.bytes.get() + bytes;
        if !self.keeps.get() || kept_bytes > KEPT_BYTES_MAX {
            // SAFETY: it was dlmalloc's, of this size.
            unsafe { HEAP.put(piece, bytes, STEP_BYTES) };
            return;
        }
        let (first, next) = (piece.cast::<Piece>(), self.first[size].get());
        // SAFETY: the smallest piece has room for it, and dlmalloc aligns each.
        unsafe { first.write(Piece { next }) };
        self.first[size].set(first);
        self.bytes.set(kept_bytes);
    }
}

// SAFETY: a piece is of the size and alignment that were asked for, and is handed out to nobody else
// until it is given back, to the part of the heap that it is from: `Kind` follows from the layout.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Kind::of(layout) {
            Kind::Kept(size) => KEPT.with(|kept| kept.get(size)),
            Kind::Middle => HEAP.get(layout.size(), layout.align()),
            Kind::Large => map(layout.size()),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match Kind::of(layout) {
            // SAFETY: the caller promises that the piece is one of this layout, and is not used
            // again; so do those below.
            Kind::Kept(size) => KEPT.with(|kept| unsafe { kept.put(piece, size) }),
            // SAFETY: see above.
            Kind::Middle => unsafe { HEAP.put(piece, layout.size(), layout.align()) },
            // SAFETY: see above.
            Kind::Large => unsafe { unmap(piece, layout.size()) },
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
            (Kind::Kept(old), Kind::Kept(new)) if old == new => piece,
            (Kind::Middle, Kind::Middle) => {
                let (size, align) = (layout.size(), layout.align());
                // SAFETY: the caller promises that the piece is one of this layout.
                HEAP.locked(|dlmalloc| unsafe { dlmalloc.realloc(piece, size, align, bytes) })
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
