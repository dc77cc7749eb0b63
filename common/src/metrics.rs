//! Metrics of the programs: name, type, unit, labels and meaning of each, once.
//!
//! `docs/metrics.md` is generated from these tables, and the programs write their pages from them.

pub mod service_mode;
pub mod sidecar;
pub mod webhook;

/// What a program counts or measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Name, as queries spell it. Prometheus adds `_bucket`, `_sum` and `_count` to a histogram's.
    pub name: &'static str,
    /// How its values behave.
    pub kind: Kind,
    /// What one of it is.
    pub unit: Unit,
    /// What its series are told apart by.
    pub labels: &'static [Label],
    /// What it says, in a sentence without full stop.
    pub help: &'static str,
}

/// How values of a metric behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grows while the program runs.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many values were how large.
    Histogram,
}

/// What one of a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things, or a state.
    Plain,
    /// A second.
    Seconds,
    /// A byte.
    Bytes,
}

/// A label of a metric, with values from a bounded set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Name.
    pub name: &'static str,
    /// Which values it has, for people.
    pub values: &'static str,
}

impl Kind {
    /// Name, as in the text format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Unit {
    /// Last part of the name of what is measured in it; `None` of what is counted.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Seconds => Some("seconds"),
            Self::Bytes => Some("bytes"),
        }
    }
}

impl Metric {
    /// The name without what says kind and unit, which some libraries add by themselves.
    #[must_use]
    pub fn stem(&self) -> &'static str {
        let name = match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        };
        let unit = self.unit.as_str().and_then(|unit| name.strip_suffix(unit));
        unit.map_or(name, |name| name.trim_end_matches('_'))
    }
}

/// Every metric of every program.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    let tables = [&sidecar::ALL[..], &webhook::ALL, &service_mode::ALL];
    tables.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_say_kind_and_unit() {
        let mut seen = BTreeSet::new();
        for metric in all() {
            let name = metric.name;
            assert!(seen.insert(name), "{name} twice");
            assert!(name.starts_with("active_passive_"), "{name}");
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(name.chars().all(plain), "{name}");
            let counts = metric.kind == Kind::Counter;
            assert_eq!(name.ends_with("_total"), counts, "{name}");
            let of_unit = name.strip_suffix("_total").unwrap_or(name);
            let unit = metric.unit.as_str();
            assert!(unit.is_none_or(|unit| of_unit.ends_with(unit)), "{name}");
            assert!(!metric.help.ends_with('.'), "{name}: libraries add it");
        }
    }

    #[test]
    fn stems_have_neither_kind_nor_unit() {
        for (metric, stem) in [
            (&sidecar::LEADERLESS, "active_passive_leaderless"),
            (&sidecar::TRANSITIONS, "active_passive_transitions"),
            (&sidecar::ROLE, "active_passive_role"),
            (&webhook::BODY_BYTES, "active_passive_webhook_review_body"),
        ] {
            assert_eq!(metric.stem(), stem);
        }
    }
}
