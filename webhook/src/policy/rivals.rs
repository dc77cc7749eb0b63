//! Who else has the name of a workload for which a policy asks: looked up when a pod or a workload of it
//! is reviewed, and for names that occur more than once when workloads are counted.

use crate::client::{ApiError, within};
use crate::policy::places::{Places, read, resource};
use common::contract;
use futures_util::future::try_join_all;
use inject::policy::{Labels, Policy, Rivals, WorkloadKind};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::core::{DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::{Api, Client};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for all answers about one name.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);
/// Names that are looked at for one count; each takes six requests.
const CONTESTED_MAX: usize = 100;

/// Namespace and name.
pub type Name = (String, String);

/// What has this name in this namespace.
///
/// # Errors
/// If the API server does not say, in time.
pub async fn rivals(
    client: &Client,
    policies: &[Arc<Policy>],
    (namespace, labels): (&str, &Labels),
    name: &str,
) -> Result<Rivals, ApiError> {
    let named = ListParams::default().fields(&format!("metadata.name={name}"));
    let of_kind = async |kind: WorkloadKind| {
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace, &resource(kind));
        let listed = within(DEADLINE, api.list(&named)).await?;
        Ok::<_, ApiError>((kind, listed.items))
    };
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let (workloads, leases) = tokio::try_join!(
        try_join_all(WorkloadKind::ALL.map(of_kind)),
        within(DEADLINE, leases.list_metadata(&named)),
    )?;
    let mut rivals = Rivals::default();
    for (kind, objects) in workloads {
        for object in objects {
            rivals.add_workload(policies, labels, kind, &read(object));
        }
    }
    for lease in &leases.items {
        let (keys, notes) = marks(&lease.metadata);
        rivals.add_lease(keys, notes);
    }
    Ok(rivals)
}

/// Rivals of every name in these namespaces that more than one kind of workload has, or a workload and
/// a Lease that no sidecar wrote. Other names are nobody else's.
///
/// # Errors
/// If something cannot be listed.
pub async fn contested(
    client: &Client,
    policies: &[Arc<Policy>],
    namespaces: &BTreeMap<String, Labels>,
) -> Result<HashMap<Name, Rivals>, ApiError> {
    let places = Places::of(client, namespaces);
    let mut kinds: HashMap<Name, usize> = HashMap::new();
    let about = |name: &Name| namespaces.contains_key(&name.0);
    for kind in WorkloadKind::ALL {
        let each = |metadata: ObjectMeta| {
            let name = name(metadata);
            if about(&name) {
                *kinds.entry(name).or_default() += 1;
            }
        };
        places.names(kind, each).await?;
    }
    let several = kinds.iter().filter(|(_, kinds)| **kinds > 1);
    let mut names: BTreeSet<Name> = several.map(|(name, _)| name.clone()).collect();
    let each = |lease: PartialObjectMeta<Lease>| {
        let (mut keys, mut notes) = marks(&lease.metadata);
        let ours = |key: &str| key.starts_with(contract::PREFIX);
        let foreign = !keys.any(ours) && !notes.any(|(key, _)| ours(key));
        let name = name(lease.metadata.clone());
        if foreign && kinds.contains_key(&name) {
            names.insert(name);
        }
    };
    places.metadata(each).await?;
    if names.len() > CONTESTED_MAX {
        let count = names.len();
        tracing::warn!(
            count,
            "more names are contested than are looked at for a status"
        );
    }
    let mut contested = HashMap::new();
    for place in names.into_iter().take(CONTESTED_MAX) {
        let (namespace, name) = &place;
        let Some(labels) = namespaces.get(namespace) else {
            continue;
        };
        let rivals = rivals(client, policies, (namespace, labels), name).await?;
        contested.insert(place, rivals);
    }
    Ok(contested)
}

fn name(metadata: ObjectMeta) -> Name {
    (
        metadata.namespace.unwrap_or_default(),
        metadata.name.unwrap_or_default(),
    )
}

/// Keys of the labels, and the annotations.
fn marks(
    metadata: &ObjectMeta,
) -> (
    impl Iterator<Item = &str>,
    impl Iterator<Item = (&str, &str)>,
) {
    let (labels, annotations) = (&metadata.labels, &metadata.annotations);
    let keys = labels.iter().flatten().map(|(key, _)| key.as_str());
    let notes = annotations.iter().flatten();
    (
        keys,
        notes.map(|(key, value)| (key.as_str(), value.as_str())),
    )
}

#[cfg(test)]
mod tests;
