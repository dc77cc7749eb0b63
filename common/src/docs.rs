//! `docs/annotations.md`, generated from the contract.

use crate::contract::{
    Key, LEASE_ANNOTATIONS, SERVICE_ANNOTATIONS, TEMPLATE_ANNOTATIONS, WRITTEN_KEYS,
};
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

/// One table of the page.
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

/// The whole page. A test compares it with the file in docs/.
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

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/annotations.md");

    /// `UPDATE=1` writes the page instead.
    #[test]
    fn page_in_docs_is_the_generated_one() {
        let page = annotations_page();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(PAGE, &page).unwrap();
        }
        let committed = std::fs::read_to_string(PAGE).unwrap_or_default();
        assert!(
            committed == page,
            "docs/annotations.md is out of date; `make docs` writes it anew"
        );
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
    }
}
