//! Durations, counted in fixed buckets.

use std::fmt::{self, Write};

/// Upper bounds of the buckets, milliseconds: from a renewal in a quiet cluster to the move after
/// a crash.
const BOUNDS_MS: [u64; 13] = [
    5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 60_000,
];

/// A histogram as Prometheus has them.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// Those at most as long as the bound, and longer than the one before it.
    buckets: [u64; BOUNDS_MS.len()],
    count: u64,
    sum_ms: u64,
}

impl Histogram {
    pub(crate) fn observe(&mut self, ms: u64) {
        let bucket = BOUNDS_MS.iter().position(|bound_ms| ms <= *bound_ms);
        if let Some(bucket) = bucket.and_then(|index| self.buckets.get_mut(index)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum_ms += ms;
    }

    /// Its samples under `name`. `labels` are what stands between the braces.
    pub(crate) fn write(&self, page: &mut String, name: &str, labels: &str) -> fmt::Result {
        let mut below = 0;
        let separator = if labels.is_empty() { "" } else { "," };
        for (bound_ms, count) in BOUNDS_MS.iter().zip(self.buckets) {
            below += count;
            let le = seconds(*bound_ms);
            let le = le.trim_end_matches('0').trim_end_matches('.');
            writeln!(
                page,
                "{name}_bucket{{{labels}{separator}le=\"{le}\"}} {below}"
            )?;
        }
        let Self { count, sum_ms, .. } = self;
        writeln!(
            page,
            "{name}_bucket{{{labels}{separator}le=\"+Inf\"}} {count}"
        )?;
        let braced = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        writeln!(page, "{name}_sum{braced} {}", seconds(*sum_ms))?;
        writeln!(page, "{name}_count{braced} {count}")
    }
}

/// Milliseconds as seconds, which is what metrics are in.
pub(crate) fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(observed_ms: &[u64], labels: &str) -> String {
        let mut histogram = Histogram::default();
        for ms in observed_ms {
            histogram.observe(*ms);
        }
        let mut page = String::new();
        histogram.write(&mut page, "x_seconds", labels).unwrap();
        page
    }

    #[test]
    fn buckets_hold_all_that_is_shorter() {
        let page = page(&[3, 5, 6, 1_000, 90_000], "kind=\"drain\"");
        for line in [
            r#"x_seconds_bucket{kind="drain",le="0.005"} 2"#,
            r#"x_seconds_bucket{kind="drain",le="0.01"} 3"#,
            r#"x_seconds_bucket{kind="drain",le="1"} 4"#,
            r#"x_seconds_bucket{kind="drain",le="60"} 4"#,
            r#"x_seconds_bucket{kind="drain",le="+Inf"} 5"#,
            r#"x_seconds_sum{kind="drain"} 91.014"#,
            r#"x_seconds_count{kind="drain"} 5"#,
        ] {
            assert!(page.lines().any(|l| l == line), "no {line} in\n{page}");
        }
    }

    #[test]
    fn one_without_labels_has_no_empty_braces() {
        let page = page(&[], "");
        assert!(
            page.contains("x_seconds_bucket{le=\"0.005\"} 0\n"),
            "{page}"
        );
        assert!(
            page.ends_with("x_seconds_sum 0.000\nx_seconds_count 0\n"),
            "{page}"
        );
    }

    #[test]
    fn seconds_have_milliseconds() {
        assert_eq!(seconds(12_005), "12.005");
    }
}
