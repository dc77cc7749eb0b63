//! A pod, as far as the election depends on it.

use crate::contract;
use crate::objects::Meta;
use crate::role::Containers;
use serde::Deserialize;

/// Labels that tell the revision of a pod's template.
const REVISION_LABELS: [&str; 3] = [
    "rollouts-pod-template-hash",
    "pod-template-hash",
    "controller-revision-hash",
];

/// A pod, read from its JSON.
#[derive(Debug, Clone, Deserialize)]
pub struct Pod {
    /// Its metadata.
    pub metadata: Meta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: Option<String>,
    containers: Vec<Named>,
    readiness_gates: Option<Vec<serde::de::IgnoredAny>>,
    termination_grace_period_seconds: Option<u64>,
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

impl Pod {
    /// Its sidecar has started: the pod carries its own uid as label.
    pub fn has_started(&self) -> bool {
        self.metadata.label(contract::POD) == Some(self.metadata.uid.as_str())
    }

    /// It has a deletionTimestamp, or is finished.
    pub fn is_terminating(&self) -> bool {
        let finished = matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        self.metadata.deletion_timestamp.is_some() || finished
    }

    /// It is about to be evicted.
    pub fn is_disrupted(&self) -> bool {
        self.condition("DisruptionTarget") == Some("True")
    }

    /// Its priority annotation; 0 without.
    pub fn priority(&self) -> i32 {
        let priority = self.metadata.annotation(contract::PRIORITY);
        priority
            .and_then(|priority| priority.parse().ok())
            .unwrap_or(0)
    }

    /// Revision of its template; "" if unknown.
    pub fn revision(&self) -> &str {
        let mut labels = REVISION_LABELS.iter();
        labels
            .find_map(|label| self.metadata.label(label))
            .unwrap_or_default()
    }

    /// Names of its containers, in their order.
    pub fn containers(&self) -> impl ExactSizeIterator<Item = &str> {
        self.spec.containers.iter().map(|it| it.name.as_str())
    }

    /// Its grace period, seconds.
    pub fn grace_s(&self) -> u64 {
        let grace_s = self.spec.termination_grace_period_seconds;
        grace_s.unwrap_or(contract::default::GRACE_PERIOD_S)
    }

    /// Its node; `None` before it has one.
    pub fn node(&self) -> Option<&str> {
        self.spec.node_name.as_deref()
    }

    /// Whether the containers that count are ready, and its sidecar can take the role.
    pub fn is_ready(&self, containers: &Containers) -> bool {
        let ready = |name: &str| {
            let mut statuses = self.status.container_statuses.iter().flatten();
            statuses.any(|status| status.name == name && status.ready)
        };
        let mut counting = self
            .spec
            .containers
            .iter()
            .filter(|container| containers.count(&container.name))
            .peekable();
        counting.peek().is_some()
            && counting.all(|container| ready(&container.name))
            && self.sidecar_runs()
            && !self.node_is_lost()
    }

    /// Its condition Ready holds: the kubelet says so, and its node still reports.
    pub fn is_reported_ready(&self) -> bool {
        self.condition("Ready") == Some("True")
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
        let gates = self.spec.readiness_gates.as_ref();
        let gated = gates.is_some_and(|gates| !gates.is_empty());
        !gated
            && self.condition("Ready") == Some("False")
            && self.condition("ContainersReady") == Some("True")
    }

    fn condition(&self, kind: &str) -> Option<&str> {
        let mut conditions = self.status.conditions.iter().flatten();
        conditions
            .find(|condition| condition.r#type == kind)
            .map(|condition| condition.status.as_str())
    }
}
