//! Other groups of the cluster, as far as a group can notice them: their Leases.

use std::time::Duration;

use common::contract;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, Doing, Error, Result};

/// From one renewal of a Lease to the next, milliseconds: a third of 15 s.
const RENEW_EVERY_MS: u64 = 5_000;
/// In the namespace of the measured group, where its watches could see them.
const NAMESPACE: &str = super::NAMESPACE;

/// Renews their Leases until told to leave.
pub(super) struct Neighbours(JoinHandle<()>);

impl Neighbours {
    /// Makes `count` Leases, and renews each of them at the pace of a leader.
    ///
    /// # Errors
    /// If a Lease cannot be made.
    pub(super) async fn settle(cluster: &Cluster, count: usize) -> Result<Self> {
        let leases: Api<Lease> = Api::namespaced(cluster.client(), NAMESPACE);
        let names: Vec<String> = (0..count)
            .map(|number| format!("neighbour-{number}"))
            .collect();
        for name in &names {
            let lease: Lease = serde_json::from_value(json!({
                "metadata": {"name": name, "labels": {contract::LEASE: "true"}},
                "spec": {"holderIdentity": format!("{name}-0_0"), "leaseDurationSeconds": 15},
            }))
            .doing(|| "write a Lease".to_owned())?;
            let made = leases.create(&PostParams::default(), &lease).await;
            made.doing(|| format!("create Lease {name}"))?;
        }
        Ok(Self(tokio::spawn(renew(leases, names))))
    }

    /// Their Leases are renewed no more.
    pub(super) async fn leave(self) {
        self.0.abort();
        let _ended = self.0.await;
    }
}

async fn renew(leases: Api<Lease>, names: Vec<String>) {
    let Some(pace_ms) = RENEW_EVERY_MS.checked_div(names.len() as u64) else {
        return;
    };
    let mut tick = tokio::time::interval(Duration::from_millis(pace_ms));
    for name in names.iter().cycle() {
        tick.tick().await;
        let at = format!("{:.6}", Timestamp::now());
        let renewed = Patch::Merge(json!({"spec": {"renewTime": at}}));
        let params = PatchParams::default();
        if let Err(error) = leases.patch(name, &params, &renewed).await {
            let told = Error::new(format!("renew Lease {name}"), error);
            crate::progress::line(&told.to_string());
        }
    }
}
