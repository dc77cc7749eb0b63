//! What the values of the chart make of it, beside what `deploy/` shows.

use common::contract;

use crate::deploy::{helm, rendered, rendered_with_hooks, template};

const MONITORING: [&str; 3] = [
    "--set=monitoring.serviceMonitor=true",
    "--set=monitoring.podMonitor=true",
    "--set=monitoring.prometheusRule=true",
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
        (
            "commonLabels.app\\.kubernetes\\.io/name=mine",
            "/commonLabels",
        ),
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
    let count = |text: &str, kind: &str| text.matches(&format!("\nkind: {kind}\n")).count();
    for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule"] {
        assert_eq!(count(&text, kind), 1, "{kind}");
    }
    let service_mode = [&MONITORING[..], &["--set=serviceMode.enabled=true"]].concat();
    assert_eq!(count(&rendered(&helm, &service_mode), "PodMonitor"), 2);
    let ports = text
        .matches(&format!("- port: {}\n", contract::CONTAINER))
        .count();
    assert_eq!(ports, 1, "the sidecar's port is named like its container");
    assert!(text.contains("- port: metrics\n") && text.contains("- name: metrics\n"));
}
