//! Which election group a pod belongs to, and which workload the group stands for.
//!
//! A pod's owner is its ReplicaSet, never the Deployment. Its name less the hash that is also a
//! label of the pod is the Deployment's: no lookup is needed.

use crate::options;
use crate::pod::Pod;
use crate::reason::Reason;
use common::contract;
use common::ids::Group;
use serde_json::{Map, Value};

/// Labels that hold the hash in a ReplicaSet's name, and the kind that put it there.
const HASH_LABELS: [(&str, &str); 2] = [
    ("rollouts-pod-template-hash", "Rollout"),
    ("pod-template-hash", "Deployment"),
];

/// The workload that a pod belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    kind: String,
    name: String,
}

impl Owner {
    /// The controller of the pod, seen through its ReplicaSet; none for a bare pod.
    pub(crate) fn of(pod: &Pod<'_>) -> Option<Self> {
        let owners = pod.metadata.get("ownerReferences")?.as_array()?;
        let controls =
            |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
        let owner = owners.iter().find(controls)?;
        let text = |key: &str| owner.get(key).and_then(Value::as_str).map(str::to_owned);
        let (kind, name) = (text("kind")?, text("name")?);
        if kind == "ReplicaSet" {
            for (label, owner_kind) in HASH_LABELS {
                let hash = pod.label(label).filter(|hash| !hash.is_empty());
                let stem = hash.and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
                if let Some(stem) = stem.filter(|stem| !stem.is_empty()) {
                    return Some(Self {
                        kind: owner_kind.to_owned(),
                        name: stem.to_owned(),
                    });
                }
            }
        }
        Some(Self { kind, name })
    }

    /// `kind/name`, as the Lease carries it.
    pub(crate) fn reference(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// The group: as annotated, or named after the owner.
pub(crate) fn group(
    annotations: &Map<String, Value>,
    owner: Option<&Owner>,
) -> Result<Group, Reason> {
    if let Some(group) = options::group(annotations)? {
        return Ok(group);
    }
    let owner = owner.ok_or(Reason::NoGroup)?;
    Group::parse(&owner.name).map_err(|_| Reason::OwnerNameNoGroup {
        kind: owner.kind.clone(),
        name: owner.name.clone(),
    })
}

/// A template that carries the group's label with another value means something by it: nothing is
/// overwritten, since a selector may depend on it.
pub(crate) fn label_conflict(pod: &Pod<'_>, group: &Group) -> Option<Reason> {
    let label = pod
        .label(contract::GROUP)
        .filter(|label| *label != group.as_str())?;
    Some(Reason::GroupLabelDiffers {
        label: label.to_owned(),
        group: group.to_string(),
    })
}
