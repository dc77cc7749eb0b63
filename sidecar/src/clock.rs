//! The one place that reads clocks.
//!
//! All decisions use [`Clock::now`], which never steps. Wall time is only ever written.

use election::Mono;
use k8s_openapi::jiff::Timestamp;
use std::time::Duration;

/// Source of the time that all decisions use.
#[derive(Debug, Clone, Copy)]
pub struct Clock(fn() -> Mono);

impl Clock {
    /// `CLOCK_BOOTTIME`: goes on while the machine is suspended, so that a lease runs out then too.
    pub fn boottime() -> Self {
        Self(read_boottime)
    }

    /// The clock of the tokio runtime, which tests can pause and advance.
    #[cfg(test)]
    pub(crate) fn tokio() -> Self {
        use std::sync::LazyLock;
        static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
        Self(|| {
            let start = *START;
            let now = tokio::time::Instant::now().into_std();
            let elapsed = now.saturating_duration_since(start).as_millis();
            Mono::from_ms(u64::try_from(elapsed).unwrap_or(u64::MAX))
        })
    }

    /// The present instant.
    pub fn now(self) -> Mono {
        (self.0)()
    }

    /// How long it is until `instant`; zero if that is past.
    pub(crate) fn until(self, instant: Mono) -> Duration {
        Duration::from_millis(instant.ms_since(self.now()))
    }
}

fn read_boottime() -> Mono {
    Mono::from_ms(common::clock::boottime_ms())
}

/// Wall time, for people and for the fields of the Lease that clients of other kinds read.
pub(crate) fn wall_time() -> Timestamp {
    Timestamp::now()
}

/// RFC 3339 with six digits, the only form that the API server takes as a MicroTime.
pub(crate) fn micro_time(at: Timestamp) -> String {
    format!("{at:.6}")
}

/// The wall time that will be shown when the clock that decides has reached `instant`.
pub(crate) fn wall_time_at(clock: Clock, instant: Mono) -> Timestamp {
    let ahead = clock.until(instant);
    wall_time().checked_add(ahead).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boottime_is_a_clock() {
        let clock = Clock::boottime();
        let earlier = clock.now();
        assert!(earlier > Mono::ZERO);
        assert!(clock.now() >= earlier);
        assert_eq!(clock.until(earlier), Duration::ZERO);
    }
}
