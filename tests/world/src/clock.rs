//! True time, and the clocks that electors read.
//!
//! True time is counted in microseconds and known to the world alone. Each pod reads a clock with
//! an offset and a rate of its own.

use election::Mono;

/// Microseconds in a millisecond.
pub const MS: u64 = 1_000;
/// Microseconds in a second.
pub const SECOND: u64 = 1_000_000;

/// The clock of one pod. A run lasts hours, and offsets are days: all fits 64 bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// What it showed at true time zero, microseconds.
    pub offset_us: u64,
    /// How much faster than true time it runs, parts in a million.
    pub drift_ppm: i64,
}

impl Clock {
    /// What it shows at a true time.
    pub(super) fn read(self, true_us: u64) -> Mono {
        let drift_us = true_us as i64 * self.drift_ppm / 1_000_000;
        let local_us = (self.offset_us + true_us).saturating_add_signed(drift_us);
        Mono::from_ms(local_us / 1_000)
    }

    /// The first true time, not before `now_us`, at which it shows `local` or later.
    pub(super) fn when(self, local: Mono, now_us: u64) -> u64 {
        let ahead_us = local.as_ms() as i64 * 1_000 - self.offset_us as i64;
        let guess_us = ahead_us * 1_000_000 / (1_000_000 + self.drift_ppm);
        let mut true_us = u64::try_from(guess_us).unwrap_or(0).max(now_us);
        // The divisions round down: a few microseconds are missing at most.
        while self.read(true_us) < local {
            true_us += 1;
        }
        true_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_instant_at_which_it_shows_a_time() {
        for drift_ppm in [-10_000, -1, 0, 3, 10_000] {
            let clock = Clock {
                offset_us: 12_345_678,
                drift_ppm,
            };
            for local_ms in [12_346, 20_001, 999_999] {
                let local = Mono::from_ms(local_ms);
                let true_us = clock.when(local, 0);
                assert!(clock.read(true_us) >= local, "{drift_ppm} {local_ms}");
                assert!(
                    true_us == 0 || clock.read(true_us - 1) < local,
                    "{drift_ppm} {local_ms}"
                );
            }
        }
    }
}
