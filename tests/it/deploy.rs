//! `deploy/` is what the chart renders, and the chart spells names as the contract does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::contract;
use tests::cluster::Binaries;

use crate::tidy::{contract_keys, keys_in, root};

const NAMESPACE: &str = "active-passive-system";

/// Where the images of `deploy/` seem to be: nobody can have this name, so nobody can push to it.
const REGISTRY: &str = "registry.invalid/active-passive";

/// A file of `deploy/`, and what Helm is told of the cluster that it is for.
struct Rendering {
    file: &'static str,
    cluster: &'static [&'static str],
}

const RENDERINGS: [Rendering; 2] = [
    Rendering {
        file: "deploy/install.yaml",
        cluster: &[
            "--kube-version=1.36.0",
            "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy",
        ],
    },
    Rendering {
        file: "deploy/pre-1.36/install.yaml",
        cluster: &["--kube-version=1.30.0"],
    },
];

/// What Helm makes with `--create-namespace` and does not render.
const HEAD: &str = "\
# Rendered from charts/active-passive: edit that, then UPDATE=1 make test ONLY=deploy.
---
apiVersion: v1
kind: Namespace
metadata:
  name: active-passive-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
";

pub(crate) fn helm() -> PathBuf {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime
        .block_on(Binaries::helm())
        .expect("helm is found or built")
        .path("helm")
}

/// The chart as Helm renders it without images, or why it does not. Without empty lines: their number
/// differs between versions of Helm.
pub(crate) fn template(helm: &Path, arguments: &[&str]) -> Result<String, String> {
    let chart = ["template", "active-passive", "charts/active-passive"];
    let output = Command::new(helm)
        .args(chart)
        .args(["--namespace", NAMESPACE])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("helm starts");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8(output.stdout).expect("helm writes UTF-8");
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    Ok(lines.map(|line| format!("{line}\n")).collect())
}

/// What is installed, with images.
pub(crate) fn rendered(helm: &Path, arguments: &[&str]) -> String {
    rendered_with_hooks(helm, &[&["--no-hooks"], arguments].concat())
}

/// The same, and what Helm makes for a moment.
pub(crate) fn rendered_with_hooks(helm: &Path, arguments: &[&str]) -> String {
    let images = ["webhook", "sidecar"]
        .map(|image| format!("--set={image}.image.repository={REGISTRY}/{image}"));
    let arguments = [&images.each_ref().map(String::as_str)[..], arguments].concat();
    template(helm, &arguments)
        .unwrap_or_else(|error| panic!("helm template {arguments:?}: {error}"))
}

/// `UPDATE=1` writes the files instead.
#[test]
fn deploy_is_what_the_chart_renders() {
    let helm = helm();
    for Rendering { file, cluster } in RENDERINGS {
        let expected = format!("{HEAD}{}", rendered(&helm, cluster));
        let path = root().join(file);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &expected).expect("deploy/ can be written");
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == expected,
            "{file} is out of date: UPDATE=1 make test ONLY=deploy"
        );
    }
}

#[test]
fn chart_speaks_the_contract() {
    let helm = helm();
    let known = contract_keys();
    for Rendering { file, cluster } in RENDERINGS {
        let text = rendered(&helm, cluster);
        let unknown: BTreeSet<String> = keys_in(&text).filter(|key| !known.contains(key)).collect();
        assert!(
            unknown.is_empty(),
            "{file}: not in the contract: {unknown:?}"
        );
        for (what, line) in [
            (
                "sidecar's role",
                format!("name: {}\n", contract::SIDECAR_CLUSTER_ROLE),
            ),
            (
                "router's role",
                format!("name: {}\n", contract::ROUTER_CLUSTER_ROLE),
            ),
            (
                "webhook's port",
                format!("containerPort: {}\n", contract::WEBHOOK_PORT),
            ),
            (
                "admin port",
                format!("containerPort: {}\n", contract::WEBHOOK_ADMIN_PORT),
            ),
            ("path of pods", format!("path: {}\n", contract::INJECT_PATH)),
            (
                "group accounts",
                format!(":{}", contract::GROUP_ACCOUNT_PREFIX),
            ),
        ] {
            assert!(text.contains(&line), "{file}: {what} is not {line:?}");
        }
        let by_policy = text.contains("kind: MutatingAdmissionPolicy\n");
        let by_webhook = text.contains(&format!("path: {}\n", contract::ROUTE_PATH));
        assert!(
            by_policy != by_webhook,
            "{file}: a Service is routed by one of the two"
        );
        assert!(
            !text.contains("caBundle:") && !text.contains("\ndata:"),
            "{file}: secrets rendered"
        );
    }
}

#[test]
fn values_decide() {
    let helm = helm();
    let fenced = |arguments: &[&str]| {
        rendered(&helm, arguments)
            .matches("validationActions: [")
            .count()
    };
    // Six of the fencing of roles, five of the webhook's own account, one that looks for missed pods, one
    // that tells that Service mode is off.
    assert_eq!(fenced(&[]), 13);
    assert_eq!(fenced(&["--set=fencing.mode=Off"]), 2);
    // What YAML makes of a bare Off in a file of values.
    assert_eq!(fenced(&["--set-json=fencing.mode=false"]), 2);
    // Service mode has three of the fencing for itself, and rights that nobody else has.
    let on = "--set=serviceMode.enabled=true";
    assert_eq!(fenced(&[on]), 15);
    assert_eq!(fenced(&[on, "--set=fencing.mode=Off"]), 1);
    for (arguments, is_there) in [(&[][..], false), (&[on], true)] {
        let text = rendered(&helm, arguments);
        assert_eq!(
            text.contains("serviceAccountName: active-passive-service-mode"),
            is_there
        );
    }
    let deny = rendered(&helm, &["--set=fencing.exemptGroups={ops,sre}"]);
    assert_eq!(deny.matches("validationActions: [Deny]").count(), 11);
    assert_eq!(deny.matches("g in ['ops','sre'])").count(), 3);
    let audit = rendered(&helm, &["--set=fencing.mode=Audit"]);
    assert_eq!(audit.matches("validationActions: [Audit]").count(), 11);

    for (rule, by_policy, by_webhook) in [
        ("Policy", true, false),
        ("Webhook", false, true),
        ("Sidecar", false, false),
    ] {
        let text = rendered(&helm, &[&format!("--set=routing.rule={rule}")]);
        let policy = text.contains("kind: MutatingAdmissionPolicy\n");
        let webhook = text.contains(&format!("path: {}\n", contract::ROUTE_PATH));
        assert_eq!((policy, webhook), (by_policy, by_webhook), "{rule}");
    }

    let digest = format!("sha256:{}", "0".repeat(64));
    let image = format!("--set=webhook.image.digest={digest}");
    let pinned = rendered(&helm, &[&image, "--set=sidecar.image.tag=9.9"]);
    assert!(pinned.contains(&format!("image: {REGISTRY}/webhook@{digest}\n")));
    assert!(pinned.contains(&format!("--sidecar-image={REGISTRY}/sidecar:9.9\n")));

    let single = rendered(&helm, &["--set=webhook.replicas=1"]);
    assert!(
        !single.contains("PodDisruptionBudget"),
        "a budget of one pod blocks every drain"
    );
}

#[test]
fn certificates_come_from_whom_the_values_name() {
    let helm = helm();
    let own = rendered(&helm, &[]);
    assert!(own.contains("--certificate=own\n") && !own.contains("cert-manager.io"));

    let manager = rendered(&helm, &["--set=certificates.mode=certManager"]);
    assert!(manager.contains("--certificate=given\n"));
    assert_eq!(manager.matches("kind: Certificate\n").count(), 2);
    assert_eq!(manager.matches("\nkind: Secret\n").count(), 0);
    let service = format!("- active-passive-webhook.{NAMESPACE}.svc\n");
    assert!(manager.contains(&service), "the name that API servers use");
    let issuer = "--set-json=certificates.certManager.issuerRef={\"name\":\"ours\",\"kind\":\"ClusterIssuer\"}";
    let issued = rendered(&helm, &["--set=certificates.mode=certManager", issuer]);
    assert_eq!(issued.matches("kind: Certificate\n").count(), 1);
    assert!(issued.contains("kind: ClusterIssuer\n") && issued.contains("name: ours\n"));

    let given = [
        "--set=certificates.mode=secret",
        "--set=certificates.secretName=mine",
    ];
    let given = rendered(&helm, &given);
    assert!(given.contains("--certificate-secret=mine\n"));
    let rules = |rendering: &str| rendering.matches("\n    resources: [secrets]\n").count();
    assert_eq!(
        (rules(&own), rules(&manager), rules(&given)),
        (2, 1, 1),
        "only read"
    );
}
