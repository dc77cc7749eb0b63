//! A cluster in order, broken in one place at a time: each break is found and named.

mod groups;
mod installation;
mod service_mode;

use super::facts::{Installation, Read, Trial};
use super::finding::{Finding, Level};
use super::{Report, Section};
use crate::tests::{now, testdata};
use serde_json::{Value, json};

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

/// As people read it: all in order, and a bad day. `UPDATE=1` keeps what is said now.
#[test]
fn reports_read_as_kept() {
    let report = |installed: &Installation, all: &[Value]| {
        let sections = [
            (
                "Installation",
                super::installation::findings(installed, now()),
            ),
            (
                "Groups",
                super::groups::findings(&groups::workloads(all), now()),
            ),
        ];
        let sections = sections.map(|(title, findings)| Section {
            title: title.to_owned(),
            findings,
        });
        Report::new(sections.into())
    };
    let (sound, mut all) = (installation::sound(), groups::settled());
    let mut broken = sound.clone();
    broken.secret = Read::Unseen("you may not read the webhook's Secret".to_owned());
    let refused = "failed calling webhook \"inject.active-passive.dev\": no endpoints available";
    broken.trial = Trial::Failed(refused.to_owned());
    broken.endpoints = Read::Seen(Vec::new());
    let good = report(&sound, &all);
    let coloured = good.text(true);
    assert!(coloured.contains("\x1b[32mok       \x1b[0mConfiguration"));
    for object in &mut all {
        match object["kind"].as_str() {
            Some("Lease") => {
                object["spec"]["renewTime"] = json!("2026-02-03T03:09:57.000000Z");
            }
            Some("Service") => object["spec"]["selector"]["app"] = json!("wbe"),
            _ => {}
        }
    }
    all.retain(|it| it["kind"] != "RoleBinding");
    let said = format!(
        "{}\n{}",
        good.text(false),
        report(&broken, &all).text(false)
    );
    let kept = testdata().join("check.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&kept, &said).unwrap();
    }
    assert_eq!(std::fs::read_to_string(kept).unwrap(), said);
}
