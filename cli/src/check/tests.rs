//! A cluster in order, broken in one place at a time: each break is found and named.

mod groups;
mod installation;

use super::finding::{Finding, Level};
use serde_json::Value;

fn read<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

/// What is not ok; each says what to do and where to read on.
fn bad(findings: Vec<Finding>) -> Vec<Finding> {
    let bad: Vec<Finding> = findings
        .into_iter()
        .filter(|it| it.level > Level::Ok)
        .collect();
    for finding in &bad {
        assert!(
            finding.cure.is_some() && finding.docs.is_some(),
            "{finding:?}"
        );
    }
    bad
}

fn codes(findings: &[Finding]) -> Vec<(Level, &'static str)> {
    findings.iter().map(|it| (it.level, it.check)).collect()
}
