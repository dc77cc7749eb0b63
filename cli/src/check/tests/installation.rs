//! An installation in order, broken in one place at a time.

use super::{bad, codes, read};
use crate::check::facts::{Installation, Policies, Policy, Read, Trial};
use crate::check::finding::Level;
use crate::check::{installation, names};
use crate::tests::now;
use common::contract;
use k8s_openapi::ByteString;
use serde_json::json;

/// A certificate that ends on a day of 2026, as PEM.
fn certificate(month: u8, day: u8) -> Vec<u8> {
    let mut params = rcgen::CertificateParams::new(vec!["webhook".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, month, day);
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem().into_bytes()
}

fn policy(name: &str) -> Policy {
    read(json!({"metadata": {"name": name}, "spec": {}}))
}

fn bound(name: &str) -> Policy {
    read(json!({
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }))
}

pub(super) fn sound() -> Installation {
    let entry = |path: &str| {
        json!({
            "name": "inject.active-passive.dev",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": {
                "service": {"name": "s", "namespace": "ours", "path": path},
                "caBundle": serde_json::to_value(ByteString(b"authority".to_vec())).unwrap(),
            },
            "namespaceSelector": {"matchExpressions": [{
                "key": "kubernetes.io/metadata.name",
                "operator": "NotIn",
                "values": ["kube-system"],
            }]},
        })
    };
    let data = [
        ("ca.crt", b"authority".to_vec()),
        ("tls.crt", certificate(5, 4)),
    ];
    let data = data.map(|(key, value)| (key.to_owned(), ByteString(value)));
    let mut secret: k8s_openapi::api::core::v1::Secret = read(json!({"metadata": {}}));
    secret.data = Some(data.into());
    Installation {
        namespace: "ours".to_owned(),
        configuration: Read::Seen(read(json!({
            "metadata": {"name": names::CONFIGURATION},
            "webhooks": [entry("/inject")],
        }))),
        secret_name: names::CERTIFICATE.to_owned(),
        secret: Read::Seen(secret),
        deployment: Read::Seen(read(json!({
            "metadata": {},
            "spec": {"replicas": 2, "selector": {}, "template": {}},
            "status": {"readyReplicas": 2},
        }))),
        endpoints: Read::Seen(vec![read(json!({
            "addressType": "IPv4",
            "metadata": {},
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}],
        }))]),
        roles: [
            (contract::SIDECAR_CLUSTER_ROLE, Read::Seen(json!({}))),
            (contract::ROUTER_CLUSTER_ROLE, Read::Seen(json!({}))),
        ],
        fencing: Policies {
            policies: Read::Seen(names::FENCING.map(policy).to_vec()),
            bindings: Read::Seen(names::FENCING.map(bound).to_vec()),
        },
        routing: Policies {
            policies: Read::Seen(vec![policy(names::ROUTING)]),
            bindings: Read::Seen(vec![bound(names::ROUTING)]),
        },
        trial_namespace: "shop".to_owned(),
        trial: Trial::Injected {
            version: Some("0.1.0".to_owned()),
            native: true,
        },
    }
}

#[test]
fn an_installation_in_order_is_all_ok() {
    let findings = installation::findings(&sound(), now());
    assert_eq!(bad(findings.clone()), []);
    let told = "the serving certificate has 89 days left";
    assert!(findings.iter().any(|it| it.text == told), "{findings:?}");
}

/// One break of an installation: what is expected, and how it is broken.
type Break = (Level, &'static str, &'static str, fn(&mut Installation));

/// Check and text that each break leads to, and nothing else.
const BREAKS: &[Break] = &[
    (Level::Error, "Configuration", "no entry", |it| {
        let Read::Seen(configuration) = &mut it.configuration else {
            return;
        };
        configuration.webhooks = None;
    }),
    (Level::Error, "Authority", "caBundle of inject", |it| {
        let Read::Seen(configuration) = &mut it.configuration else {
            return;
        };
        for entry in configuration.webhooks.iter_mut().flatten() {
            entry.client_config.ca_bundle = Some(ByteString(b"another".to_vec()));
        }
    }),
    (Level::Error, "Certificate", "has expired", |it| {
        put(it, "tls.crt", certificate(2, 3));
    }),
    (Level::Warning, "Certificate", "has 12 days left", |it| {
        put(it, "tls.crt", certificate(2, 16));
    }),
    (Level::Error, "Certificate", "is no certificate", |it| {
        put(it, "tls.crt", b"nonsense".to_vec());
    }),
    (Level::Error, "Certificate", "emptied", |it| {
        put(it, "tls.crt", Vec::new());
    }),
    (Level::Error, "Authority", "holds no ca.crt", |it| {
        put(it, "ca.crt", Vec::new());
    }),
    (Level::Error, "Certificate", "there is no Secret", |it| {
        it.secret = Read::Absent;
    }),
    (Level::Error, "WebhookReady", "scaled to 0", |it| {
        deployment(it, 0, 0);
    }),
    (Level::Error, "WebhookReady", "none of 2", |it| {
        deployment(it, 2, 0);
    }),
    (Level::Warning, "WebhookReady", "1 of 2", |it| {
        deployment(it, 2, 1);
    }),
    (Level::Error, "WebhookReady", "no Deployment", |it| {
        it.deployment = Read::Absent;
    }),
    (Level::Error, "Installed", "is not installed here", |it| {
        it.configuration = Read::Absent;
        it.deployment = Read::Absent;
    }),
    (Level::Error, "WebhookEndpoints", "no endpoints", |it| {
        it.endpoints = Read::Seen(Vec::new());
    }),
    (Level::Error, "Injection", "without sidecar", |it| {
        it.trial = Trial::Untouched;
    }),
    (Level::Warning, "Injection", "left alone", |it| {
        it.trial = Trial::Untouched;
        it.trial_namespace = "kube-system".to_owned();
    }),
    (Level::Error, "Injection", "x509", |it| {
        it.trial = Trial::Failed("failed calling webhook: x509: unknown authority".to_owned());
    }),
    (Level::Error, "Injection", "restartPolicy", |it| {
        it.trial = Trial::Injected {
            version: None,
            native: false,
        };
    }),
    (Level::Warning, "Injection", "exceeded quota", |it| {
        it.trial = Trial::Refused("exceeded quota".to_owned());
    }),
    (Level::Error, "Injection", "lost its restartPolicy", |it| {
        let why = "livenessProbe: Forbidden: may not be set for init containers without \
                   restartPolicy=Always";
        it.trial = Trial::Refused(why.to_owned());
    }),
    (Level::Warning, "Injection", "you may not", |it| {
        it.trial = Trial::NotAllowed("you may not create pods".to_owned());
    }),
    (Level::Error, "GroupRoles", "active-passive-router", |it| {
        it.roles[1].1 = Read::Absent;
    }),
    (Level::Error, "Fencing", "role.active-passive.dev", |it| {
        let bindings = names::FENCING
            .into_iter()
            .filter(|it| !it.starts_with("role"));
        it.fencing.bindings = Read::Seen(bindings.map(bound).collect());
    }),
    (Level::Warning, "Fencing", "there are no fencing", |it| {
        it.fencing.policies = Read::Seen(Vec::new());
    }),
    (Level::Warning, "Fencing", "let it pass", |it| {
        it.fencing.bindings = it.fencing.bindings.clone().map(|mut bindings| {
            for binding in &mut bindings {
                binding.spec.validation_actions = vec!["Audit".to_owned()];
            }
            bindings
        });
    }),
    (Level::Error, "Routing", "not bound", |it| {
        it.routing.bindings = Read::Seen(Vec::new());
    }),
    (Level::Warning, "Routing", "neither", |it| {
        it.routing.policies = Read::Absent;
    }),
];

fn put(installation: &mut Installation, key: &str, value: Vec<u8>) {
    if let Read::Seen(secret) = &mut installation.secret {
        let data = secret.data.get_or_insert_default();
        data.insert(key.to_owned(), ByteString(value));
    }
}

fn deployment(installation: &mut Installation, replicas: i32, ready: i32) {
    if let Read::Seen(deployment) = &mut installation.deployment {
        deployment.spec.as_mut().unwrap().replicas = Some(replicas);
        deployment.status.as_mut().unwrap().ready_replicas = Some(ready);
    }
}

#[test]
fn each_break_of_the_installation_is_found() {
    for (level, check, part, break_it) in BREAKS {
        let mut facts = sound();
        break_it(&mut facts);
        let found = bad(installation::findings(&facts, now()));
        assert_eq!(codes(&found), [(*level, *check)], "{part}: {found:?}");
        assert!(found[0].text.contains(part), "{part}: {found:?}");
    }
}

/// Who may read nothing gets no error, and is told what was not looked at.
#[test]
fn what_may_not_be_read_is_a_warning_each() {
    let no = || "you may not".to_owned();
    let mut facts = sound();
    facts.configuration = Read::Unseen(no());
    facts.secret = Read::Unseen(no());
    facts.deployment = Read::Unseen(no());
    facts.endpoints = Read::Unseen(no());
    facts.fencing.policies = Read::Unseen(no());
    facts.routing.policies = Read::Unseen(no());
    let found = bad(installation::findings(&facts, now()));
    assert_eq!(found.len(), 7);
    assert!(
        found.iter().all(|it| it.level == Level::Warning),
        "{found:?}"
    );
    let told = "not checked: you may not";
    assert!(
        found.iter().all(|it| it.text.starts_with(told)),
        "{found:?}"
    );
}
