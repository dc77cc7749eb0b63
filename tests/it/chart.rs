//! What the values of the chart make of it, beside what `deploy/` shows.

use std::process::Command;

use common::contract;

use crate::deploy::{helm, rendered, rendered_with_hooks, template};
use crate::tidy::root;

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
        ("webhook.securePort=443", "/webhook/securePort"),
        ("webhook.hostNetwork=yes", "/webhook/hostNetwork"),
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
fn ports_are_free_where_the_webhook_is() {
    let helm = helm();
    let ports = |arguments: &[&str]| {
        let text = rendered(&helm, arguments);
        let mut objects = text.split("\n---\n");
        let deployment = objects.find(|object| object.contains("\nkind: Deployment\n"));
        let deployment = deployment.expect("the webhook has a Deployment").to_owned();
        let of = |mark: &str| -> Vec<u16> {
            let lines = deployment.lines().filter_map(|line| line.split_once(mark));
            lines.map(|(_, port)| port.parse().expect(mark)).collect()
        };
        let ports = of("containerPort: ");
        assert_eq!(ports, of("listen=[::]:"), "{deployment}");
        (ports, deployment)
    };
    let (usual, deployment) = ports(&[]);
    assert_eq!(
        usual,
        [contract::WEBHOOK_PORT, contract::WEBHOOK_ADMIN_PORT]
    );
    assert!(!deployment.contains("hostNetwork") && deployment.contains("maxUnavailable: 0\n"));

    let host = "--set=webhook.hostNetwork=true";
    let (on_nodes, deployment) = ports(&[host]);
    assert_eq!(on_nodes, contract::WEBHOOK_HOST_PORTS);
    for line in [
        "hostNetwork: true\n",
        "dnsPolicy: ClusterFirstWithHostNet\n",
        "maxSurge: 0\n",
        "maxUnavailable: 1\n",
    ] {
        assert!(deployment.contains(line), "{line}: {deployment}");
    }
    let own = [
        "--set=webhook.securePort=9443",
        "--set=webhook.adminPort=9444",
    ];
    assert_eq!(ports(&[&[host][..], &own].concat()).0, [9443, 9444]);
    assert_eq!(ports(&own[..1]).0, [9443, contract::WEBHOOK_ADMIN_PORT]);

    let images = ["webhook", "sidecar"].map(|it| format!("--set={it}.image.repository=here/{it}"));
    let images = images.each_ref().map(String::as_str);
    for (clash, said) in [
        (
            &[host, "--set=webhook.securePort=10250"][..],
            "the kubelet's",
        ),
        (&["--set=webhook.securePort=8080"], "are one port"),
    ] {
        let error = template(&helm, &[&images[..], clash].concat()).expect_err(said);
        assert!(error.contains(said), "{error}");
    }
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

#[test]
fn notes_say_what_to_do_next() {
    let helm = helm();
    let notes = |arguments: &[&str]| {
        let output = Command::new(&helm)
            .args([
                "install",
                "ours",
                "charts/active-passive",
                "--dry-run=client",
            ])
            .args(["--namespace", "here", "--hide-secret"])
            .args(["webhook", "sidecar"].map(|it| format!("--set={it}.image.repository=at/{it}")))
            .args(arguments)
            .current_dir(root())
            .output()
            .expect("helm starts");
        let text = String::from_utf8(output.stdout).expect("helm writes UTF-8");
        let (_, notes) = text.rsplit_once("NOTES:").expect("there are notes");
        notes.to_owned()
    };
    let usual = notes(&[]);
    for line in [
        "kubectl -n here rollout status deployment/active-passive-webhook\n",
        "helm test ours --namespace here\n",
        "annotations: {active-passive.dev/inject: \"true\"}\n",
        "annotations: {active-passive.dev/group: NAME}\n",
        "kubectl get pods -L active-passive.dev/role\n",
        "Nothing is injected in kube-system, kube-node-lease, kube-public, here.\n",
        "Fencing refuses violations",
    ] {
        assert!(usual.contains(line), "{line:?} is not in\n{usual}");
    }
    for (value, line) in [
        (
            "routing.rule=Sidecar",
            "the next server-side apply of that Service ends with a conflict",
        ),
        ("fencing.mode=Audit", "Fencing only notes violations"),
        (
            "webhook.failurePolicy=Ignore",
            "webhook.missedPods=Warn: whoever makes one is told.",
        ),
        (
            "webhook.hostNetwork=true",
            "reach port 14270\nof nodes, there have to be 2 of them",
        ),
    ] {
        let said = notes(&[&format!("--set={value}")]);
        assert!(said.contains(line), "{value}: {line:?} is not in\n{said}");
        assert!(!usual.contains(line), "{line:?} without {value}");
    }
}
