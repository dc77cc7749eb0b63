//! `memcpy` and `memmove` for x86_64, in place of musl's.
//!
//! musl's are the shortest ones to write, an aligning loop over bytes and `rep movsq`. These do a
//! short copy in two to eight loads and as many stores, without a loop. On other architectures, and
//! in other C libraries, such functions exist.

use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128};
use std::sync::atomic::{Ordering, compiler_fence};

/// Bytes of one register.
const WORD: usize = size_of::<__m128i>();
/// Bytes of one round of the loops.
const ROUND: usize = 4 * WORD;
/// Copies up to this many bytes need no loop.
const SHORT: usize = 2 * ROUND;

/// Copies `len` bytes that do not overlap; C's function.
///
/// # Safety
/// `from` can be read and `to` be written for `len` bytes.
#[cfg(target_env = "musl")]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller's promise is the same.
    unsafe { copy(to, from, len) };
    to
}

/// Copies `len` bytes that may overlap; C's function.
///
/// # Safety
/// `from` can be read and `to` be written for `len` bytes.
#[cfg(target_env = "musl")]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller's promise is the same.
    unsafe { copy(to, from, len) };
    to
}

/// Copies bytes that may overlap. Up to [`SHORT`] of them are all read before one is written.
///
/// # Safety
/// `from` can be read and `to` be written for `len` bytes.
#[inline(always)]
unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: each branch reads and writes within `len` bytes: from both ends, as wide as half of
    // the bytes or more, and so the two halves meet or overlap.
    unsafe {
        if len <= WORD {
            if len >= 8 {
                ends::<u64>(to, from, len);
            } else if len >= 4 {
                ends::<u32>(to, from, len);
            } else if len >= 2 {
                ends::<u16>(to, from, len);
            } else if len == 1 {
                *to = *from;
            }
        } else if len <= 2 * WORD {
            ends::<[Word; 1]>(to, from, len);
        } else if len <= ROUND {
            ends::<[Word; 2]>(to, from, len);
        } else if len <= SHORT {
            ends::<[Word; 4]>(to, from, len);
        } else if (to as usize).wrapping_sub(from as usize) >= len {
            forwards(to, from, len);
        } else {
            backwards(to, from, len);
        }
    }
}

/// What is loaded and stored at once, at any address.
trait Piece: Copy {
    /// # Safety
    /// `from` can be read for the size of this type.
    unsafe fn load(from: *const u8) -> Self;
    /// # Safety
    /// `to` can be written for the size of this type.
    unsafe fn store(self, to: *mut u8);
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Piece for $integer {
            #[inline(always)]
            unsafe fn load(from: *const u8) -> Self {
                // SAFETY: the caller's promise is the same.
                unsafe { from.cast::<Self>().read_unaligned() }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut u8) {
                // SAFETY: the caller's promise is the same.
                unsafe { to.cast::<Self>().write_unaligned(self) }
            }
        }
    )*};
}

integers!(u16 u32 u64);

/// One register.
#[derive(Clone, Copy)]
struct Word(__m128i);

impl<const N: usize> Piece for [Word; N] {
    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: word `index` lies within the N words that can be read.
        std::array::from_fn(|index| unsafe { Word(_mm_loadu_si128(from.add(index * WORD).cast())) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut u8) {
        for (index, word) in self.into_iter().enumerate() {
            // SAFETY: word `index` lies within the N words that can be written.
            unsafe { _mm_storeu_si128(to.add(index * WORD).cast(), word.0) };
        }
    }
}

/// Copies the first and the last piece.
///
/// # Safety
/// As [`copy`], and `len` is at least the size of a piece.
#[inline(always)]
unsafe fn ends<P: Piece>(to: *mut u8, from: *const u8, len: usize) {
    let last = len - size_of::<P>();
    // SAFETY: both pieces lie within `len` bytes.
    unsafe {
        let (first, end) = (P::load(from), P::load(from.add(last)));
        first.store(to);
        end.store(to.add(last));
    }
}

/// # Safety
/// As [`copy`]; `to` does not lie within the bytes, and they are more than a round.
unsafe fn forwards(to: *mut u8, from: *const u8, len: usize) {
    type Round = [Word; 4];
    let last = len - ROUND;
    // SAFETY: `done + ROUND` is less than `len` in the loop. What it writes it has read, and what
    // lies before; the end is read before any of it is written.
    unsafe {
        let end = Round::load(from.add(last));
        let mut done = 0;
        while done < last {
            Round::load(from.add(done)).store(to.add(done));
            done += ROUND;
            // Or else the compiler might see that this is a memcpy, and call it.
            compiler_fence(Ordering::SeqCst);
        }
        end.store(to.add(last));
    }
}

/// # Safety
/// As [`copy`]; `from` lies before `to`, and the bytes are more than a round.
unsafe fn backwards(to: *mut u8, from: *const u8, len: usize) {
    type Round = [Word; 4];
    // SAFETY: `left` is more than a round in the loop. What it writes it has read, and what lies
    // behind; the beginning is read before any of it is written.
    unsafe {
        let beginning = Round::load(from);
        let mut left = len;
        while left > ROUND {
            left -= ROUND;
            Round::load(from.add(left)).store(to.add(left));
            // As above.
            compiler_fence(Ordering::SeqCst);
        }
        beginning.store(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Well beyond two rounds, and beyond any size that is treated apart.
    const LEN_MAX: usize = SHORT + 2 * ROUND + 3;
    /// Beside what is copied on either side, so that a byte too many shows.
    const MARGIN: usize = 8;

    /// Copies within one buffer and compares with how a copy is defined.
    fn check(from: usize, to: usize, len: usize) {
        let before: Vec<u8> = (0..from.max(to) + len + MARGIN)
            .map(|i| i as u8 ^ 0x5a)
            .collect();
        let mut wanted = before.clone();
        wanted[to..to + len].copy_from_slice(&before[from..from + len]);
        let mut found = before;
        let start = found.as_mut_ptr();
        // SAFETY: both ranges end MARGIN bytes before the buffer does.
        unsafe { copy(start.add(to), start.add(from), len) };
        assert!(found == wanted, "{len} bytes from {from} to {to}");
    }

    #[test]
    fn every_length_at_every_distance() {
        for len in 0..=LEN_MAX {
            for distance in [0, 1, 2, 7, 8, 15, 16, 17, 31, 63, 64, 65, 127, len, len + 1] {
                for start in [MARGIN, MARGIN + 1, MARGIN + 13] {
                    check(start + distance, start, len);
                    check(start, start + distance, len);
                }
            }
        }
    }

    #[test]
    fn long_ones() {
        for len in [4_096, 100_000, 1 << 20] {
            check(MARGIN, MARGIN + 5, len);
            check(MARGIN + 5, MARGIN, len);
            check(MARGIN, MARGIN + len, len);
        }
    }
}
