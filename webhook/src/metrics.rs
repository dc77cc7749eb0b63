//! Figures for Prometheus.

use common::metrics::{Metric, Unit as Measure, webhook as metric};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric as Registered, Registry, Unit};
use std::time::Duration;

/// All figures, and the registry that shows them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reviews: Family<Review, Counter>,
    review_seconds: Family<Path, Histogram, fn() -> Histogram>,
    body_bytes: Family<Path, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    provisioned: Family<Object, Counter>,
    certificate_expiry: Family<Certificate, Gauge>,
    ca_bundle: Family<Entry, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Review {
    path: &'static str,
    decision: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Path {
    path: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Object {
    object: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Certificate {
    certificate: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Entry {
    webhook: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// Shows a figure under its name; the library adds what says unit and kind.
pub(crate) fn register(registry: &mut Registry, metric: &Metric, figure: impl Registered) {
    let unit = match metric.unit {
        Measure::Plain => None,
        Measure::Seconds => Some(Unit::Seconds),
        Measure::Bytes => Some(Unit::Bytes),
    };
    match unit {
        None => registry.register(metric.stem(), metric.help, figure),
        Some(unit) => registry.register_with_unit(metric.stem(), metric.help, unit, figure),
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let reviews = Family::default();
        let review_seconds =
            Family::<Path, Histogram, fn() -> Histogram>::new_with_constructor(review_histogram);
        let body_bytes =
            Family::<Path, Histogram, fn() -> Histogram>::new_with_constructor(body_histogram);
        let in_flight = Gauge::default();
        let provisioned = Family::default();
        let certificate_expiry = Family::default();
        let ca_bundle = Family::default();
        let build = Family::<Build, Gauge>::default();
        let version = env!("CARGO_PKG_VERSION");
        build.get_or_create(&Build { version }).set(1);
        let on = &mut registry;
        register(on, &metric::REVIEWS, reviews.clone());
        register(on, &metric::REVIEW_SECONDS, review_seconds.clone());
        register(on, &metric::BODY_BYTES, body_bytes.clone());
        register(on, &metric::IN_FLIGHT, in_flight.clone());
        register(on, &metric::PROVISIONED, provisioned.clone());
        register(on, &metric::CERTIFICATE_EXPIRY, certificate_expiry.clone());
        register(on, &metric::CA_BUNDLE, ca_bundle.clone());
        register(on, &metric::BUILD_INFO, build);
        Self {
            registry,
            reviews,
            review_seconds,
            body_bytes,
            in_flight,
            provisioned,
            certificate_expiry,
            ca_bundle,
        }
    }
}

/// 50 us to 3.3 s: a review takes 0.1 ms, and one that waits for an account up to 2 s, which an alert
/// asks about.
fn review_histogram() -> Histogram {
    Histogram::new(exponential_buckets(50e-6, 2.0, 17))
}

/// 1 KiB to 8 MiB: the largest body that is read has 7 MiB.
fn body_histogram() -> Histogram {
    Histogram::new(exponential_buckets(1024.0, 2.0, 14))
}

/// A review that is worked on, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// A review of this size has come in.
    pub fn begin(&self, path: &'static str, body_bytes: usize) -> InFlight {
        let histogram = self.body_bytes.get_or_create(&Path { path });
        histogram.observe(body_bytes as f64);
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// A review was answered.
    pub fn review(
        &self,
        path: &'static str,
        decision: &'static str,
        reason: &'static str,
        took: Duration,
    ) {
        self.reviews
            .get_or_create(&Review {
                path,
                decision,
                reason,
            })
            .inc();
        self.review_seconds
            .get_or_create(&Path { path })
            .observe(took.as_secs_f64());
    }

    /// An object was made.
    pub fn provisioned(&self, object: &'static str) {
        self.provisioned.get_or_create(&Object { object }).inc();
    }

    /// A certificate is served; both expire at these seconds since 1970.
    pub fn certificate(&self, authority_expiry_s: i64, serving_expiry_s: i64) {
        for (certificate, expiry_s) in [
            ("authority", authority_expiry_s),
            ("serving", serving_expiry_s),
        ] {
            self.certificate_expiry
                .get_or_create(&Certificate { certificate })
                .set(expiry_s);
        }
    }

    /// An entry of the configuration has been looked at.
    pub fn ca_bundle(&self, webhook: &str, current: bool) {
        let entry = Entry {
            webhook: webhook.to_owned(),
        };
        self.ca_bundle.get_or_create(&entry).set(i64::from(current));
    }

    /// The page that Prometheus reads.
    ///
    /// # Errors
    /// If a figure cannot be written; none has a reason to.
    pub fn page(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        encode(&mut page, &self.registry)?;
        Ok(page)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_metric_that_is_documented_and_no_other() {
        let metrics = Metrics::default();
        drop(metrics.begin("/inject", 1));
        metrics.review("/inject", "injected", "none", Duration::ZERO);
        metrics.provisioned("account");
        metrics.certificate(1, 1);
        metrics.ca_bundle("inject.active-passive.dev", true);
        assert_eq!(types(&metrics.page().unwrap()), named(&metric::ALL));
    }

    /// Name and kind of each metric; the format that the library writes has counters without `_total`.
    pub(crate) fn named(metrics: &[Metric]) -> Vec<String> {
        let line = |it: &Metric| {
            let name = it.name.trim_end_matches("_total");
            format!("{name} {}", it.kind.as_str())
        };
        metrics.iter().map(line).collect()
    }

    /// What a page says of each of its metrics.
    pub(crate) fn types(page: &str) -> Vec<&str> {
        page.lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .collect()
    }
}
