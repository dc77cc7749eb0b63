//! A cluster that is fit, unfit in one place at a time.

use super::{Before, KINDS, Native, findings};
use crate::check::facts::Read;
use crate::check::finding::{Finding, Level};
use k8s_openapi::api::core::v1::{Namespace, Node};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

fn node(version: &str, architecture: &str) -> Node {
    let info = json!({
        "architecture": architecture, "kubeletVersion": version,
        "bootID": "", "containerRuntimeVersion": "", "kernelVersion": "", "kubeProxyVersion": "",
        "machineID": "", "operatingSystem": "", "osImage": "", "systemUUID": "",
    });
    serde_json::from_value(json!({
        "metadata": {"name": "n1"},
        "status": {"nodeInfo": info},
    }))
    .unwrap()
}

fn namespace(name: &str, labels: Value) -> (String, Read<Namespace>) {
    let object = json!({"metadata": {"name": name, "labels": labels}});
    let namespace = serde_json::from_value(object).unwrap();
    (name.to_owned(), Read::Seen(namespace))
}

fn fit() -> Before {
    let webhook = |configuration: &str, resource: &str| {
        let object = json!({
            "metadata": {"name": configuration},
            "webhooks": [{
                "name": format!("{resource}.{configuration}"),
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": [resource],
                           "operations": ["CREATE"]}],
            }],
        });
        serde_json::from_value(object).unwrap()
    };
    Before {
        version: "v1.36.3".to_owned(),
        admission: ["validatingadmissionpolicies", "mutatingadmissionpolicies"]
            .map(str::to_owned)
            .to_vec(),
        refused: Vec::new(),
        nodes: Read::Seen(vec![node("v1.36.3", "amd64")]),
        namespaces: vec![
            ("active-passive-system".to_owned(), Read::Absent),
            namespace(
                "shop",
                json!({"pod-security.kubernetes.io/enforce": "baseline"}),
            ),
        ],
        native: Native::Kept,
        webhooks: Read::Seen(vec![webhook("mesh", "pods"), webhook("other", "secrets")]),
    }
}

fn bad(findings: &[Finding]) -> Vec<(Level, &'static str)> {
    let bad = findings.iter().filter(|it| it.level > Level::Ok);
    bad.map(|it| (it.level, it.check)).collect()
}

#[test]
fn a_fit_cluster_is_all_ok() {
    let findings = findings(&fit());
    assert_eq!(bad(&findings), []);
    let text: Vec<&str> = findings.iter().map(|it| it.text.as_str()).collect();
    for told in [
        "other webhooks that change pods: pods.mesh",
        "namespace shop enforces baseline; sidecars and webhook keep to restricted, the strictest",
    ] {
        assert!(text.contains(&told), "{text:?}");
    }
}

#[test]
fn each_unfitness_is_found() {
    type Break = (Level, &'static str, &'static str, fn(&mut Before));
    let breaks: [Break; 10] = [
        (Level::Error, "ApiVersion", "1.30 or later", |it| {
            it.version = "v1.29.8-gke.100".to_owned();
        }),
        (Level::Warning, "ApiVersion", "no known form", |it| {
            it.version = "next".to_owned();
        }),
        (
            Level::Error,
            "PolicyApi",
            "ValidatingAdmissionPolicy",
            |it| {
                it.admission.clear();
            },
        ),
        (Level::Error, "InstallRights", "clusterroles", |it| {
            let kinds = KINDS.iter().filter(|it| it.resource == "clusterroles");
            it.refused = kinds.copied().collect();
        }),
        (Level::Error, "Nodes", "before 1.29", |it| {
            it.nodes = Read::Seen(vec![node("v1.28.0", "amd64")]);
        }),
        (Level::Warning, "Nodes", "arm64", |it| {
            it.nodes = Read::Seen(vec![node("v1.36.0", "arm64")]);
        }),
        (Level::Warning, "Nodes", "you may not", |it| {
            it.nodes = Read::Unseen("you may not list nodes".to_owned());
        }),
        (Level::Warning, "PodSecurity", "you may not", |it| {
            let why = "you may not read namespace shop".to_owned();
            it.namespaces = vec![("shop".to_owned(), Read::Unseen(why))];
        }),
        (Level::Error, "NativeSidecars", "restartPolicy", |it| {
            it.native = Native::Stripped;
        }),
        (Level::Warning, "NativeSidecars", "quota", |it| {
            it.native = Native::Refused("exceeded quota".to_owned());
        }),
    ];
    for (level, check, part, break_it) in breaks {
        let mut facts = fit();
        break_it(&mut facts);
        let findings = findings(&facts);
        assert_eq!(bad(&findings), [(level, check)], "{part}");
        let found = findings.iter().find(|it| it.level > Level::Ok).unwrap();
        assert!(found.text.contains(part), "{found:?}");
        assert!(found.cure.is_some() && found.docs.is_some(), "{found:?}");
    }
}

/// Every kind that the chart brings is asked about.
#[test]
fn the_kinds_are_those_of_the_chart() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/install.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let kinds = text.lines().filter_map(|line| line.strip_prefix("kind: "));
    let plural = |kind: &str| {
        let lower = kind.to_lowercase();
        match lower.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{lower}s"),
        }
    };
    let brought: BTreeSet<String> = kinds.map(plural).collect();
    let asked: BTreeSet<String> = KINDS.iter().map(|it| it.resource.to_owned()).collect();
    assert_eq!(brought, asked);
}
