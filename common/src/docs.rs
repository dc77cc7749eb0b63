//! `docs/annotations.md`, generated from the contract.

use crate::contract::{
    Key, LEASE_ANNOTATIONS, SERVICE_ANNOTATIONS, TEMPLATE_ANNOTATIONS, WRITTEN_KEYS,
};
use std::fmt::Write;

/// The whole page. A test compares it with the file in docs/.
pub fn annotations_page() -> String {
    let mut page = String::from(
        "# Annotations and labels\n\n\
         Generated from `common/src/contract.rs`; `make docs` writes it anew.\n\n\
         Values are strings: write `\"true\"`, not `true`. A value that does not parse denies the \
         pod with a message that names annotation, value and what is allowed; all errors of a pod \
         are reported at once. An unknown `active-passive.dev/` key gives a warning with the \
         nearest known key.\n",
    );
    let sections: [(&str, &str, &[Key]); 4] = [
        ("On a pod template", "default", &TEMPLATE_ANNOTATIONS),
        ("On a Service", "default", &SERVICE_ANNOTATIONS),
        ("On a Lease", "default", &LEASE_ANNOTATIONS),
        ("Written for you to read", "where", &WRITTEN_KEYS),
    ];
    for (title, column, keys) in sections {
        // Writing to a String cannot fail.
        writeln!(page, "\n## {title}\n\n| key | {column} | meaning |\n|---|---|---|").ok();
        for key in keys {
            writeln!(page, "| `{}` | {} | {} |", key.key, code(key.default), key.meaning).ok();
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
