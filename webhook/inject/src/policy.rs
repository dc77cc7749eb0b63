//! Policies of cluster administrators: which workloads get the sidecar, with which settings, and
//! what may be said against those that ask for others.
//!
//! - [`Policy`]: one of them, checked;
//! - [`decide`]: [`crate::decide`] for a pod of a namespace that has policies;
//! - [`evaluate`]: the same for a workload, before it has pods, and what violates which policy;
//! - [`Rivals`]: whose the name of a group is, where a policy asks in a workload's place.
//!
//! Precedence follows names. Policies are looked at in the order of their names, and the first that
//! says something about an annotation counts; what the pod template says itself comes before all of
//! them. Each policy's constraints hold, whatever the others say.
//!
//! Absent from it: which policies there are, and the labels of namespaces. They are arguments.

mod check;
mod evaluate;
mod rivals;
mod selector;
mod under;
mod workload;

pub use evaluate::{Beside, Part, Verdict, Violation, evaluate};
pub use rivals::{Claim, Rivals};
pub use selector::{Operator, Requirement, Selector};
pub use under::{Added, asks, claim, decide};
pub use workload::{ServiceRoute, Workload, WorkloadKind};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Labels of a namespace.
pub type Labels = BTreeMap<String, String>;

/// `spec` of an ActivePassivePolicy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ActivePassivePolicySpec {
    /// Namespaces that it is about, by their labels; empty: all.
    pub namespace_selector: Selector,
    /// Workloads that it is about, by the labels of their pod templates; empty: all.
    pub workload_selector: Selector,
    /// Kinds of workloads that it is about; empty: Deployments and StatefulSets.
    pub kinds: Vec<WorkloadKind>,
    /// Annotations that workloads which say nothing else are taken to carry.
    pub defaults: BTreeMap<String, String>,
    /// What must hold for each workload.
    pub constraints: Constraints,
    /// Who gets the sidecar.
    pub inject: InjectMode,
    /// What becomes of workloads that violate the constraints.
    pub enforcement: Enforcement,
}

/// What must hold for each workload. What is absent demands nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Constraints {
    /// It takes part: it asks for the sidecar, or a policy asks for it.
    pub require_sidecar: bool,
    /// Its lease-duration is at least this long, such as `10s`.
    pub min_lease_duration: Option<String>,
    /// Its profile is one of these; empty: any.
    pub allowed_profiles: Vec<String>,
    /// Its handover is one of these; empty: any.
    pub allowed_handovers: Vec<String>,
    /// The name of its group has this form; `*` stands for any characters.
    pub group_pattern: Option<String>,
    /// It has at least so many replicas, unless it is scaled to none.
    pub min_replicas: Option<u32>,
    /// Some Service sends its traffic to the active pod.
    pub require_routed_service: bool,
}

/// Who gets the sidecar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InjectMode {
    /// Pods that ask for it.
    #[default]
    OptIn,
    /// Pods that do not refuse it.
    Default,
}

/// What becomes of workloads that violate the constraints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Enforcement {
    /// They are counted.
    #[default]
    Audit,
    /// They are counted, and who applies one is warned.
    Warn,
    /// They are counted, and whoever applies one is refused.
    Enforce,
}

/// A policy that can be in force: everything in it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    name: String,
    spec: ActivePassivePolicySpec,
    min_lease_duration_ms: Option<u64>,
}

impl Policy {
    /// Takes a policy of this name.
    ///
    /// # Errors
    /// Everything that is wrong with it, each as a sentence that begins with a field's path.
    pub fn new(name: &str, spec: ActivePassivePolicySpec) -> Result<Self, Vec<String>> {
        let problems = check::problems(name, &spec);
        if !problems.is_empty() {
            return Err(problems);
        }
        let shortest = spec.constraints.min_lease_duration.as_deref();
        let min_lease_duration_ms = shortest.and_then(|text| common::duration::parse_ms(text).ok());
        Ok(Self {
            name: name.to_owned(),
            spec,
            min_lease_duration_ms,
        })
    }

    /// Reads an ActivePassivePolicy, as an API server has it or somebody has written it.
    ///
    /// # Errors
    /// As [`Policy::new`], and if it has another form, or fields that there are not.
    pub fn read(object: &Value) -> Result<Self, Vec<String>> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        let name = name.unwrap_or_default();
        let spec = object.get("spec").cloned().unwrap_or_default();
        let unknown = check::unknown_fields(&spec);
        if !unknown.is_empty() {
            return Err(unknown);
        }
        match serde_json::from_value(spec) {
            Ok(spec) => Self::new(name, spec),
            Err(error) => Err(vec![format!("spec: {error}")]),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says.
    pub fn spec(&self) -> &ActivePassivePolicySpec {
        &self.spec
    }

    /// Kinds of workloads that it is about.
    pub fn kinds(&self) -> &[WorkloadKind] {
        match self.spec.kinds.as_slice() {
            [] => &WorkloadKind::USUAL,
            kinds => kinds,
        }
    }

    /// Whether it is about namespaces with these labels.
    pub fn is_about_namespace(&self, labels: &Labels) -> bool {
        let label = |key: &str| labels.get(key).map(String::as_str);
        self.spec.namespace_selector.matches(label)
    }

    /// Whether it is about workloads of this kind, in its namespaces, whose pods have these labels.
    pub(crate) fn is_about<'a>(&self, kind: &str, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.kinds().iter().any(|known| known.as_str() == kind)
            && self.spec.workload_selector.matches(label)
    }

    /// Whether the API server has to ask about pods that do not ask themselves.
    pub fn injects(&self) -> bool {
        self.spec.inject == InjectMode::Default
    }

    /// Whether the API server has to ask about workloads that are applied.
    pub fn judges(&self) -> bool {
        self.spec.enforcement != Enforcement::Audit
            && self.spec.constraints != Constraints::default()
    }
}

/// Of policies in the order of their names, those about a namespace with these labels.
pub fn of_namespace(policies: &[Arc<Policy>], labels: &Labels) -> Vec<Arc<Policy>> {
    let about = |policy: &&Arc<Policy>| policy.is_about_namespace(labels);
    policies.iter().filter(about).cloned().collect()
}

#[cfg(test)]
mod tests;
