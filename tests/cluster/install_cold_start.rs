//! The whole cluster starts anew, with failurePolicy Fail: no node and no pod is left, and the API
//! server asks a webhook that nobody runs.

use anyhow::{Result, ensure};
use common::contract;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use tests::cluster::Cluster;
use tests::scene::{SYSTEM_NAMESPACE, Scene};

use crate::context::eventually;

const GROUP: &str = "web";
const NAMESPACE: &str = "default";
const REPLICAS: usize = 3;
const WEBHOOK: &str = "app.kubernetes.io/component=webhook";
/// Until a controller has tried to make a pod, milliseconds.
const TRIED_MS: u64 = 20_000;
/// From the first node that is back to the group that serves again, milliseconds. A ReplicaSet that was
/// refused tries again after twice the time each.
const STARTED_MS: u64 = 60_000;

/// In a cluster of two nodes, with the chart as it is by default.
pub(crate) async fn starts(cluster: &Cluster) -> Result<()> {
    let manifest = Scene::example()?;
    let scene = Scene::open(cluster, NAMESPACE, GROUP, &manifest, REPLICAS).await?;
    scene.settled().await?;

    // As after a power cut of all machines whose nodes come back without what ran there.
    for node in cluster.nodes() {
        cluster.cut(node).await?;
    }
    cluster.stop_api_server().await?;
    cluster.start_api_server().await?;
    let pods = ["delete", "pods", "--all", "--force", "--grace-period=0"];
    for namespace in [NAMESPACE, SYSTEM_NAMESPACE] {
        let at = ["--namespace", namespace, "--wait=false"];
        cluster.kubectl(&[&pods[..], &at].concat()).await?;
    }
    refused(cluster).await?;

    for node in cluster.nodes() {
        cluster.heal(node).await?;
    }
    let started = std::time::Instant::now();
    eventually("the group is back", STARTED_MS, async || {
        let pods = running(cluster, NAMESPACE, &format!("app={GROUP}")).await?;
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        Ok(if ready == REPLICAS {
            Ok(())
        } else {
            Err(format!("{ready} pods are ready"))
        })
    })
    .await?;
    let active = scene.settled().await?;
    println!(
        "a cold start took {} ms from the first node to the group, whose active pod is {}",
        started.elapsed().as_millis(),
        active.name
    );
    none_is_bare(cluster).await
}

/// Pods of the group are refused, and the webhook's own are made.
async fn refused(cluster: &Cluster) -> Result<()> {
    eventually("the group's pods are refused", TRIED_MS, async || {
        let events = ["get", "events", "--field-selector=reason=FailedCreate"];
        let messages = [
            "--namespace",
            NAMESPACE,
            "--output=jsonpath={.items[*].message}",
        ];
        let said = cluster.kubectl(&[&events[..], &messages].concat()).await?;
        Ok(if said.contains("failed calling webhook") {
            Ok(())
        } else {
            Err(said)
        })
    })
    .await?;
    let own = running(cluster, SYSTEM_NAMESPACE, WEBHOOK).await?;
    ensure!(own.len() == 2, "{} pods of the webhook are made", own.len());
    let group = running(cluster, NAMESPACE, &format!("app={GROUP}")).await?;
    ensure!(group.is_empty(), "pods of the group start without sidecar");
    Ok(())
}

/// No pod of the group came without its sidecar, which it has from the webhook alone.
async fn none_is_bare(cluster: &Cluster) -> Result<()> {
    for pod in running(cluster, NAMESPACE, &format!("app={GROUP}")).await? {
        let annotations = pod.metadata.annotations.unwrap_or_default();
        ensure!(
            annotations.contains_key(contract::INJECTED),
            "a pod is bare"
        );
    }
    Ok(())
}

/// Pods that are not on their way out.
async fn running(cluster: &Cluster, namespace: &str, selector: &str) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let listed = pods.list(&ListParams::default().labels(selector)).await?;
    let stays = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
    Ok(listed.items.into_iter().filter(stays).collect())
}

fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|it| it.type_ == "Ready" && it.status == "True")
}
