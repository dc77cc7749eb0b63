//! Metrics of the webhook, at `/metrics` of its port for probes.

use super::{Kind, Label, Metric, Unit};

/// Every metric, in the order of its page.
pub const ALL: [Metric; 8] = [
    REVIEWS,
    REVIEW_SECONDS,
    BODY_BYTES,
    IN_FLIGHT,
    PROVISIONED,
    CERTIFICATE_EXPIRY,
    CA_BUNDLE,
    BUILD_INFO,
];

const PATH: Label = Label {
    name: "path",
    values: "`/inject`, `/route`, `/policy`",
};

/// Reviews by what became of them.
pub const REVIEWS: Metric = Metric {
    name: "active_passive_webhook_reviews_total",
    kind: Kind::Counter,
    unit: Unit::Plain,
    labels: &[
        PATH,
        Label {
            name: "decision",
            values: "`injected`, `skipped`, `denied` of pods; `routed`, `unchanged` of Services; \
                `allowed`, `warned`, `denied` of workloads; `refused`: it is no review, `failed`: \
                it could not be decided",
        },
        Label {
            name: "reason",
            values: "short name of the reason of a pod that was skipped or denied, such as \
                `bad-value`; `none` without one",
        },
    ],
    help: "Reviews answered, by what became of them",
};

/// How long reviews take.
pub const REVIEW_SECONDS: Metric = Metric {
    name: "active_passive_webhook_review_seconds",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    labels: &[PATH],
    help: "Time from a whole review to its answer",
};

/// How large reviews are.
pub const BODY_BYTES: Metric = Metric {
    name: "active_passive_webhook_review_body_bytes",
    kind: Kind::Histogram,
    unit: Unit::Bytes,
    labels: &[PATH],
    help: "Size of reviews",
};

/// Reviews under way.
pub const IN_FLIGHT: Metric = Metric {
    name: "active_passive_webhook_reviews_in_flight",
    kind: Kind::Gauge,
    unit: Unit::Plain,
    labels: &[],
    help: "Reviews that are worked on",
};

/// Objects made for groups.
pub const PROVISIONED: Metric = Metric {
    name: "active_passive_webhook_provisioned_total",
    kind: Kind::Counter,
    unit: Unit::Plain,
    labels: &[Label {
        name: "object",
        values: "`account`, `binding`",
    }],
    help: "Accounts and bindings made for groups",
};

/// When certificates end.
pub const CERTIFICATE_EXPIRY: Metric = Metric {
    name: "active_passive_webhook_certificate_expiry_timestamp_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[Label {
        name: "certificate",
        values: "`authority`, `serving`",
    }],
    help: "When the certificate expires, since 1970",
};

/// Whether API servers are told to trust the webhook.
pub const CA_BUNDLE: Metric = Metric {
    name: "active_passive_webhook_ca_bundle_current",
    kind: Kind::Gauge,
    unit: Unit::Plain,
    labels: &[Label {
        name: "webhook",
        values: "name of the entry",
    }],
    help: "1 if the entry of the webhook configuration carries our authority",
};

/// Version of the webhook.
pub const BUILD_INFO: Metric = Metric {
    name: "active_passive_webhook_build_info",
    kind: Kind::Gauge,
    unit: Unit::Plain,
    labels: &[Label {
        name: "version",
        values: "version of the webhook, which is that of the sidecars it adds",
    }],
    help: "1, with the version as a label",
};
