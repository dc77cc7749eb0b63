//! Figures for Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
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

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("active_passive_webhook");
        let reviews = Family::default();
        let review_seconds =
            Family::<Path, Histogram, fn() -> Histogram>::new_with_constructor(review_histogram);
        let body_bytes =
            Family::<Path, Histogram, fn() -> Histogram>::new_with_constructor(body_histogram);
        let in_flight = Gauge::default();
        let provisioned = Family::default();
        let certificate_expiry = Family::default();
        let ca_bundle = Family::default();
        registry.register(
            "reviews",
            "Reviews answered, by what became of them",
            reviews.clone(),
        );
        registry.register_with_unit(
            "review",
            "Time from a whole review to its answer",
            Unit::Seconds,
            review_seconds.clone(),
        );
        registry.register_with_unit(
            "review_body",
            "Size of reviews",
            Unit::Bytes,
            body_bytes.clone(),
        );
        registry.register(
            "reviews_in_flight",
            "Reviews that are worked on",
            in_flight.clone(),
        );
        registry.register(
            "provisioned",
            "Accounts and bindings made",
            provisioned.clone(),
        );
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When the certificate expires, seconds since 1970",
            certificate_expiry.clone(),
        );
        registry.register(
            "ca_bundle_current",
            "1 if the entry of the webhook configuration carries our authority",
            ca_bundle.clone(),
        );
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

/// 50 us to 1.6 s: a review takes 0.1 ms, and one that waits for an account up to 2 s.
fn review_histogram() -> Histogram {
    Histogram::new(exponential_buckets(50e-6, 2.0, 16))
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
