//! Metrics of the sidecar, at `/metrics` of its port.

use super::{Kind, Label, Metric, Unit};

/// Every metric, in the order of its page.
pub const ALL: [Metric; 13] = [
    ROLE,
    TERM,
    TRANSITIONS,
    LEADERLESS,
    LEASE_DURATION,
    RENEW_AGE,
    LEASE_OBSERVED_AGE,
    RENEW_DURATION,
    HANDOVER_DURATION,
    API_REQUESTS,
    WATCHES,
    EVENTS,
    BUILD_INFO,
];

/// Whether this pod is active.
pub const ROLE: Metric = Metric {
    name: "active_passive_role",
    kind: Kind::Gauge,
    unit: Unit::Plain,
    labels: &[],
    help: "1 on the active pod, 0 on every other",
};

/// The term.
pub const TERM: Metric = Metric {
    name: "active_passive_term",
    kind: Kind::Gauge,
    unit: Unit::Plain,
    labels: &[],
    help: "Term of the election, as this pod knows it",
};

/// How often the role came or went.
pub const TRANSITIONS: Metric = Metric {
    name: "active_passive_transitions_total",
    kind: Kind::Counter,
    unit: Unit::Plain,
    labels: &[],
    help: "Role changes of this pod: one for each time the role came, one for each time it went",
};

/// How long nobody led.
pub const LEADERLESS: Metric = Metric {
    name: "active_passive_leaderless_seconds_total",
    kind: Kind::Counter,
    unit: Unit::Seconds,
    labels: &[],
    help: "Time in which nobody led, as far as this pod could see",
};

/// Lease duration, to compare ages with.
pub const LEASE_DURATION: Metric = Metric {
    name: "active_passive_lease_duration_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    help: "Lease duration of the group, as this pod was told",
};

/// How long ago the active pod renewed its Lease.
pub const RENEW_AGE: Metric = Metric {
    name: "active_passive_renew_age_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    help: "Time since the Lease was renewed from here; on the active pod only",
};

/// How long the Lease has not changed.
pub const LEASE_OBSERVED_AGE: Metric = Metric {
    name: "active_passive_lease_observed_age_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    help: "Time since the Lease was first seen as it is; absent until it was seen",
};

/// How long renewals take.
pub const RENEW_DURATION: Metric = Metric {
    name: "active_passive_renew_duration_seconds",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    labels: &[],
    help: "Time from sending a renewal of the Lease to its success",
};

/// How long moves of the role take.
pub const HANDOVER_DURATION: Metric = Metric {
    name: "active_passive_handover_duration_seconds",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    labels: &[Label {
        name: "kind",
        values: "why the role moved: `first`, `drain`, `unready`, `disruption`, `switchover`, \
            `released`, `expired`, `retaken`, `recreated`",
    }],
    help: "Time from the last sign of the last holder until the role had come here and labels and \
        Services were written",
};

/// Requests of the elector.
pub const API_REQUESTS: Metric = Metric {
    name: "active_passive_api_requests_total",
    kind: Kind::Counter,
    unit: Unit::Plain,
    labels: &[
        Label {
            name: "request",
            values: "`read_lease`, `write_lease`, `read_pod`, `write_pod`, `read_service`, \
                `write_service`",
        },
        Label {
            name: "code",
            values: "HTTP status, `0` without an answer",
        },
    ],
    help: "Requests of the election to the API server, by what became of them",
};

/// Watches begun.
pub const WATCHES: Metric = Metric {
    name: "active_passive_watches_total",
    kind: Kind::Counter,
    unit: Unit::Plain,
    labels: &[
        Label {
            name: "resource",
            values: "`leases`, `pods`, `services`",
        },
        Label {
            name: "call",
            values: "`list`, `watch`; `get` where a Lease may not be watched",
        },
    ],
    help: "Lists and watches begun",
};

/// Events sent.
pub const EVENTS: Metric = Metric {
    name: "active_passive_events_total",
    kind: Kind::Counter,
    unit: Unit::Plain,
    labels: &[Label {
        name: "result",
        values: "`sent`, `failed`, `dropped`",
    }],
    help: "Kubernetes Events by what became of them",
};

/// Version of the sidecar.
pub const BUILD_INFO: Metric = Metric {
    name: "active_passive_build_info",
    kind: Kind::Gauge,
    unit: Unit::Plain,
    labels: &[Label {
        name: "version",
        values: "version of the sidecar",
    }],
    help: "1, with the version as a label",
};
