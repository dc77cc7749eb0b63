//! What becomes of reviews when replicas of the webhook die, when all do, when a node does, and of a
//! cluster in which everything has to start anew, or in which API servers reach nodes only.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use common::contract;
use serde_json::{Value, json};
use tests::cluster::images::{self, Kind};
use tests::cluster::{Cluster, ClusterOptions, Signal};
use tests::scene::{self, RELEASE, SYSTEM_NAMESPACE};
use tests::{clock, project_root};

use crate::context::{Case, eventually};
use crate::install_reviews::Reviews;
use crate::{install_cold_start, install_host_network};

const WEBHOOK: &str = "deployment/active-passive-webhook";
const CONTAINER: &str = "webhook";
const WEBHOOK_PODS: &str = "--selector=app.kubernetes.io/component=webhook";
const NODES: [&str; 2] = ["n1", "n2"];
/// Until what was asked of Kubernetes is seen, milliseconds.
const SEEN_MS: u64 = 60_000;
/// A node is given up this long after its last sign (kube-controller-manager's
/// `node-monitor-grace-period`), and looked at every 5 s.
const NODE_GIVEN_UP_MS: u64 = 55_000;
/// A review that was sent to the lost node before that waits so long for an answer: the chart's
/// `webhook.timeoutSeconds`.
const REVIEW_TIMEOUT_MS: u64 = 10_000;
/// For kube-proxy, milliseconds.
const PROXIES_MS: u64 = 5_000;

pub(crate) const CASES: &[Case] = &[Case {
    name: "install: two at once, replicas that die, the loss of a node, a cold start, and the network of nodes",
    run: |_| Box::pin(available()),
}];

/// In a cluster of its own: it takes away what other tests need.
async fn available() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let images = images::build(&Kind::ALL).await?;
    scene::load_images(&cluster, &images).await?;
    two_install_at_once(&cluster).await?;
    all_are_gone(&cluster).await?;
    one_is_killed(&cluster).await?;
    a_node_is_lost(&cluster).await?;
    // After that: of nodes that come back one after the other, the first may get both replicas.
    install_cold_start::starts(&cluster).await?;
    install_host_network::serves(&cluster).await?;
    cluster.stop()?;
    Ok(())
}

/// One admin's install counts, the other's is refused by Helm, and what is installed works.
async fn two_install_at_once(cluster: &Cluster) -> Result<()> {
    let chart = project_root().join("charts/active-passive");
    let chart = chart.to_string_lossy();
    let mut install = vec!["install", RELEASE, &chart, "--namespace", SYSTEM_NAMESPACE];
    install.extend(["--create-namespace", "--wait", "--timeout", "90s"]);
    let values = images::chart_values();
    for value in &values {
        install.extend(["--set", value]);
    }
    let kube = cluster.kube();
    let (one, other) = tokio::join!(kube.helm(&install), kube.helm(&install));
    let refused = match (one, other) {
        (Ok(_), Err(error)) | (Err(error), Ok(_)) => error.to_string(),
        (Ok(_), Ok(_)) => anyhow::bail!("both were told that they installed it"),
        (Err(one), Err(other)) => anyhow::bail!("nobody installed it: {one}\n{other}"),
    };
    ensure!(
        refused.contains("cannot re-use a name") || refused.contains("already exists"),
        "the second is told: {refused}"
    );
    injects(cluster).await
}

/// Without any replica annotated pods wait, all others start, and the webhook comes back by itself.
async fn all_are_gone(cluster: &Cluster) -> Result<()> {
    scale(cluster, 0).await?;
    let gone = [WEBHOOK_PODS, "--for=delete", "--timeout=60s"];
    system(cluster, &[&["wait", "pods"], &gone[..]].concat()).await?;
    let refused = create(cluster, &pod("default", true)).await.err();
    let refused = refused
        .context("an annotated pod started bare")?
        .to_string();
    ensure!(refused.contains("failed calling webhook"), "{refused}");
    create(cluster, &pod("default", false)).await?;
    for exempt in ["kube-system", SYSTEM_NAMESPACE] {
        let bare = create(cluster, &pod(exempt, true)).await?;
        ensure!(!is_injected(&bare), "{exempt} is injected: {bare:#}");
    }
    scale(cluster, 2).await?;
    system(cluster, &["rollout", "status", WEBHOOK, "--timeout=60s"]).await?;
    injects(cluster).await
}

/// A replica that is killed costs at most the reviews that it had, until kube-proxy knows.
async fn one_is_killed(cluster: &Cluster) -> Result<()> {
    let (_, uid) = replica_on(cluster, NODES[0]).await?;
    let reviews = Reviews::start(cluster)?;
    cluster.signal(&uid, CONTAINER, Signal::SIGKILL).await?;
    let restarts = format!(
        "--output=jsonpath={{.items[?(@.metadata.uid==\"{uid}\")].status.containerStatuses[0]['restartCount','ready']}}"
    );
    eventually("the replica is back", SEEN_MS, async || {
        let said = system(cluster, &["get", "pods", WEBHOOK_PODS, &restarts]).await?;
        Ok(if said == "1 true" { Ok(()) } else { Err(said) })
    })
    .await?;
    injects(cluster).await?;
    let outcome = reviews.end().await?;
    println!(
        "{} of {} reviews failed when a replica was killed",
        outcome.failed.len(),
        outcome.reviews
    );
    let late = outcome
        .failed
        .iter()
        .find(|(at, _)| at.as_millis() > u128::from(PROXIES_MS));
    ensure!(late.is_none(), "still failing: {late:?}");
    Ok(())
}

/// A lost node takes the reviews that go there with it, until Kubernetes gives the node up.
async fn a_node_is_lost(cluster: &Cluster) -> Result<()> {
    replica_on(cluster, NODES[0]).await?;
    replica_on(cluster, NODES[1]).await?;
    let reviews = Reviews::start(cluster)?;
    let start_ms = clock::now_ms();
    cluster.cut(NODES[1]).await?;
    let ready = "--output=jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    eventually(
        "the node is given up",
        NODE_GIVEN_UP_MS + PROXIES_MS,
        async || {
            let said = cluster.kubectl(&["get", "node", NODES[1], ready]).await?;
            Ok(if said == "Unknown" { Ok(()) } else { Err(said) })
        },
    )
    .await?;
    let given_up_ms = clock::now_ms() - start_ms;
    // What was under way has been answered or given up by then.
    tokio::time::sleep(Duration::from_millis(REVIEW_TIMEOUT_MS + PROXIES_MS)).await;
    let outcome = reviews.end().await?;
    cluster.heal(NODES[1]).await?;
    let last_ms = outcome.failed.last().map_or(0, |(at, _)| at.as_millis());
    println!(
        "{} of {} reviews failed after the loss of a node, the last {last_ms} ms after it; the node \
         was given up after {given_up_ms} ms",
        outcome.failed.len(),
        outcome.reviews,
    );
    let bare = outcome.failed.iter().find(|(_, why)| why == "not injected");
    ensure!(bare.is_none(), "a pod went without its sidecar: {bare:?}");
    let bound_ms = u128::from(given_up_ms + PROXIES_MS + REVIEW_TIMEOUT_MS);
    ensure!(last_ms <= bound_ms, "failed {last_ms} ms after the loss");
    Ok(())
}

/// Name and uid of the replica on a node.
async fn replica_on(cluster: &Cluster, node: &str) -> Result<(String, String)> {
    let on = format!("--field-selector=spec.nodeName={node}");
    let names = "--output=jsonpath={.items[*]['metadata.name','metadata.uid']}";
    let said = system(cluster, &["get", "pods", WEBHOOK_PODS, &on, names]).await?;
    let (name, uid) = said
        .split_once(' ')
        .with_context(|| format!("no single replica on {node}: {said:?}"))?;
    Ok((name.to_owned(), uid.to_owned()))
}

async fn scale(cluster: &Cluster, replicas: u32) -> Result<()> {
    let replicas = format!("--replicas={replicas}");
    system(cluster, &["scale", WEBHOOK, &replicas]).await?;
    Ok(())
}

/// kubectl in the webhook's namespace.
async fn system(cluster: &Cluster, args: &[&str]) -> Result<String> {
    let args = [&["--namespace", SYSTEM_NAMESPACE], args].concat();
    Ok(cluster.kubectl(&args).await?)
}

/// Waits until an annotated pod gets its sidecar.
async fn injects(cluster: &Cluster) -> Result<()> {
    eventually("a pod gets its sidecar", SEEN_MS, async || {
        Ok(match create(cluster, &pod("default", true)).await {
            Ok(pod) if is_injected(&pod) => Ok(()),
            Ok(pod) => Err(format!("not injected: {pod:#}")),
            Err(error) => Err(format!("{error:#}")),
        })
    })
    .await
}

/// What the API server would make of a pod.
async fn create(cluster: &Cluster, pod: &Value) -> Result<Value> {
    let create = ["create", "--dry-run=server", "--output=json", "-f", "-"];
    let pod = cluster
        .kubectl_with_input(&create, &pod.to_string())
        .await?;
    Ok(serde_json::from_str(&pod)?)
}

fn pod(namespace: &str, annotated: bool) -> Value {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "namespace": namespace},
        "spec": {"containers": [{"name": "app", "image": Kind::ExampleApp.name()}]},
    });
    if annotated {
        pod["metadata"]["annotations"] =
            json!({contract::INJECT: "true", contract::GROUP: "probe"});
    }
    pod
}

fn is_injected(pod: &Value) -> bool {
    pod["spec"]["initContainers"][0]["name"] == contract::CONTAINER
}
