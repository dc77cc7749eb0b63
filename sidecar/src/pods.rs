//! Pods: what the elector sees of them, and the patches that it asks for.

use crate::object::{Reading, Unreadable};
use common::contract;
use common::pod::Pod;
use common::role::{Containers, RoleLabelNames};
use election::{PodRole, PodView, PodWrite};
use serde_json::{Map, Value, json};

/// The pod as the elector sees it.
pub(crate) fn view(
    pod: &Pod,
    names: &RoleLabelNames,
    containers: &Containers,
) -> Result<PodView, Unreadable> {
    let meta = &pod.metadata;
    Ok(PodView {
        version: meta.version()?,
        term: meta.term(),
        created_s: meta.created_s(),
        ..PodView::of(pod, names, containers)
    })
}

/// Whether watches of the group show the pod.
pub(crate) fn is_of(pod: &Pod, group: &str) -> bool {
    pod.metadata.label(contract::GROUP) == Some(group)
}

/// The labels and annotations that a write sets; null removes.
pub(crate) fn changes(write: &PodWrite, names: &RoleLabelNames) -> Value {
    let mut labels = Map::new();
    let mut annotations = Map::new();
    if let Some((role, term)) = write.role {
        let value = match role {
            PodRole::Active => Some(&names.active),
            PodRole::Passive => names.passive.as_ref(),
        };
        labels.insert(names.key.clone(), json!(value));
        annotations.insert(contract::TERM.to_owned(), json!(term.to_string()));
    }
    if write.own_label {
        labels.insert(contract::POD.to_owned(), json!(write.uid));
    }
    json!({"labels": labels, "annotations": annotations})
}

/// The merge patch of a write. uid and version are preconditions.
pub(crate) fn patch(write: &PodWrite, names: &RoleLabelNames) -> Value {
    let mut metadata = changes(write, names);
    metadata["uid"] = json!(write.uid);
    metadata["resourceVersion"] = json!(write.base.0.to_string());
    json!({"metadata": metadata})
}

#[cfg(test)]
mod tests;
