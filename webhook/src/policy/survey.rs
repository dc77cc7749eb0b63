//! How far each policy has got: workloads and the metadata of pods, listed now and then, and counted.
//!
//! Nothing of it is kept but figures and some names: the memory it takes follows the largest page, and
//! the workloads whose pods are without the sidecar.

use crate::client::ApiError;
use crate::policy::judge::route;
use crate::policy::places::{Places, read};
use crate::policy::rivals::{Name, contested};
use common::contract;
use common::owner::Owner;
use inject::policy::{
    Beside, Labels, Part, Policy, Rivals, ServiceRoute, Verdict, Workload, WorkloadKind, evaluate,
};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::{Client, ResourceExt};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Workloads that a status names.
const NAMED_MAX: usize = 20;

/// What one policy has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Namespaces that it is about.
    pub namespaces: usize,
    /// Workloads that it is about.
    pub matched: usize,
    /// Of these, those that take part and of whose pods none is without the sidecar.
    pub injected: usize,
    /// Those that neither have it nor refuse it.
    pub not_yet: usize,
    /// Those that refuse it.
    pub opted_out: usize,
    /// Those that violate a constraint.
    pub violating: usize,
    /// The first of those that do not have it.
    pub not_yet_named: BTreeSet<Named>,
    /// The first of those that violate a constraint.
    pub violating_named: BTreeSet<Named>,
}

/// A workload, and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Named {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What is missing or wrong.
    pub why: String,
}

/// Namespace, kind and name of a workload.
type Place = (String, String, String);

/// Counts what the policies, in the order of their names, have come to in these namespaces.
///
/// # Errors
/// If something cannot be listed.
pub async fn survey(
    client: &Client,
    policies: &[Arc<Policy>],
    namespaces: &BTreeMap<String, Labels>,
) -> Result<BTreeMap<String, Tally>, ApiError> {
    let places = Places::of(client, namespaces);
    let mut count = Count {
        policies,
        namespaces,
        bare: HashSet::new(),
        services: None,
        contested: HashMap::new(),
        tallies: BTreeMap::new(),
    };
    for policy in policies {
        let about = namespaces
            .values()
            .filter(|labels| policy.is_about_namespace(labels));
        let tally = Tally {
            namespaces: about.count(),
            ..Tally::default()
        };
        count.tallies.insert(policy.name().to_owned(), tally);
    }
    places
        .metadata(|pod: PartialObjectMeta<Pod>| count.pod(&pod))
        .await?;
    if policies
        .iter()
        .any(|policy| policy.spec().constraints.require_routed_service)
    {
        let mut services: HashMap<String, Vec<ServiceRoute>> = HashMap::new();
        let keep = |service: Service| {
            let of_namespace = services.entry(service.namespace().unwrap_or_default());
            of_namespace.or_default().push(route(&service));
        };
        places.whole(keep).await?;
        count.services = Some(services);
    }
    if policies.iter().any(|policy| policy.injects()) {
        count.contested = contested(client, policies, namespaces).await?;
    }
    let kinds: BTreeSet<WorkloadKind> = policies
        .iter()
        .flat_map(|policy| policy.kinds().iter().copied())
        .collect();
    for kind in kinds {
        places
            .workloads(kind, |object| count.workload(kind, object))
            .await?;
    }
    Ok(count.tallies)
}

struct Count<'a> {
    policies: &'a [Arc<Policy>],
    namespaces: &'a BTreeMap<String, Labels>,
    /// Workloads with a pod without the sidecar.
    bare: HashSet<Place>,
    /// Of each namespace; none: no policy asks for them.
    services: Option<HashMap<String, Vec<ServiceRoute>>>,
    /// Names that are not one workload's alone.
    contested: HashMap<Name, Rivals>,
    tallies: BTreeMap<String, Tally>,
}

impl Count<'_> {
    fn pod(&mut self, pod: &PartialObjectMeta<Pod>) {
        let metadata = &pod.metadata;
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let injected = pod.annotations().contains_key(contract::INJECTED);
        let ends = metadata.deletion_timestamp.is_some();
        if injected || ends || !self.namespaces.contains_key(&namespace) {
            return;
        }
        let controls = |owner: &&_| is_controller(owner);
        let Some(controller) = pod.owner_references().iter().find(controls) else {
            return;
        };
        let label = |key: &str| pod.labels().get(key).map(String::as_str);
        let owner = Owner::behind(&controller.kind, &controller.name, label);
        self.bare.insert((namespace, owner.kind, owner.name));
    }

    fn workload(&mut self, kind: WorkloadKind, object: DynamicObject) {
        let namespace = object.namespace().unwrap_or_default();
        let Some(labels) = self.namespaces.get(&namespace) else {
            return;
        };
        let object = read(object);
        let Some(workload) = Workload::read(kind, &object) else {
            return;
        };
        if Workload::is_run(kind, &object) {
            return;
        }
        let nothing = Vec::new();
        let services = self.services.as_ref();
        let services = services.map(|all| all.get(&namespace).unwrap_or(&nothing).as_slice());
        let name = (namespace.clone(), workload.name.to_owned());
        let beside = Beside {
            services,
            rivals: self.contested.get(&name),
        };
        let verdict = evaluate(self.policies, labels, &workload, beside);
        let place = (
            namespace.clone(),
            kind.as_str().to_owned(),
            workload.name.to_owned(),
        );
        let bare = !kind.ends() && self.bare.contains(&place);
        let named = |why: String| Named {
            namespace: namespace.clone(),
            kind: kind.as_str(),
            name: workload.name.to_owned(),
            why,
        };
        for policy in &verdict.matching {
            if let Some(tally) = self.tallies.get_mut(policy.name()) {
                tally.add(policy, &verdict, bare, named);
            }
        }
    }
}

impl Tally {
    fn add(
        &mut self,
        policy: &Policy,
        verdict: &Verdict<'_>,
        bare: bool,
        named: impl Fn(String) -> Named,
    ) {
        self.matched += 1;
        let missing = match &verdict.part {
            Part::Refuses => {
                self.opted_out += 1;
                None
            }
            Part::Takes { .. } if !bare => {
                self.injected += 1;
                None
            }
            Part::Takes { .. } => Some(
                "some of its pods were made without the sidecar: kubectl rollout restart makes \
                 them anew"
                    .to_owned(),
            ),
            Part::NotAsked => Some("it does not ask for the sidecar".to_owned()),
            Part::Cannot { why, .. } => Some(format!("it cannot have the sidecar: {why}")),
        };
        if let Some(why) = missing {
            self.not_yet += 1;
            keep(&mut self.not_yet_named, named(why));
        }
        let against = verdict
            .violations
            .iter()
            .filter(|it| it.policy.name() == policy.name());
        let against: Vec<&str> = against.map(|it| it.what.as_str()).collect();
        if !against.is_empty() {
            self.violating += 1;
            keep(&mut self.violating_named, named(against.join("; ")));
        }
    }
}

/// The first ones by namespace, kind and name.
fn keep(named: &mut BTreeSet<Named>, one: Named) {
    named.insert(one);
    if named.len() > NAMED_MAX {
        named.pop_last();
    }
}

fn is_controller(owner: &k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference) -> bool {
    owner.controller == Some(true)
}

#[cfg(test)]
mod tests;
