//! From times to places.

use k8s_openapi::jiff::Timestamp;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Between two ticks, shortest first: what people count in.
const STEPS_MS: [i64; 20] = [
    SECOND_MS,
    2 * SECOND_MS,
    5 * SECOND_MS,
    10 * SECOND_MS,
    30 * SECOND_MS,
    MINUTE_MS,
    2 * MINUTE_MS,
    5 * MINUTE_MS,
    10 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    2 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    DAY_MS,
    2 * DAY_MS,
    7 * DAY_MS,
    30 * DAY_MS,
    90 * DAY_MS,
    365 * DAY_MS,
];
const TICKS_MAX: i64 = 8;

/// A piece of time, laid out between two places.
#[derive(Debug)]
pub(super) struct Scale {
    from_ms: i64,
    to_ms: i64,
    left: f64,
    right: f64,
}

impl Scale {
    pub(super) fn new((from_ms, to_ms): (i64, i64), (left, right): (f64, f64)) -> Self {
        Self {
            from_ms,
            // Nothing can be laid out on no time at all.
            to_ms: to_ms.max(from_ms + SECOND_MS),
            left,
            right,
        }
    }

    /// Where a time is.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of centuries fit")]
    pub(super) fn x(&self, at_ms: i64) -> f64 {
        let at_ms = at_ms.clamp(self.from_ms, self.to_ms);
        let part = (at_ms - self.from_ms) as f64 / (self.to_ms - self.from_ms) as f64;
        self.left + part * (self.right - self.left)
    }

    /// Places and labels of round times.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let length_ms = self.to_ms - self.from_ms;
        let fits = |step_ms: &&i64| length_ms / **step_ms < TICKS_MAX;
        let longest_ms = length_ms / TICKS_MAX + 1;
        let step_ms = STEPS_MS.iter().find(fits).copied().unwrap_or(longest_ms);
        let form = match step_ms {
            0..MINUTE_MS => "%H:%M:%S",
            MINUTE_MS..DAY_MS if length_ms < DAY_MS => "%H:%M",
            MINUTE_MS..DAY_MS => "%m-%d %H:%M",
            _ => "%Y-%m-%d",
        };
        let first = self.from_ms.div_euclid(step_ms) + 1;
        let last = self.to_ms.div_euclid(step_ms);
        let tick = |index: i64| {
            let at_ms = index * step_ms;
            let at = Timestamp::from_millisecond(at_ms).ok()?;
            Some((self.x(at_ms), at.strftime(form).to_string()))
        };
        (first..=last).filter_map(tick).collect()
    }
}

/// Rising places, moved so that each is `gap` from the next and none is beyond `right`.
pub(super) fn apart(places: &[f64], gap: f64, right: f64) -> Vec<f64> {
    let mut moved = places.to_vec();
    for index in 1..moved.len() {
        moved[index] = moved[index].max(moved[index - 1] + gap);
    }
    let mut limit = right;
    for place in moved.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - gap;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (length_ms, count, label) in [
            (5 * SECOND_MS, 5, "00:00:01"),
            (3 * HOUR_MS, 6, "00:30"),
            (3 * DAY_MS, 6, "01-01 12:00"),
            (60 * DAY_MS, 2, "1970-01-31"),
            (100 * 365 * DAY_MS, 7, "1982-06-29"),
        ] {
            let ticks = Scale::new((0, length_ms), (0.0, 100.0)).ticks();
            let shown = (ticks.len(), ticks[0].1.as_str());
            assert_eq!(shown, (count, label));
            assert!(ticks.iter().all(|(x, _)| (0.0..=100.0).contains(x)));
        }
    }

    #[test]
    fn numbers_stand_apart_and_stay_inside() {
        assert_eq!(apart(&[1.0, 2.0, 50.0], 10.0, 100.0), [1.0, 11.0, 50.0]);
        assert_eq!(apart(&[98.0, 99.0], 10.0, 100.0), [90.0, 100.0]);
        assert_eq!(apart(&[], 10.0, 100.0), [0.0; 0]);
    }
}
