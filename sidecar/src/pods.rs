//! Pods: what the elector sees of them, and the patches that it asks for.

use crate::config::{Containers, RoleLabelNames};
use crate::object::{Meta, Unreadable};
use common::contract;
use common::owner::Owner;
use election::{PodRole, PodView, PodWrite, RoleLabel};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A pod, as far as it is read here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Pod {
    pub(crate) metadata: Meta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    containers: Vec<Named>,
    readiness_gates: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    conditions: Option<Vec<Condition>>,
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ContainerStatus {
    name: String,
    ready: bool,
}

/// Labels that tell the revision of a pod's template.
const REVISION_LABELS: [&str; 3] = [
    "rollouts-pod-template-hash",
    "pod-template-hash",
    "controller-revision-hash",
];

impl Pod {
    /// The pod as the elector sees it.
    pub(crate) fn view(
        &self,
        names: &RoleLabelNames,
        containers: &Containers,
    ) -> Result<PodView, Unreadable> {
        let meta = &self.metadata;
        let finished = matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        Ok(PodView {
            uid: meta.uid.clone(),
            name: meta.name.clone(),
            version: meta.version()?,
            role: role(meta.label(&names.key), names),
            term: meta.term(),
            started: meta.label(contract::POD) == Some(meta.uid.as_str()),
            ready: self.ready(containers),
            terminating: meta.deletion_timestamp.is_some() || finished,
            disrupted: self.condition("DisruptionTarget") == Some("True"),
            priority: meta
                .annotation(contract::PRIORITY)
                .and_then(|priority| priority.parse().ok())
                .unwrap_or(0),
            revision: REVISION_LABELS
                .iter()
                .find_map(|label| meta.label(label))
                .unwrap_or_default()
                .to_owned(),
            created_s: meta.created_s(),
            owner: self.owner().map(|owner| owner.to_string()),
        })
    }

    fn ready(&self, containers: &Containers) -> bool {
        let statuses = self
            .status
            .container_statuses
            .as_deref()
            .unwrap_or_default();
        let ready = |name: &str| {
            statuses
                .iter()
                .any(|status| status.name == name && status.ready)
        };
        let mut counting = self
            .spec
            .containers
            .iter()
            .filter(|c| containers.count(&c.name))
            .peekable();
        counting.peek().is_some()
            && counting.all(|c| ready(&c.name))
            && self.sidecar_runs()
            && !self.node_is_lost()
    }

    /// Nobody hands over to a pod whose sidecar cannot take it. Where the sidecar is no injected
    /// one, its own container counts like the others.
    fn sidecar_runs(&self) -> bool {
        let mut statuses = self.status.init_container_statuses.iter().flatten();
        statuses
            .find(|status| status.name == contract::CONTAINER)
            .is_none_or(|status| status.ready)
    }

    /// When a node stops reporting, the control plane takes the pod's condition Ready away and
    /// leaves those of its containers as they were last reported.
    fn node_is_lost(&self) -> bool {
        let gated = self
            .spec
            .readiness_gates
            .as_ref()
            .is_some_and(|gates| !gates.is_empty());
        !gated
            && self.condition("Ready") == Some("False")
            && self.condition("ContainersReady") == Some("True")
    }

    fn condition(&self, kind: &str) -> Option<&str> {
        let conditions = self.status.conditions.as_deref().unwrap_or_default();
        conditions
            .iter()
            .find(|c| c.r#type == kind)
            .map(|c| c.status.as_str())
    }

    fn owner(&self) -> Option<Owner> {
        let references = self
            .metadata
            .owner_references
            .as_deref()
            .unwrap_or_default();
        let controller = references
            .iter()
            .find(|owner| owner.controller == Some(true))?;
        Some(Owner::behind(&controller.kind, &controller.name, |key| {
            self.metadata.label(key)
        }))
    }
}

fn role(label: Option<&str>, names: &RoleLabelNames) -> RoleLabel {
    if label == Some(names.active.as_str()) {
        RoleLabel::Active
    } else if label == names.passive.as_deref() {
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
