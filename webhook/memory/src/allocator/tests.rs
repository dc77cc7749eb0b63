use super::*;

/// A simple sequence of numbers without pattern, the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % end
    }
}

/// A piece that somebody holds, filled with one byte.
struct Held {
    piece: *mut u8,
    layout: Layout,
    byte: u8,
}

impl Held {
    fn fill(&self) {
        // SAFETY: it is held.
        unsafe { self.piece.write_bytes(self.byte, self.layout.size()) };
    }

    fn check(&self, bytes: usize) {
        // SAFETY: it is held, and was filled.
        let found = unsafe { std::slice::from_raw_parts(self.piece, bytes) };
        assert!(
            found.iter().all(|byte| *byte == self.byte),
            "{:?}",
            self.layout
        );
    }
}

/// Sizes on both sides of each bound, and some between.
fn any_size(chance: &mut Chance) -> usize {
    let bounds = [
        1,
        STEP_BYTES,
        SMALL_BYTES_MAX,
        2 * SMALL_BYTES_MAX,
        PAGE_BYTES,
        KEPT_BYTES_EACH_MAX,
        LARGE_BYTES_MIN,
    ];
    let bound = bounds[chance.below(bounds.len())];
    (bound + chance.below(40)).saturating_sub(20).max(1)
}

fn play(seed: u64, steps: usize) {
    let allocator = Allocator;
    let (mut chance, mut held) = (Chance(seed), Vec::<Held>::new());
    for step in 0..steps {
        let what = chance.below(4);
        if what < 2 || held.is_empty() {
            let align = 1 << chance.below(8);
            let layout = Layout::from_size_align(any_size(&mut chance), align).unwrap();
            // SAFETY: no size is zero.
            let piece = unsafe {
                match what {
                    0 => allocator.alloc_zeroed(layout),
                    _ => allocator.alloc(layout),
                }
            };
            assert!(
                !piece.is_null() && piece.addr().is_multiple_of(align),
                "{layout:?}"
            );
            let byte = if what == 0 { 0 } else { step as u8 };
            let new = Held {
                piece,
                layout,
                byte,
            };
            if what != 0 {
                new.fill();
            }
            new.check(layout.size());
            held.push(new);
            continue;
        }
        let index = chance.below(held.len());
        let mut one = held.swap_remove(index);
        one.check(one.layout.size());
        if what == 2 {
            let size = any_size(&mut chance);
            // SAFETY: the piece is held, of this layout.
            one.piece = unsafe { allocator.realloc(one.piece, one.layout, size) };
            one.check(one.layout.size().min(size));
            one.layout = Layout::from_size_align(size, one.layout.align()).unwrap();
            assert!(one.piece.addr().is_multiple_of(one.layout.align()));
            one.fill();
            held.push(one);
        } else {
            // SAFETY: it is not used again.
            unsafe { allocator.dealloc(one.piece, one.layout) };
        }
    }
    for one in held {
        one.check(one.layout.size());
        // SAFETY: it is not used again.
        unsafe { allocator.dealloc(one.piece, one.layout) };
    }
}

#[test]
fn nobody_gets_what_another_holds() {
    for seed in 0..10 {
        play(seed, 1_000);
    }
    keep_in_this_thread();
    for seed in 10..20 {
        play(seed, 1_000);
    }
}

#[test]
fn a_size_has_room_for_all_that_is_of_it() {
    for bytes in 1..=KEPT_BYTES_EACH_MAX {
        let Kind::Kept(size) = Kind::of(Layout::from_size_align(bytes, STEP_BYTES).unwrap()) else {
            panic!("{bytes} bytes are not kept");
        };
        let room = bytes_of(size);
        assert!(
            (bytes..2 * bytes + STEP_BYTES).contains(&room),
            "{bytes}: {room}"
        );
    }
}

#[test]
fn threads_share_it() {
    std::thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || {
                if seed % 2 == 0 {
                    keep_in_this_thread();
                }
                play(seed, 500);
            });
        }
    });
}

/// What this thread keeps once it has given back twice as much as it may keep.
fn kept_bytes() -> usize {
    let layout = Layout::from_size_align(SMALL_BYTES_MAX, 1).unwrap();
    // SAFETY: the size is not zero.
    let pieces: Vec<_> = (0..2 * KEPT_BYTES_MAX / SMALL_BYTES_MAX)
        .map(|_| unsafe { Allocator.alloc(layout) })
        .collect();
    for piece in pieces {
        // SAFETY: it is not used again.
        unsafe { Allocator.dealloc(piece, layout) };
    }
    KEPT.with(|kept| kept.bytes.get())
}

#[test]
fn what_is_kept_is_bounded() {
    assert_eq!(kept_bytes(), 0, "a thread that did not ask keeps nothing");
    keep_in_this_thread();
    assert_eq!(kept_bytes(), KEPT_BYTES_MAX);
    assert_eq!(kept_bytes(), KEPT_BYTES_MAX, "it takes of that first");
}
