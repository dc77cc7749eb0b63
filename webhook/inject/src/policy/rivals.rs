//! Whose the name of a group is, where a policy asks in a workload's place.
//!
//! A group, and so its Lease, is called like its workload. Who asks has chosen that name. Who did not
//! may share it with a workload of another kind, or with a program that elects a leader by itself,
//! through a Lease that is often called just so. One of two such workloads would have no active pod,
//! and of a Lease only one can be the holder: whose the name is not goes without the sidecar.
//!
//! Absent from it: where workloads and Leases are looked up.

use crate::policy::evaluate::{Part, part};
use crate::policy::under::{self, Added, annotated};
use crate::policy::{Labels, Policy, Workload, WorkloadKind};
use common::contract;
use common::owner::Owner;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The claim of a workload, for which a policy asks, on the group of its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The policy.
    pub policy: String,
    /// The workload.
    pub owner: Owner,
    /// Whether its Lease has that name as well: profiles have rules of their own.
    lease: bool,
}

impl Claim {
    /// None for a workload that asks itself, or names its group: it means what it says.
    pub(super) fn of(
        annotations: Option<&Map<String, Value>>,
        added: &[Added<'_>],
        owner: Owner,
    ) -> Option<Self> {
        let by = added.iter().find(|it| it.key == contract::INJECT)?;
        let own = |key: &str| annotations.and_then(|all| all.get(key)?.as_str());
        if own(contract::GROUP).is_some() {
            return None;
        }
        let default = added.iter().find(|it| it.key == contract::PROFILE);
        let profile = own(contract::PROFILE).or_else(|| default.map(|it| it.value));
        Some(Self {
            policy: by.policy.to_owned(),
            owner,
            lease: profile.is_none_or(|profile| profile == contract::PROFILES[0]),
        })
    }
}

/// What has the name of a workload, in its namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rivals {
    workloads: Vec<Rival>,
    lease: Option<LeaseOf>,
}

/// A workload whose group has the name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rival {
    kind: WorkloadKind,
    /// Whether it asks itself.
    asks: bool,
    /// Where it stands among all: RFC 3339 in UTC, which sorts as text. None: it is not there yet.
    created: Option<String>,
}

/// Whose the Lease of the name is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum LeaseOf {
    /// No sidecar has written it.
    Other,
    /// It was last taken by a pod of this workload, `kind/name`; none: nobody said.
    Ours(Option<String>),
}

impl Rivals {
    /// Adds a workload of the name, the one that claims it among them. `policies` are in the order of
    /// their names, and `namespace` are the labels of its namespace.
    pub fn add_workload(
        &mut self,
        policies: &[Arc<Policy>],
        namespace: &Labels,
        kind: WorkloadKind,
        object: &Value,
    ) {
        let Some(workload) = Workload::read(kind, object) else {
            return;
        };
        let matching = policies.iter().map(Arc::as_ref).filter(|policy| {
            policy.is_about_namespace(namespace)
                && policy.is_about(kind.as_str(), |key| workload.label(key))
        });
        let added = under::added(workload.annotations(), matching);
        let pod = annotated(&workload.pod(), &added);
        if let Part::Takes { by, group } = part(&workload, &pod, &added)
            && group == workload.name
        {
            let created = object.pointer("/metadata/creationTimestamp");
            self.workloads.push(Rival {
                kind,
                asks: by.is_none(),
                created: created.and_then(Value::as_str).map(str::to_owned),
            });
        }
    }

    /// Adds the Lease of the name, by the keys of its labels and its annotations.
    pub fn add_lease<'a>(
        &mut self,
        mut labels: impl Iterator<Item = &'a str>,
        annotations: impl Iterator<Item = (&'a str, &'a str)>,
    ) {
        let ours = |key: &str| key.starts_with(contract::PREFIX);
        let notes: Vec<(&str, &str)> = annotations.filter(|(key, _)| ours(key)).collect();
        let owner = notes.iter().find(|(key, _)| *key == contract::OWNER);
        let marked = labels.any(ours) || !notes.is_empty();
        self.lease = Some(if marked {
            LeaseOf::Ours(owner.map(|(_, owner)| (*owner).to_owned()))
        } else {
            LeaseOf::Other
        });
    }

    /// What stands against the claim, and what to do. Of workloads the one counts that led last; where
    /// none has, one that asks itself comes before one that does not, and an older before a younger.
    pub fn against(&self, claim: &Claim) -> Option<String> {
        let name = &claim.owner.name;
        if claim.lease && self.lease == Some(LeaseOf::Other) {
            return Some(format!(
                "Lease {name} is another program's, which may elect a leader through it: write \
                 another name into {} of the pod template",
                contract::GROUP
            ));
        }
        let led = |kind: &str| {
            let owner = Owner {
                kind: kind.to_owned(),
                name: name.clone(),
            };
            self.lease == Some(LeaseOf::Ours(Some(owner.to_string())))
        };
        let (own, others): (Vec<&Rival>, Vec<&Rival>) = self
            .workloads
            .iter()
            .partition(|it| it.kind.as_str() == claim.owner.kind);
        let rank = |it: &Rival| {
            let created = it.created.clone();
            let kind = it.kind.as_str();
            (!led(kind), !it.asks, created.is_none(), created, kind)
        };
        let first = others.into_iter().min_by_key(|it| rank(it))?;
        let ours = own.first().is_some_and(|own| rank(own) < rank(first));
        (!ours).then(|| {
            format!(
                "{}/{name} has the group of this name: write another name into {} of the pod template",
                first.kind.as_str(),
                contract::GROUP
            )
        })
    }
}

#[cfg(test)]
mod tests;
