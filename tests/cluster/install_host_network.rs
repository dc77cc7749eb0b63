//! The webhook in the network of its nodes, for an API server that reaches nodes and no pods.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use common::contract::WEBHOOK_HOST_PORTS;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use tests::cluster::Cluster;
use tests::scene::{self, SYSTEM_NAMESPACE};

use crate::install_reviews::Reviews;

const WEBHOOK: &str = "deployment/active-passive-webhook";
const REPLICAS: usize = 2;

/// In a cluster of two nodes, where the chart is installed and a group called `web` runs. Pods cannot
/// be reached any more afterwards.
pub(crate) async fn serves(cluster: &Cluster) -> Result<()> {
    let reviews = Reviews::start(cluster)?;
    scene::install_chart(cluster.kube(), &["webhook.hostNetwork=true"]).await?;
    // Helm is content with one replica less.
    let status = ["rollout", "status", WEBHOOK, "--timeout=90s"];
    let at = ["--namespace", SYSTEM_NAMESPACE];
    cluster.kubectl(&[&at[..], &status].concat()).await?;
    let moved = "the move to the network of the nodes";
    reviews.all_injected(moved).await?;
    one_on_each_node(cluster).await?;
    needs_a_privileged_namespace(cluster).await?;

    let pod = group_pod(cluster).await?;
    cluster.kubectl(&["get", "--raw", &pod]).await?;
    cluster.hide_pods().await?;
    let hidden = cluster.kubectl(&["get", "--raw", &pod]).await;
    ensure!(hidden.is_err(), "the API server still reaches {pod}");
    let reviews = Reviews::start(cluster)?;
    scene::install_chart(
        cluster.kube(),
        &["webhook.hostNetwork=true", "webhook.log=debug"],
    )
    .await?;
    reviews
        .all_injected("an upgrade while no pod can be reached")
        .await
}

/// The replicas have the addresses and ports of two nodes.
async fn one_on_each_node(cluster: &Cluster) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), SYSTEM_NAMESPACE);
    let webhook = ListParams::default().labels("app.kubernetes.io/component=webhook");
    let mut addresses = BTreeSet::new();
    for pod in pods.list(&webhook).await?.items {
        if pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let status = pod.status.unwrap_or_default();
        ensure!(
            status.pod_ip.is_some() && status.pod_ip == status.host_ip,
            "a replica has the address {:?} on the node {:?}",
            status.pod_ip,
            status.host_ip
        );
        addresses.insert(status.pod_ip);
        let containers = pod.spec.unwrap_or_default().containers;
        let ports = containers.iter().flat_map(|it| it.ports.iter().flatten());
        let ports: Vec<_> = ports.filter_map(|port| port.host_port).collect();
        let wanted = WEBHOOK_HOST_PORTS.map(i32::from);
        ensure!(ports == wanted, "ports of the node: {ports:?}");
    }
    ensure!(addresses.len() == REPLICAS, "replicas at {addresses:?}");
    Ok(())
}

/// What docs and notes say of Pod Security.
async fn needs_a_privileged_namespace(cluster: &Cluster) -> Result<()> {
    for (level, admitted) in [("baseline", false), ("privileged", true)] {
        let label = format!("pod-security.kubernetes.io/enforce={level}");
        let command = ["label", "namespace", SYSTEM_NAMESPACE, &label];
        let look = ["--dry-run=server", "--overwrite", "--warnings-as-errors"];
        let said = cluster.kubectl(&[&command[..], &look].concat()).await;
        ensure!(said.is_ok() == admitted, "{level}: {said:?}");
    }
    Ok(())
}

/// Where the API server answers for a pod of the group.
async fn group_pod(cluster: &Cluster) -> Result<String> {
    let name = "--output=jsonpath={.items[0].metadata.name}";
    let name = cluster
        .kubectl(&["get", "pods", "-l", "app=web", name])
        .await?;
    Ok(format!(
        "/api/v1/namespaces/default/pods/{name}:8080/proxy/"
    ))
}
