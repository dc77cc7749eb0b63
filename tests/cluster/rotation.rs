//! A certificate's years in a minute: authorities come and go, and no review fails.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use tests::cluster::Cluster;
use tests::scene::{self, SYSTEM_NAMESPACE};

use crate::install_reviews::Reviews;

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
/// From one look at the Secret to the next, milliseconds.
const LOOK_MS: u64 = 500;

/// Creates annotated pods, as dry runs, while certificates are replaced one after the other.
pub(crate) async fn rotates(cluster: &Cluster) -> Result<()> {
    let first = signer(cluster).await?;
    scene::install(cluster, &LIVES).await?;
    let reviews = Reviews::start(cluster)?;
    let mut signers = BTreeSet::from([first]);
    let start = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(LOOK_MS));
    while signers.len() <= AUTHORITIES {
        tick.tick().await;
        ensure!(
            start.elapsed() < Duration::from_millis(ROTATIONS_MS_MAX),
            "only {} authorities after {ROTATIONS_MS_MAX} ms",
            signers.len()
        );
        signers.insert(signer(cluster).await?);
    }
    let happened = format!("the change of {AUTHORITIES} authorities");
    reviews.all_injected(&happened).await
}

/// The key of the authority that signs now.
async fn signer(cluster: &Cluster) -> Result<Vec<u8>> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), SYSTEM_NAMESPACE);
    let data = secrets.get(SECRET).await?.data.unwrap_or_default();
    Ok(data.get("ca.key").context("no ca.key")?.0.clone())
}
