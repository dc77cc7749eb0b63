//! Metrics of Service mode, at `/metrics` of its port for probes.

use super::{Kind, Metric, Unit};

/// Every metric, in the order of its page.
pub const ALL: [Metric; 4] = [LEADER, SERVICES, DESIGNATIONS, WRITE_FAILURES];

/// Which replica acts.
pub const LEADER: Metric = Metric {
    name: "active_passive_service_mode_leader",
    kind: Kind::Gauge,
    unit: Unit::Plain,
    labels: &[],
    help: "1 on the replica that acts, 0 on every other",
};

/// How many Services ask for it.
pub const SERVICES: Metric = Metric {
    name: "active_passive_service_mode_services",
    kind: Kind::Gauge,
    unit: Unit::Plain,
    labels: &[],
    help: "Services that ask for Service mode",
};

/// How often a Service was pointed at a pod.
pub const DESIGNATIONS: Metric = Metric {
    name: "active_passive_service_mode_designations_total",
    kind: Kind::Counter,
    unit: Unit::Plain,
    labels: &[],
    help: "Times that a Service was pointed at a pod",
};

/// Writes that failed.
pub const WRITE_FAILURES: Metric = Metric {
    name: "active_passive_service_mode_write_failures_total",
    kind: Kind::Counter,
    unit: Unit::Plain,
    labels: &[],
    help: "Writes that failed, less those that met a newer version",
};
