//! When to try again: a growing wait with jitter, from a seed.

use crate::time::Mono;

/// Waits grow up to the first wait times this.
const GROWTH_MAX: u64 = 8;

/// Deterministic jitter (splitmix64): the seed is an argument, so that a simulated world repeats.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// `ms` give or take a tenth.
    fn spread(&mut self, ms: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let width_ms = ms / 5 + 1;
        ms - ms / 10 + z % width_ms
    }
}

/// The state of one retried thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Backoff {
    failures: u32,
    not_before: Mono,
}

impl Backoff {
    /// When the next attempt may be made.
    pub(crate) fn not_before(self) -> Mono {
        self.not_before
    }

    /// Failures in a row.
    pub(crate) fn failures(self) -> u32 {
        self.failures
    }

    /// Counts a failure at `now`: the next attempt waits `first_ms`, doubling up to `max_ms`.
    pub(crate) fn failed(&mut self, now: Mono, first_ms: u64, max_ms: u64, jitter: &mut Jitter) {
        let growth = (1_u64 << self.failures.min(16)).min(GROWTH_MAX);
        let wait_ms = first_ms.saturating_mul(growth).min(max_ms.max(first_ms));
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + jitter.spread(wait_ms);
    }

    /// Counts a failure that may be tried again at once.
    pub(crate) fn failed_at_once(&mut self, now: Mono) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_with_a_tenth_of_jitter() {
        let mut jitter = Jitter::new(7);
        let mut backoff = Backoff::default();
        for expected_ms in [100, 200, 400, 500, 500] {
            backoff.failed(Mono::ZERO, 100, 500, &mut jitter);
            let wait_ms = backoff.not_before().as_ms();
            assert!(
                wait_ms.abs_diff(expected_ms) <= expected_ms / 10 + 1,
                "{wait_ms}"
            );
        }
        assert_eq!(backoff.failures(), 5);
    }
}
