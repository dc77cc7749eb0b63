//! Who contends, for which Lease.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};

use crate::bench::failover::replace;
use crate::cluster::{Cluster, Doing, Result};
use crate::system::System;

/// Where all of them run.
pub(super) const NAMESPACE: &str = "contention";
const REPLICAS: (&str, &str) = ("replicas: 3", "replicas: 2");
const GROUP: &str = "            - name: GROUP\n              value: ";
const ROLLOUT: &str = "--timeout=90s";

/// Starts ours, then the others: two pods of each kind that contend for the Lease of ours.
///
/// # Errors
/// If they do not become ready.
pub(super) async fn open(cluster: &Cluster) -> Result<()> {
    let kube = cluster.kube();
    kube.kubectl(&["create", "namespace", NAMESPACE]).await?;
    for system in [System::Ours, System::Peer] {
        let apply = ["apply", "-n", NAMESPACE, "-f", "-"];
        kube.kubectl_with_input(&apply, &manifest(system)?).await?;
        let target = format!("deployment/{}", system.group());
        let status = ["rollout", "status", "-n", NAMESPACE, &target, ROLLOUT];
        if let Err(error) = kube.kubectl(&status).await {
            return Err(error.output(&kube.describe(NAMESPACE).await));
        }
    }
    Ok(())
}

fn manifest(system: System) -> Result<String> {
    let two = replace(&system.manifest()?, REPLICAS.0, REPLICAS.1)?;
    match system {
        System::Ours => Ok(two),
        System::Peer => {
            let own = format!("{GROUP}{}", system.group());
            replace(&two, &own, &format!("{GROUP}{}", System::Ours.group()))
        }
    }
}

/// One of those that contend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Elector {
    pub(super) system: System,
    pub(super) pod: String,
    pub(super) uid: String,
    /// How often its container was started again.
    pub(super) restarts: i32,
    /// Whether its pod is named by the Lease.
    pub(super) holds: bool,
}

/// All of them whose pods are not on their way out.
///
/// # Errors
/// If the API server does not answer.
pub(super) async fn electors(cluster: &Cluster) -> Result<Vec<Elector>> {
    let leases: Api<Lease> = Api::namespaced(cluster.client(), NAMESPACE);
    let lease = leases.get_opt(System::Ours.group()).await;
    let lease = lease.doing(|| "read the Lease".to_owned())?;
    let holder = lease.and_then(|lease| lease.spec?.holder_identity);
    let holder = holder.unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(cluster.client(), NAMESPACE);
    let mut electors = Vec::new();
    for system in [System::Ours, System::Peer] {
        let list = ListParams::default().labels(&format!("app={}", system.group()));
        let listed = pods.list(&list).await;
        let listed = listed.doing(|| format!("list the pods of {}", system.name()))?;
        let stay = |pod: &&Pod| pod.metadata.deletion_timestamp.is_none();
        electors.extend(
            listed
                .items
                .iter()
                .filter(stay)
                .map(|pod| elector(system, pod, &holder)),
        );
    }
    Ok(electors)
}

fn elector(system: System, pod: &Pod, holder: &str) -> Elector {
    let (name, uid) = (pod.name_any(), pod.uid().unwrap_or_default());
    let status = pod.status.clone().unwrap_or_default();
    let containers = [status.init_container_statuses, status.container_statuses];
    let mut containers = containers.into_iter().flatten().flatten();
    let own = containers.find(|container| container.name == system.sidecar());
    Elector {
        system,
        // Ours are named with their uid, the others without.
        holds: holder == name || holder == format!("{name}_{uid}"),
        pod: name,
        uid,
        restarts: own.map_or(0, |container| container.restart_count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_contend_for_one_lease() {
        let peer = manifest(System::Peer).unwrap();
        assert!(peer.contains("GROUP\n              value: web"), "{peer}");
        for system in [System::Ours, System::Peer] {
            assert!(manifest(system).unwrap().contains("replicas: 2"));
        }
    }
}
