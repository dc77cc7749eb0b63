//! Figures of Service mode for Prometheus.

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
        let mut registry = Registry::with_prefix("active_passive_service_mode");
        let leads = Gauge::default();
        let services = Gauge::default();
        let designations = Counter::default();
        let failures = Counter::default();
        let help = "1 on the replica that acts";
        registry.register("leader", help, leads.clone());
        let help = "Services that ask for Service mode";
        registry.register("services", help, services.clone());
        let help = "Times that a Service was pointed at a pod";
        registry.register("designations", help, designations.clone());
        let help = "Writes that failed, less those that met a newer version";
        registry.register("write_failures", help, failures.clone());
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
