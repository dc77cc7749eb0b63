//! The clock by which the programs decide.

use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// `CLOCK_BOOTTIME` in milliseconds. It never steps, and goes on while the machine is suspended, so
/// that a lease runs out then too.
pub fn boottime_ms() -> u64 {
    // Linux has had this clock since 2.6.39; clock_gettime fails on unknown clocks only.
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("CLOCK_BOOTTIME can be read");
    u64::try_from(Duration::from(time).as_millis()).unwrap_or(u64::MAX)
}
