//! Pods: what the elector sees of them, and the patches that it asks for.

use crate::object::{Reading, Unreadable};
use common::contract;
use common::objects::Meta;
use common::pod::Pod;
use common::role::{Containers, RoleLabelNames};
use election::{PodRole, PodView, PodWrite, RoleLabel};
use serde_json::{Map, Value, json};

/// The pod as the elector sees it.
pub(crate) fn view(
    pod: &Pod,
    names: &RoleLabelNames,
    containers: &Containers,
) -> Result<PodView, Unreadable> {
    let meta = &pod.metadata;
    Ok(PodView {
        uid: meta.uid.clone(),
        name: meta.name.clone(),
        version: meta.version()?,
        role: role(meta, names),
        term: meta.term(),
        started: pod.has_started(),
        ready: pod.is_ready(containers),
        terminating: pod.is_terminating(),
        disrupted: pod.is_disrupted(),
        priority: pod.priority(),
        revision: pod.revision().to_owned(),
        created_s: meta.created_s(),
        owner: meta.owner().map(|owner| owner.to_string()),
    })
}

fn role(pod: &Meta, names: &RoleLabelNames) -> RoleLabel {
    if names.is_active(pod) {
        RoleLabel::Active
    } else if names.is_passive(pod) {
        RoleLabel::Passive
    } else {
        RoleLabel::Other
    }
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
