//! What a group costs while nothing happens, alone and among many others.

mod neighbours;
mod page;
mod record;

pub(super) use page::page;

use std::time::Duration;

use common::contract;
use kube::ResourceExt;

use super::machine::Machine;
use crate::cluster::{Cluster, ClusterOptions, Doing, Error, Result};
use crate::observe::process;
use crate::progress;
use crate::scene::{self, Scene};
use neighbours::Neighbours;
use record::{Cost, Entry, Role};

const NAMESPACE: &str = "rest";
const GROUP: &str = "web";
const REPLICAS: usize = 3;
/// After this long a standby has read what it needs, milliseconds.
const WARM_UP_MS: u64 = 10_000;
/// How long is measured, seconds.
const MEASURED_S: u64 = 60;
/// Groups of the cluster, the measured one included.
const GROUPS: [usize; 2] = [1, 100];

/// Measures one group of three, alone and among others, and writes the results down.
///
/// # Errors
/// If the cluster does not start or the group does not settle.
pub(super) async fn run() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let measured = measure(&cluster).await;
    cluster.stop()?;
    record::write(&measured?)
}

async fn measure(cluster: &Cluster) -> Result<Vec<Entry>> {
    let step = progress::step("installing the chart and the example");
    scene::install(cluster, &[]).await?;
    let namespace = ["create", "namespace", NAMESPACE];
    cluster.kubectl(&namespace).await?;
    let manifest = Scene::example()?;
    let scene = Scene::open(cluster, NAMESPACE, GROUP, &manifest, REPLICAS).await?;
    let active = scene.settled().await?;
    step.done();
    let measured = Machine::of(cluster).await?;
    let sidecars = sidecars(cluster, &scene, &active.uid).await?;
    let mut entries = Vec::new();
    for groups in GROUPS {
        let neighbours = Neighbours::settle(cluster, groups - 1).await?;
        tokio::time::sleep(Duration::from_millis(WARM_UP_MS)).await;
        let costs = costs(cluster, &scene.namespace, &sidecars).await?;
        neighbours.leave().await;
        entries.push(Entry {
            groups,
            measured: measured.clone(),
            costs,
        });
    }
    Ok(entries)
}

/// The processes of the group's sidecars.
async fn sidecars(cluster: &Cluster, scene: &Scene<'_>, active: &str) -> Result<Vec<(Role, i32)>> {
    let mut sidecars = Vec::new();
    for pod in scene.pods().await? {
        let uid = pod.uid().unwrap_or_default();
        let role = if uid == active {
            Role::Leader
        } else {
            Role::Standby
        };
        let processes = cluster
            .container_processes(&uid, contract::CONTAINER)
            .await?;
        let pid = processes.first().ok_or_else(|| {
            Error::new(
                "find the sidecars",
                format!("none runs in {}", pod.name_any()),
            )
        })?;
        sidecars.push((role, *pid));
    }
    Ok(sidecars)
}

async fn costs(cluster: &Cluster, namespace: &str, sidecars: &[(Role, i32)]) -> Result<Vec<Cost>> {
    let mut audit = cluster.audit();
    audit.skip().doing(|| "read the audit log".to_owned())?;
    let cpu = |(_, pid): &(Role, i32)| process::cpu_us(*pid);
    let before_us = sidecars.iter().map(cpu).collect::<Result<Vec<_>>>()?;
    tokio::time::sleep(Duration::from_secs(MEASURED_S)).await;
    let after_us = sidecars.iter().map(cpu).collect::<Result<Vec<_>>>()?;
    let account = format!("system:serviceaccount:{namespace}:active-passive-group-{GROUP}");
    let requests = audit.read().doing(|| "read the audit log".to_owned())?;
    let requests = requests
        .iter()
        .filter(|event| event.user.username == account);
    // A watch that was opened again is no request of its own.
    let (writes, others): (Vec<_>, Vec<_>) = requests
        .filter(|event| event.verb != "watch")
        .partition(|event| event.verb == "update");
    let used = before_us
        .iter()
        .zip(&after_us)
        .map(|(before, after)| after - before);
    let costs = sidecars.iter().zip(used).map(|((role, pid), used_us)| {
        let leads = *role == Role::Leader;
        Ok(Cost {
            role: *role,
            cpu_ms_per_hour: used_us * 3_600 / MEASURED_S / 1_000,
            rss_kb: process::rss_kb(*pid)?,
            lease_writes: if leads { writes.len() } else { 0 },
            other_requests: if leads { others.len() } else { 0 },
            seconds: MEASURED_S,
        })
    });
    costs.collect()
}
