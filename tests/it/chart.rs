//! What the values of the chart make of it, beside what `deploy/` shows.

use std::collections::BTreeSet;
use std::fs;

use common::contract;

use crate::deploy::{helm, rendered, rendered_with_hooks, template};
use crate::tidy::root;

const MONITORING: [&str; 4] = [
    "--set=monitoring.serviceMonitor=true",
    "--set=monitoring.podMonitor=true",
    "--set=monitoring.prometheusRule=true",
    "--set=monitoring.runbooks=https://runbooks.example/operations",
];

#[test]
fn without_images_helm_says_what_is_missing() {
    let helm = helm();
    for (arguments, image) in [
        (&[][..], "webhook"),
        (&["--set=webhook.image.repository=here/webhook"], "sidecar"),
    ] {
        let error = template(&helm, arguments).expect_err("nothing to pull");
        let wanted = format!("set {image}.image.repository to where {image} is");
        assert!(error.contains(&wanted), "{error}");
    }
}

#[test]
fn values_that_are_not_there_or_wrong_are_refused() {
    let helm = helm();
    for (value, named) in [
        ("webhok.replicas=3", "webhok"),
        ("webhook.replica=3", "replica"),
        ("webhook.replicas=0", "/webhook/replicas"),
        ("webhook.replicas=many", "/webhook/replicas"),
        ("webhook.failurePolicy=Fial", "/webhook/failurePolicy"),
        ("webhook.timeoutSeconds=31", "/webhook/timeoutSeconds"),
        ("webhook.missedPods=Refuse", "/webhook/missedPods"),
        ("webhook.resources.request.cpu=1", "request"),
        ("sidecar.image.digest=sha256:12", "/sidecar/image/digest"),
        (
            "sidecar.image.repository=registry.example/sidecar:1.0",
            "/sidecar/image/repository",
        ),
        ("certificates.rotationStep=1d", "/certificates/rotationStep"),
        (
            "monitoring.serviceMonitor=yes",
            "/monitoring/serviceMonitor",
        ),
        ("flowControl.shares=0", "/flowControl/shares"),
        ("imagePullSecrets={mine}", "/imagePullSecrets/0"),
        ("commonLabels.team=7", "/commonLabels/team"),
    ] {
        let error = template(&helm, &["--set", value]).expect_err(value);
        assert!(error.contains(named), "{value}: {error}");
    }
}

#[test]
fn labels_and_pull_secrets_reach_what_they_concern() {
    let helm = helm();
    let text = rendered_with_hooks(
        &helm,
        &[
            "--set=commonLabels.team=platform",
            "--set=imagePullSecrets[0].name=mine",
        ],
    );
    let objects = text.matches("\nkind: ").count();
    // Pods of the Deployment and of the Job are labelled beside them.
    let labelled = text.matches("team: platform\n").count();
    assert_eq!(labelled, objects + 2, "{text}");
    // Webhook, check, farewell.
    assert_eq!(text.matches("- name: mine\n").count(), 3);
    let meshed = text.matches("sidecar.istio.io/inject: \"false\"\n").count();
    assert_eq!(meshed, 3, "pods that meshes leave alone");
}

#[test]
fn a_class_of_the_system_comes_with_the_quota_that_admits_it() {
    let helm = helm();
    let usual = rendered(&helm, &[]);
    assert!(usual.contains("priorityClassName: system-cluster-critical\n"));
    assert!(usual.contains("kind: ResourceQuota\n"));
    let own = rendered(&helm, &["--set=webhook.priorityClassName=ours"]);
    assert!(own.contains("priorityClassName: ours\n"));
    assert!(!own.contains("kind: ResourceQuota\n"));
}

#[test]
fn parts_that_can_be_left_out_are() {
    let helm = helm();
    for (value, kind) in [
        ("flowControl.enabled=false", "FlowSchema"),
        ("flowControl.enabled=false", "PriorityLevelConfiguration"),
        ("uninstall.releaseServices=false", "Job"),
        ("webhook.replicas=1", "PodDisruptionBudget"),
    ] {
        let line = format!("kind: {kind}\n");
        assert!(rendered_with_hooks(&helm, &[]).contains(&line), "{kind}");
        let without = rendered_with_hooks(&helm, &["--set", value]);
        assert!(!without.contains(&line), "{kind} with {value}");
    }
    let missed = |mode: &str| {
        let text = rendered(&helm, &[&format!("--set=webhook.missedPods={mode}")]);
        let (_, policy) = text.split_once("policyName: missed-pods.active-passive.dev\n")?;
        policy.lines().next().map(|line| line.trim().to_owned())
    };
    assert_eq!(missed("Off"), None);
    for (mode, actions) in [
        ("Audit", "[\"Audit\"]"),
        ("Warn", "[\"Warn\",\"Audit\"]"),
        ("Deny", "[\"Deny\"]"),
    ] {
        assert_eq!(missed(mode), Some(format!("validationActions: {actions}")));
    }
}

#[test]
fn monitoring_is_there_when_it_is_asked_for() {
    let helm = helm();
    assert!(!rendered(&helm, &[]).contains("monitoring.coreos.com"));
    let text = rendered(&helm, &MONITORING);
    for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule"] {
        assert_eq!(
            text.matches(&format!("\nkind: {kind}\n")).count(),
            1,
            "{kind}"
        );
    }
    let ports = text
        .matches(&format!("- port: {}\n", contract::CONTAINER))
        .count();
    assert_eq!(ports, 1, "the sidecar's port is named like its container");
    assert!(text.contains("- port: metrics\n") && text.contains("- name: metrics\n"));
    // Alerts of groups read what only the PodMonitor brings.
    let webhook_only = rendered(&helm, &MONITORING[2..]);
    assert!(webhook_only.contains("ActivePassiveWebhookAbsent"));
    assert!(!webhook_only.contains("active_passive_role"));
}

/// Names of metrics as the programs spell them, less what the text format adds.
#[test]
fn alerts_read_metrics_that_exist_and_are_explained() {
    let text = rendered(&helm(), &MONITORING);
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("it is committed");
    let (webhook, sidecar) = (
        read("webhook/src/metrics.rs"),
        read("sidecar/src/metrics.rs"),
    );
    let mut seen = BTreeSet::new();
    for rest in text.split("active_passive_").skip(1) {
        let of_name = |c: &char| c.is_ascii_lowercase() || *c == '_';
        let name: String = rest.chars().take_while(of_name).collect();
        let (source, name) = match name.strip_prefix("webhook_") {
            Some(name) => (&webhook, name),
            None => (&sidecar, name.as_str()),
        };
        // The webhook's library adds these by itself.
        let plain = name.trim_end_matches("_bucket");
        let spelled = [
            plain,
            plain.trim_end_matches("_total"),
            plain.trim_end_matches("_seconds"),
        ];
        let exists = spelled
            .iter()
            .any(|name| source.contains(&format!("\"{name}\"")));
        assert!(exists || name.starts_with("dev_group"), "no metric {name}");
        seen.insert(name.to_owned());
    }
    assert!(seen.len() > 8, "only {seen:?}");

    let page = read("docs/operations.md");
    let alerts: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 8, "only {alerts:?}");
    for alert in alerts {
        assert!(
            page.contains(&format!("\n### {alert}\n")),
            "docs/operations.md does not explain {alert}"
        );
        let anchor = format!(
            "runbook_url: https://runbooks.example/operations#{}\n",
            alert.to_lowercase()
        );
        assert!(text.contains(&anchor), "{alert} does not say where");
    }
}
