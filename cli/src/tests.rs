//! What commands say, held against kept output: `testdata/<case>/{objects.yaml,output.txt}`.
//! `UPDATE=1 cargo test -p cli` writes the output anew.

use crate::args::{Data, Format};
use crate::group::{Group, Seen, groups};
use crate::lease::Lease;
use crate::service_mode::{Served, asks, served};
use crate::{history, output, status};
use common::contract;
use common::pod::Pod;
use k8s_openapi::jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};

const CASES: [&str; 4] = ["settled", "broken", "fresh", "service_mode"];

/// When the cases are looked at.
pub(crate) fn now() -> Timestamp {
    "2026-02-03T04:10:00Z".parse().unwrap()
}

pub(crate) fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// The objects of a case.
pub(crate) fn objects(case: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(testdata().join(case).join("objects.yaml")).unwrap();
    let list: Value = serde_saphyr::from_str(&text).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// The groups that these objects make.
pub(crate) fn groups_of(objects: &[Value]) -> Vec<Group> {
    groups(Seen {
        leases: of(objects, "Lease"),
        pods: of(objects, "Pod"),
        services: of(objects, "Service"),
    })
}

/// The Services in Service mode among them.
pub(crate) fn served_of(objects: &[Value], groups: &[Group]) -> Vec<Served> {
    let mut services = of(objects, "Service").unwrap();
    services.retain(|it: &crate::service_mode::Listed| asks(&it.service));
    let mut pods: Vec<Pod> = of(objects, "Pod").unwrap();
    pods.retain(|pod| pod.metadata.label(contract::GROUP).is_none());
    served(services, Some(&pods), groups)
}

pub(crate) fn of<T: DeserializeOwned>(objects: &[Value], kind: &str) -> Option<Vec<T>> {
    let objects = objects.iter().filter(|object| object["kind"] == kind);
    let read = |object: &Value| serde_json::from_value(object.clone()).unwrap();
    Some(objects.map(read).collect())
}

/// What each command says about the objects of a case.
fn said(groups: &[Group], served: &[Served]) -> String {
    let mut text = String::new();
    let mut say = |command: &str, answer: String| {
        text.push_str(&format!("$ kubectl active-passive {command}\n{answer}\n"));
    };
    let all = |format| status::all(groups, served, None, format, now()).unwrap();
    say("status -A", all(None));
    say("status -A -o wide", all(Some(Format::Wide)));
    say("status -A -o name", all(Some(Format::Name)));
    for group in groups {
        let (name, one) = (&group.name, |format| {
            status::one(group, format, now()).unwrap()
        });
        say(&format!("status {name}"), one(None));
        say(&format!("status {name} -o wide"), one(Some(Format::Wide)));
        say(&format!("status {name} -o yaml"), one(Some(Format::Yaml)));
        let entries = group.lease.as_ref().map(Lease::history).unwrap_or_default();
        if !entries.is_empty() {
            say(&format!("history {name}"), history::text(&entries, now()));
            let json = output::data(&entries, Data::Json).unwrap();
            say(&format!("history {name} -o json"), json);
        }
    }
    for it in served {
        let (name, one) = (it.name(), |format| {
            status::one_served(it, format, now()).unwrap()
        });
        say(&format!("status service/{name}"), one(None));
    }
    if let Some(last) = served.last() {
        let (name, one) = (last.name(), |format| {
            status::one_served(last, Some(format), now()).unwrap()
        });
        say(&format!("status service/{name} -o wide"), one(Format::Wide));
        say(&format!("status service/{name} -o yaml"), one(Format::Yaml));
    }
    text
}

#[test]
fn commands_say_what_was_kept() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut differing = Vec::new();
    for case in CASES {
        let kept = testdata().join(case).join("output.txt");
        let objects = objects(case);
        let groups = groups_of(&objects);
        let said = said(&groups, &served_of(&objects, &groups));
        if update {
            std::fs::write(&kept, &said).unwrap();
        } else if std::fs::read_to_string(&kept).unwrap_or_default() != said {
            differing.push(format!("{case}:\n{said}"));
        }
    }
    assert!(
        differing.is_empty(),
        "UPDATE=1 keeps this, if it is right:\n{}",
        differing.join("\n")
    );
}

/// JSON and YAML say the same.
#[test]
fn formats_for_programs_agree() {
    for case in CASES {
        let objects = objects(case);
        let groups = groups_of(&objects);
        let served = served_of(&objects, &groups);
        let all = |format| status::all(&groups, &served, None, Some(format), now()).unwrap();
        let json: Value = serde_json::from_str(&all(Format::Json)).unwrap();
        let yaml: Value = serde_saphyr::from_str(&all(Format::Yaml)).unwrap();
        assert_eq!(json, yaml, "{case}");
        assert_eq!(json["groups"].as_array().unwrap().len(), groups.len());
        let services = json["service_mode"].as_array().unwrap();
        assert_eq!(services.len(), served.len());
    }
}

/// Who may not list pods or Services is not told that there are none.
#[test]
fn what_may_not_be_seen_raises_no_doubt() {
    let objects = objects("settled");
    let leases_only = groups(Seen {
        leases: of(&objects, "Lease"),
        ..Seen::default()
    });
    let pods_only = groups(Seen {
        pods: of(&objects, "Pod"),
        ..Seen::default()
    });
    for (groups, active) in [
        (leases_only, "Active:     web-3, for 3m21s (term 3)\n"),
        (pods_only, "Active:     web-3, by its label\n"),
    ] {
        assert_eq!(crate::doubts::doubts(&groups[0], now()), []);
        let text = status::one(&groups[0], None, now()).unwrap();
        assert!(text.contains(active), "{text}");
        let line = status::all(&groups, &[], Some("shop"), None, now()).unwrap();
        assert!(
            line.lines().nth(1).unwrap().starts_with("web     web-3"),
            "{line}"
        );
    }
}
