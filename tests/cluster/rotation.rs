//! A certificate's years in a minute: authorities come and go, and no review fails.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use common::contract;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, PostParams};
use serde_json::json;
use tests::cluster::Cluster;
use tests::cluster::images::Kind;
use tests::scene::{self, SYSTEM_NAMESPACE};

const SECRET: &str = "active-passive-webhook-certificate";
/// An authority is due 15 s after it was made, and its replacement takes two steps.
const LIVES: [&str; 5] = [
    "certificates.authority.lifetime=60s",
    "certificates.authority.renewBefore=45s",
    "certificates.serving.lifetime=30s",
    "certificates.serving.renewBefore=15s",
    "certificates.rotationStep=6s",
];
/// Authorities that shall have signed, one after the other.
const AUTHORITIES: usize = 3;
/// Time for that, milliseconds.
const ROTATIONS_MS_MAX: u64 = 150_000;
/// From one review to the next, milliseconds.
const EVERY_MS: u64 = 50;

/// Creates annotated pods, as dry runs, while certificates are replaced one after the other.
pub(crate) async fn rotates(cluster: &Cluster) -> Result<()> {
    let first = signer(cluster).await?;
    scene::install(cluster, &LIVES).await?;
    let pods: Api<Pod> = Api::namespaced(cluster.client(), "default");
    let pod: Pod = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "probe-",
            "annotations": {contract::INJECT: "true", contract::GROUP: "probe"},
        },
        "spec": {"containers": [{"name": "app", "image": Kind::ExampleApp.name()}]},
    }))?;
    let dry_run = PostParams {
        dry_run: true,
        ..Default::default()
    };
    let mut signers = BTreeSet::from([first]);
    let mut reviews = 0_u32;
    let mut failed = Vec::new();
    let start = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(EVERY_MS));
    while signers.len() <= AUTHORITIES {
        tick.tick().await;
        ensure!(
            start.elapsed() < Duration::from_millis(ROTATIONS_MS_MAX),
            "only {} authorities after {ROTATIONS_MS_MAX} ms",
            signers.len()
        );
        reviews += 1;
        match pods.create(&dry_run, &pod).await {
            Ok(pod) if is_injected(&pod) => {}
            Ok(_) => failed.push(format!("{:?}: not injected", start.elapsed())),
            Err(error) => failed.push(format!("{:?}: {error}", start.elapsed())),
        }
        if reviews.is_multiple_of(10) {
            signers.insert(signer(cluster).await?);
        }
    }
    println!("{reviews} reviews while {AUTHORITIES} authorities came");
    ensure!(
        failed.is_empty(),
        "{} of {reviews} failed: {failed:#?}",
        failed.len()
    );
    Ok(())
}

fn is_injected(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let containers = spec.and_then(|spec| spec.init_containers.as_deref());
    let mut containers = containers.unwrap_or_default().iter();
    containers.any(|container| container.name == contract::CONTAINER)
}

/// The key of the authority that signs now.
async fn signer(cluster: &Cluster) -> Result<Vec<u8>> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), SYSTEM_NAMESPACE);
    let data = secrets.get(SECRET).await?.data.unwrap_or_default();
    Ok(data.get("ca.key").context("no ca.key")?.0.clone())
}
