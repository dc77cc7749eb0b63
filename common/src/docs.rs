//! `docs/annotations.md`, generated from the contract, and `docs/metrics.md`, generated from the
//! metrics.

use crate::contract::{
    Key, LEASE_ANNOTATIONS, SERVICE_ANNOTATIONS, TEMPLATE_ANNOTATIONS, WRITTEN_KEYS,
};
use crate::metrics::{Metric, service_mode, sidecar, webhook};
use std::fmt::Write;

const INTRODUCTION: &str = "\
# Annotations and labels

Generated from `common/src/contract.rs`; `make docs` writes it anew.

Two annotations are enough:

```yaml
# Deployment: on the pod template, not on the Deployment itself
spec:
  template:
    metadata:
      annotations:
        active-passive.dev/inject: \"true\"
---
# Service: the group is the Deployment's name
metadata:
  annotations:
    active-passive.dev/group: web
```

Values are strings: write `\"true\"`, not `true`. Durations are written like `15s`, `1m30s` or \
`500ms`. A value that does not parse denies the pod, with a message that names annotation, value \
and what is allowed; all errors of a pod are reported at once. An unknown `active-passive.dev/` key \
is a warning that names the nearest known key. The message is where the pod is made: for a \
Deployment, `kubectl describe replicaset`.
";

/// One table of the page of annotations.
struct Section {
    title: &'static str,
    introduction: &'static str,
    /// Head of the second column.
    column: &'static str,
    keys: &'static [Key],
}

const SECTIONS: [Section; 4] = [
    Section {
        title: "On a pod template",
        introduction: "Under `spec.template.metadata.annotations`. A change of the template is a \
            rollout, so a change of these is one too.",
        column: "default",
        keys: &TEMPLATE_ANNOTATIONS,
    },
    Section {
        title: "On a Service",
        introduction: "Under `metadata.annotations`, in the namespace of the group.",
        column: "default",
        keys: &SERVICE_ANNOTATIONS,
    },
    Section {
        title: "On a Lease",
        introduction: "With `kubectl annotate lease GROUP KEY=VALUE`, while the group runs.",
        column: "default",
        keys: &LEASE_ANNOTATIONS,
    },
    Section {
        title: "Written for you to read",
        introduction: "Read them and select by them. A pod template that sets the role \
            or pod label is refused: its selector may name it. Another preset is overwritten, \
            with a warning.",
        column: "where",
        keys: &WRITTEN_KEYS,
    },
];

const METRICS_INTRODUCTION: &str = "\
# Metrics

Generated from `common/src/metrics`; `make docs` writes it anew.

Every program answers `/metrics` in Prometheus's text format. The chart has what the Prometheus operator \
scrapes them by (`monitoring.serviceMonitor`, `monitoring.podMonitor`), alerts \
(`monitoring.prometheusRule`, with cause and cure in [operations.md](operations.md#alerts)) and a \
Grafana dashboard (`monitoring.grafanaDashboard`). The PodMonitor adds the label `group` to what sidecars \
say, and Prometheus `namespace` and `pod`; alerts and dashboard go by these three.

A histogram `x` is stored as `x_bucket`, `x_sum` and `x_count`. A series with labels begins with the first \
value that it has to tell.
";

/// One table of the page of metrics.
struct Program {
    title: &'static str,
    introduction: &'static str,
    metrics: &'static [Metric],
}

const PROGRAMS: [Program; 3] = [
    Program {
        title: "Sidecar",
        introduction: "At the sidecar's port, 4280 unless the pod has it taken, which is named \
            `active-passive`. About 50 series a pod.",
        metrics: &sidecar::ALL,
    },
    Program {
        title: "Webhook",
        introduction: "At port 8080 of each replica, which is named `admin`, and `metrics` on the \
            webhook's Service.",
        metrics: &webhook::ALL,
    },
    Program {
        title: "Service mode",
        introduction: "At port 8080 of each of its replicas, which is named `admin`.",
        metrics: &service_mode::ALL,
    },
];

/// The page of annotations. A test compares it with the file in docs/.
pub fn annotations_page() -> String {
    let mut page = String::from(INTRODUCTION);
    for section in SECTIONS {
        // Writing to a String cannot fail.
        writeln!(page, "\n## {}\n\n{}\n", section.title, section.introduction).ok();
        writeln!(
            page,
            "| key | {} | meaning |\n|---|---|---|",
            section.column
        )
        .ok();
        for key in section.keys {
            writeln!(
                page,
                "| `{}` | {} | {} |",
                key.key,
                code(key.default),
                key.meaning
            )
            .ok();
        }
    }
    page
}

/// The page of metrics. A test compares it with the file in docs/.
pub fn metrics_page() -> String {
    let mut page = String::from(METRICS_INTRODUCTION);
    for program in PROGRAMS {
        let Program {
            title,
            introduction,
            metrics,
        } = program;
        // Writing to a String cannot fail.
        writeln!(page, "\n## {title}\n\n{introduction}\n").ok();
        page.push_str("| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n");
        for metric in metrics {
            let labels: Vec<String> = metric
                .labels
                .iter()
                .map(|label| format!("`{}`: {}", label.name, label.values))
                .collect();
            let labels = if labels.is_empty() {
                "-".to_owned()
            } else {
                labels.join("<br>")
            };
            writeln!(
                page,
                "| `{}` | {} | {} | {labels} | {} |",
                metric.name,
                metric.kind.as_str(),
                metric.unit.as_str().unwrap_or("-"),
                metric.help
            )
            .ok();
        }
    }
    page
}

/// A default that is a literal is set as code; prose and "-" are not.
fn code(default: &str) -> String {
    if default == "-" || default.contains(' ') {
        default.to_owned()
    } else {
        format!("`{default}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");

    /// `UPDATE=1` writes the pages instead.
    #[test]
    fn pages_in_docs_are_the_generated_ones() {
        for (name, page) in [
            ("annotations.md", annotations_page()),
            ("metrics.md", metrics_page()),
        ] {
            let path = format!("{FOLDER}/{name}");
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, &page).unwrap();
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == page,
                "docs/{name} is out of date; `make docs` writes it anew"
            );
        }
    }

    #[test]
    fn tables_have_no_broken_rows() {
        for section in SECTIONS {
            for key in section.keys {
                for cell in [key.key, key.default, key.meaning] {
                    assert!(
                        !cell.is_empty() && !cell.contains(['|', '\n']),
                        "{}",
                        key.key
                    );
                }
            }
        }
        for metric in crate::metrics::all() {
            let values = metric.labels.iter().map(|label| label.values);
            for cell in values.chain([metric.help]) {
                assert!(!cell.contains(['|', '\n']), "{}", metric.name);
            }
        }
    }
}
