//! Spans of time as kubectl shows them.

use k8s_openapi::jiff::Timestamp;

/// Seconds from `earlier` to `now`; `None` if `earlier` is not known. Clocks differ: what seems to
/// be in the future has just happened.
pub(crate) fn since_s(now: Timestamp, earlier: Option<Timestamp>) -> Option<u64> {
    let seconds = now.as_second() - earlier?.as_second();
    Some(u64::try_from(seconds).unwrap_or(0))
}

/// `95s`, `3m20s`, `45m`, `5h10m`, `30h`, `3d4h`, `21d`.
pub(crate) fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |big: u64, unit: char, small: u64, small_unit: char| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{small_unit}"),
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        _ => format!("{days}d"),
    }
}

/// `68ms`, `2.4s`, `15s`.
pub(crate) fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..10_000 => format!("{}.{}s", ms / 1_000, ms % 1_000 / 100),
        _ => span(ms / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_those_of_kubectl() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (600, "10m"),
            (10_799, "179m"),
            (18_600, "5h10m"),
            (100_000, "27h"),
            (172_800, "2d"),
            (300_000, "3d11h"),
            (2_000_000, "23d"),
        ] {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(
            [took(68), took(2_450), took(15_900)],
            ["68ms", "2.4s", "15s"]
        );
    }

    #[test]
    fn what_seems_to_come_has_just_been() {
        let now = Timestamp::from_second(100).unwrap();
        assert_eq!(since_s(now, Timestamp::from_second(107).ok()), Some(0));
        assert_eq!(since_s(now, Timestamp::from_second(40).ok()), Some(60));
        assert_eq!(since_s(now, None), None);
    }
}
