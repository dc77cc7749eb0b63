//! How long a drain may take, and what grace period that needs.

use crate::options::{Handover, Options};
use crate::pod::Pod;
use common::contract::{self, default};
use common::duration::format_ms;
use serde_json::Value;

/// A grace period up to this many seconds says "stop at once": it is kept as it is.
const AT_ONCE_S: i64 = 1;
/// What app and sidecar have to end in, at least, milliseconds.
const ENDING_MS: u64 = 1_000;
/// Shortest token life that the kubelet asks for by itself, seconds.
const TOKEN_S_MIN: i64 = 3_607;
/// Longest token life that the API server takes, seconds.
const TOKEN_S_MAX: i64 = 1 << 32;

/// The times of a drain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drain {
    /// How long a draining leader waits for a successor, milliseconds.
    pub(crate) timeout_ms: u64,
    /// The grace period as it shall be, seconds.
    pub(crate) grace_s: i64,
    /// Whether that is more than the pod has.
    pub(crate) raised: bool,
    /// What the user should know.
    pub(crate) warning: Option<String>,
}

impl Drain {
    /// Fits the wanted timeout and the pod's grace period to each other.
    pub(crate) fn of(pod: &Pod<'_>, options: &Options) -> Self {
        let grace = pod
            .spec
            .get("terminationGracePeriodSeconds")
            .and_then(Value::as_i64);
        let grace_s = grace.unwrap_or(default::GRACE_PERIOD_S as i64);
        // After the drain, the hook holds on for `settle`; then the app and the sidecar end.
        let reserve_ms = match options.handover {
            Handover::Seamless => options.settle_ms.saturating_add(ENDING_MS),
            Handover::Exclusive => 0,
        };
        let reserve_ms = reserve_ms.max(default::DRAIN_RESERVE_MS);
        Self::fit(grace_s, options.drain_timeout_ms, reserve_ms)
    }

    fn fit(grace_s: i64, wanted_ms: Option<u64>, reserve_ms: u64) -> Self {
        let grace_ms = u64::try_from(grace_s).unwrap_or(0).saturating_mul(1000);
        let left_ms = grace_ms.saturating_sub(reserve_ms);
        let keep = |timeout_ms, warning| Self {
            timeout_ms,
            grace_s,
            raised: false,
            warning,
        };
        let no_time = || {
            Some(format!(
                "terminationGracePeriodSeconds is {grace_s}: it stays, and leaves no time to \
                 drain; a planned move of the role may lose requests"
            ))
        };
        match wanted_ms {
            _ if grace_s <= AT_ONCE_S => keep(0, no_time()),
            None if left_ms == 0 => keep(0, no_time()),
            None => keep(left_ms.min(default::DRAIN_TIMEOUT_MS_MAX), None),
            Some(wanted_ms) if wanted_ms <= left_ms => keep(wanted_ms, None),
            Some(wanted_ms) => {
                let needed_ms = wanted_ms.saturating_add(reserve_ms);
                let needed_s = i64::try_from(needed_ms.div_ceil(1000)).unwrap_or(i64::MAX);
                let warning = format!(
                    "terminationGracePeriodSeconds is raised from {grace_s} to {needed_s}, for \
                     {} {}",
                    contract::DRAIN_TIMEOUT,
                    format_ms(wanted_ms)
                );
                // A timeout of 0 with little grace: nothing to wait for, nothing to raise.
                if wanted_ms == 0 {
                    return keep(0, None);
                }
                Self {
                    timeout_ms: wanted_ms,
                    grace_s: needed_s,
                    raised: true,
                    warning: Some(warning),
                }
            }
        }
    }

    /// Life of the sidecar's token, seconds: the kubelet stops renewing it once the pod terminates.
    pub(crate) fn token_s(&self) -> i64 {
        let through_the_end_s = self.grace_s.max(0).saturating_mul(5) / 4 + 600;
        through_the_end_s.clamp(TOKEN_S_MIN, TOKEN_S_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drain_fits_the_grace_period() {
        // grace, wanted; timeout, grace afterwards
        for (grace_s, wanted_ms, timeout_ms, after_s) in [
            (30, None, 27_000, 30),
            (60, None, 57_000, 60),
            (7_200, None, 3_600_000, 7_200),
            (30, Some(10_000), 10_000, 30),
            (30, Some(27_000), 27_000, 30),
            (30, Some(27_001), 27_001, 31),
            (30, Some(60_000), 60_000, 63),
            (2, Some(0), 0, 2),
            (2, Some(10_000), 10_000, 13),
            (3, None, 0, 3),
            (1, Some(10_000), 0, 1),
            (0, None, 0, 0),
            (-5, None, 0, -5),
            (i64::MAX, None, 3_600_000, i64::MAX),
        ] {
            let drain = Drain::fit(grace_s, wanted_ms, 3_000);
            let case = format!("{grace_s} s, {wanted_ms:?} ms: {drain:?}");
            assert_eq!(
                (drain.timeout_ms, drain.grace_s),
                (timeout_ms, after_s),
                "{case}"
            );
            assert_eq!(drain.raised, after_s > grace_s, "{case}");
            assert!(
                (TOKEN_S_MIN..=TOKEN_S_MAX).contains(&drain.token_s()),
                "{case}"
            );
            let again = Drain::fit(drain.grace_s, wanted_ms, 3_000);
            assert_eq!(
                (again.timeout_ms, again.raised),
                (timeout_ms, false),
                "{case}"
            );
        }
    }

    #[test]
    fn a_token_outlives_a_long_grace_period() {
        assert_eq!(Drain::fit(30, None, 3_000).token_s(), 3_607);
        assert_eq!(Drain::fit(3_600, None, 3_000).token_s(), 5_100);
    }
}
