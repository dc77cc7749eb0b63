//! Time as the elector knows it: integer milliseconds of a clock that never steps.

use std::ops::Add;

/// An instant, in milliseconds since an arbitrary start. The shell reads `CLOCK_BOOTTIME`, which
/// goes on while a machine is suspended; a simulated world invents it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(u64);

impl Mono {
    /// The start of the clock: earlier than or equal to every instant.
    pub const ZERO: Self = Self(0);

    /// The instant `ms` milliseconds after the start.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the start.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` to this instant; 0 if `earlier` is later.
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Mono {
    type Output = Self;

    /// The instant `ms` milliseconds later.
    fn add(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}
