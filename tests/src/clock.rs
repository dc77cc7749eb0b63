//! The one clock of harness and load client. They are processes of one machine, so times compare.

use nix::time::{ClockId, clock_gettime};

/// Milliseconds since the machine started, time asleep included.
#[must_use]
pub fn now_ms() -> u64 {
    // The kernel has had this clock since 2.6.39, and it does not go below zero.
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME);
    now.map_or(0, |now| {
        let (seconds, nanoseconds) = (now.tv_sec().unsigned_abs(), now.tv_nsec().unsigned_abs());
        seconds * 1_000 + nanoseconds / 1_000_000
    })
}
