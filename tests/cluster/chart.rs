//! What the chart promises: it installs, upgrades to itself and leaves next to nothing.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::cluster::{Cluster, ClusterOptions};
use tests::scene::{self, SYSTEM_NAMESPACE};

use crate::context::Case;
use crate::install_reviews::Reviews;
use crate::{certificate_damage, rotation};

const RELEASE: &str = "active-passive";
/// Label of every object of the chart, and of what its Deployment makes.
const OURS: &str = "--selector=app.kubernetes.io/name=active-passive";
/// What running groups need, and the policies of administrators: the next installation finds both.
pub(crate) const KEPT: [&str; 2] = [
    "ClusterRole/active-passive-sidecar",
    "CustomResourceDefinition/activepassivepolicies.active-passive.dev",
];
const POLICIES: &str = "validatingadmissionpolicies.admissionregistration.k8s.io";

pub(crate) const CASES: &[Case] = &[Case {
    name: "chart: installs, upgrades to itself, heals and replaces its certificates and leaves no more than a role",
    run: |_| Box::pin(installs_and_leaves()),
}];

/// In a cluster of its own: it takes away what other tests need.
async fn installs_and_leaves() -> Result<()> {
    let options = ClusterOptions {
        nodes: 1,
        ..Default::default()
    };
    let cluster = Cluster::start(options).await?;
    let before = installed(&cluster).await?;
    ensure!(before.is_empty(), "a new cluster holds {:?}", before.keys());

    scene::install(&cluster, &[]).await?;
    policies_compile(&cluster).await?;
    let first = installed(&cluster).await?;
    let bundled = |object: &Value| {
        let bundle = |entry: &Value| entry["clientConfig"]["caBundle"].is_string();
        let entries = object["webhooks"].as_array();
        entries.is_some_and(|all| !all.is_empty() && all.iter().all(bundle))
    };
    let configuration = first
        .get("MutatingWebhookConfiguration/active-passive")
        .context("the webhook is not configured")?;
    ensure!(
        bundled(configuration),
        "each entry has its caBundle: {configuration:#}"
    );

    scene::install(&cluster, &[]).await?;
    let second = installed(&cluster).await?;
    for (name, object) in &first {
        let now = second.get(name);
        ensure!(
            now == Some(object),
            "an upgrade to itself changed {name}:\n{object:#}\nis now\n{now:#?}"
        );
    }

    restarts_unnoticed(&cluster).await?;
    certificate_damage::is_healed(&cluster).await?;
    rotation::rotates(&cluster).await?;

    let uninstall = ["uninstall", RELEASE, "--namespace", SYSTEM_NAMESPACE];
    cluster.kube().helm(&uninstall).await?;
    // Its pods serve on for a while, for whoever has not heard of their end.
    let pods = ["--namespace", SYSTEM_NAMESPACE, "wait", "pods", OURS];
    let gone = ["--for=delete", "--timeout=60s"];
    cluster.kubectl(&[&pods[..], &gone].concat()).await?;
    let left = installed(&cluster).await?;
    ensure!(
        left.keys().eq(KEPT),
        "left behind: {:?}, and only {KEPT:?} should be",
        left.keys()
    );
    cluster.stop()?;
    Ok(())
}

/// Nobody who makes a pod notices that the webhook is restarted, or upgraded to other pods.
async fn restarts_unnoticed(cluster: &Cluster) -> Result<()> {
    let old = webhooks(cluster).await?;
    let reviews = Reviews::start(cluster)?;
    let restart = ["rollout", "restart", "deployment/active-passive-webhook"];
    let at = ["--namespace", SYSTEM_NAMESPACE];
    cluster.kubectl(&[&at[..], &restart].concat()).await?;
    gone(cluster, &old).await?;
    reviews.all_injected("a rolling restart").await?;

    let old = webhooks(cluster).await?;
    let reviews = Reviews::start(cluster)?;
    scene::install(cluster, &["webhook.log=debug"]).await?;
    gone(cluster, &old).await?;
    reviews.all_injected("an upgrade").await
}

/// The webhook's pods, as kubectl names them.
async fn webhooks(cluster: &Cluster) -> Result<Vec<String>> {
    let webhook = "--selector=app.kubernetes.io/component=webhook";
    let get = ["get", "pods", webhook, "--output=name"];
    let at = ["--namespace", SYSTEM_NAMESPACE];
    let names = cluster.kubectl(&[&at[..], &get].concat()).await?;
    let names: Vec<String> = names.lines().map(str::to_owned).collect();
    ensure!(!names.is_empty(), "the webhook has no pods");
    Ok(names)
}

/// Waits until these pods have ended: they serve on for a while after they were told to.
async fn gone(cluster: &Cluster, pods: &[String]) -> Result<()> {
    let mut wait = vec!["--namespace", SYSTEM_NAMESPACE, "wait", "--for=delete"];
    wait.push("--timeout=90s");
    wait.extend(pods.iter().map(String::as_str));
    cluster.kubectl(&wait).await?;
    Ok(())
}

/// Objects of the release by kind and name, less what counts and dates changes.
pub(crate) async fn of_the_release(cluster: &Cluster) -> Result<BTreeMap<String, Value>> {
    let mut objects = installed(cluster).await?;
    // A ReplicaSet copies the annotations of its Deployment.
    objects.retain(|_, object| {
        let metadata = &object["metadata"];
        metadata["annotations"]["meta.helm.sh/release-name"] == RELEASE
            && metadata["ownerReferences"].is_null()
    });
    for object in objects.values_mut() {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in ["generation", "uid", "creationTimestamp"] {
                metadata.remove(field);
            }
        }
        if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
            annotations.remove("deployment.kubernetes.io/revision");
        }
    }
    Ok(objects)
}

/// The API server has looked at every policy and has no objection to its types.
async fn policies_compile(cluster: &Cluster) -> Result<()> {
    let checked = "--for=jsonpath={.status.observedGeneration}=1";
    cluster
        .kubectl(&["wait", POLICIES, "--all", checked, "--timeout=30s"])
        .await?;
    let policies = cluster.kubectl(&["get", POLICIES, "--output=json"]).await?;
    let policies: Value = serde_json::from_str(&policies)?;
    let policies = policies["items"].as_array().context("a list has items")?;
    ensure!(policies.len() == 13, "{} policies", policies.len());
    for policy in policies {
        let warnings = &policy["status"]["typeChecking"]["expressionWarnings"];
        let name = &policy["metadata"]["name"];
        ensure!(warnings.is_null(), "{name} does not compile: {warnings:#}");
    }
    Ok(())
}

/// Every object of the chart by kind and name, without what the API server keeps for itself.
pub(crate) async fn installed(cluster: &Cluster) -> Result<BTreeMap<String, Value>> {
    let kinds = cluster
        .kubectl(&["api-resources", "--verbs=list,delete", "--output=name"])
        .await?;
    let kinds = kinds.split_whitespace().collect::<Vec<_>>().join(",");
    let objects = ["get", &kinds, "--all-namespaces", OURS, "--output=json"];
    let objects: Value = serde_json::from_str(&cluster.kubectl(&objects).await?)?;
    let objects = objects["items"]
        .as_array()
        .context("a list has items")?
        .iter();
    Ok(objects
        .map(|object| {
            let text = |pointer| {
                object
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or("")
            };
            let name = format!("{}/{}", text("/kind"), text("/metadata/name"));
            let mut object = object.clone();
            if let Some(fields) = object.as_object_mut() {
                fields.remove("status");
            }
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("managedFields");
                metadata.remove("resourceVersion");
            }
            (name, object)
        })
        .collect())
}
