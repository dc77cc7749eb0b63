//! Figures of Service mode for Prometheus.

use crate::metrics::register;
use common::metrics::service_mode as metric;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// All figures, and the registry that shows them.
#[derive(Debug)]
pub(crate) struct Figures {
    registry: Registry,
    leads: Gauge,
    services: Gauge,
    designations: Counter,
    failures: Counter,
}

impl Default for Figures {
    fn default() -> Self {
        let mut registry = Registry::default();
        let leads = Gauge::default();
        let services = Gauge::default();
        let designations = Counter::default();
        let failures = Counter::default();
        let on = &mut registry;
        register(on, &metric::LEADER, leads.clone());
        register(on, &metric::SERVICES, services.clone());
        register(on, &metric::DESIGNATIONS, designations.clone());
        register(on, &metric::WRITE_FAILURES, failures.clone());
        Self {
            registry,
            leads,
            services,
            designations,
            failures,
        }
    }
}

impl Figures {
    /// Whether this replica acts.
    pub(crate) fn leads(&self, leads: bool) {
        self.leads.set(i64::from(leads));
    }

    /// How many Services ask.
    pub(crate) fn services(&self, services: usize) {
        self.services
            .set(i64::try_from(services).unwrap_or(i64::MAX));
    }

    /// A Service was pointed at a pod.
    pub(crate) fn designated(&self) {
        self.designations.inc();
    }

    /// A write failed.
    pub(crate) fn failed(&self) {
        self.failures.inc();
    }

    /// The page that Prometheus reads.
    ///
    /// # Errors
    /// If a figure cannot be written; none has a reason to.
    pub(crate) fn page(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        encode(&mut page, &self.registry)?;
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::{named, types};

    #[test]
    fn the_page_has_every_metric_that_is_documented_and_no_other() {
        let page = Figures::default().page().unwrap();
        assert_eq!(types(&page), named(&metric::ALL));
    }
}
