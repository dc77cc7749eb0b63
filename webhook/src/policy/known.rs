//! Which policies there are, and the labels of namespaces, fed by watches.
//!
//! Its size follows the number of policies and, while there is one, of namespaces.

use crate::policy::lookups::Lookups;
use crate::readiness::{Part, Readiness};
use crate::watch::{Events, Feed, MetadataOf, Scope, Seen, follow};
use inject::policy::{Labels, Policy, of_namespace};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ListParams, WatchParams};
use kube::core::{DynamicObject, ListMeta, ObjectList, PartialObjectMeta, TypeMeta};
use kube::{Api, Client};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Policies that are in force; each needs entries of the webhook configuration, and is looked at for
/// each pod.
pub const POLICIES_MAX: usize = 64;
/// How long a review waits for the labels of its namespace, which may be a moment old.
const NAMESPACE_DEADLINE: Duration = Duration::from_millis(500);
/// Label of every namespace: its name.
pub(super) const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// What the API server answers while the kind is not installed.
const NOT_FOUND: u16 = 404;

/// A policy as it was seen.
#[derive(Debug, Clone)]
pub struct Found {
    /// `metadata.resourceVersion`.
    pub version: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// Its status, as somebody wrote it last.
    pub status: Value,
    /// What it says, or what is wrong with it.
    pub policy: Result<Arc<Policy>, Vec<String>>,
}

/// All policies.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    /// Whether they have been listed.
    pub listed: bool,
    /// Each by its name.
    pub found: BTreeMap<String, Found>,
    /// Those that have effect, in the order of their names.
    pub in_force: Arc<[Arc<Policy>]>,
}

/// The store.
#[derive(Debug)]
pub struct Known {
    excluded: Vec<String>,
    policies: watch::Sender<Policies>,
    /// None: not listed.
    namespaces: watch::Sender<Option<HashMap<String, Labels>>>,
    /// Counts what a status follows from: specs of policies, and labels of namespaces.
    changes: watch::Sender<u64>,
    /// Counts reviews after which a status may be another.
    reviews: watch::Sender<u64>,
    lookups: Lookups,
}

impl Known {
    /// A store that knows nothing, and never says anything about these namespaces.
    pub fn new(excluded: Vec<String>) -> Self {
        Self {
            excluded,
            policies: watch::Sender::default(),
            namespaces: watch::Sender::default(),
            changes: watch::Sender::default(),
            reviews: watch::Sender::default(),
            lookups: Lookups::default(),
        }
    }

    /// There are none, and nobody looks for any.
    pub fn none(&self) {
        self.policies.send_modify(|policies| policies.listed = true);
    }

    /// What is not known, and looked up.
    pub fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// Namespaces that no policy is about.
    pub fn excluded(&self) -> &[String] {
        &self.excluded
    }

    /// All policies, now and whenever they change.
    pub fn policies(&self) -> watch::Receiver<Policies> {
        self.policies.subscribe()
    }

    /// Whenever a spec or the labels of a namespace change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whenever a pod was injected or a workload let in that a policy is about.
    pub fn reviews(&self) -> watch::Receiver<u64> {
        self.reviews.subscribe()
    }

    /// Notes that a pod was injected or a workload let in that a policy is about.
    pub fn note_review(&self) {
        self.reviews.send_modify(|count| *count += 1);
    }

    /// The policies about a namespace, in the order of their names, and its labels.
    pub async fn about(&self, namespace: &str) -> (Vec<Arc<Policy>>, Labels) {
        let in_force = self.policies.borrow().in_force.clone();
        if in_force.is_empty() || self.excluded.iter().any(|it| it == namespace) {
            return (Vec::new(), Labels::new());
        }
        let mut namespaces = self.namespaces.subscribe();
        let seen = |all: &Option<HashMap<String, Labels>>| {
            all.as_ref().is_some_and(|all| all.contains_key(namespace))
        };
        let labels = match timeout(NAMESPACE_DEADLINE, namespaces.wait_for(seen)).await {
            Ok(Ok(all)) => all.as_ref().and_then(|all| all.get(namespace)).cloned(),
            Ok(Err(_)) | Err(_) => None,
        };
        let by_name = || Labels::from([(NAME_LABEL.to_owned(), namespace.to_owned())]);
        let labels = labels.unwrap_or_else(by_name);
        (of_namespace(&in_force, &labels), labels)
    }

    /// Namespaces that some policy in force is about, by their names; none: they are not known.
    pub fn namespaces(&self) -> Option<BTreeMap<String, Labels>> {
        let in_force = self.policies.borrow().in_force.clone();
        let namespaces = self.namespaces.borrow();
        let about = |(name, labels): &(&String, &Labels)| {
            !self.excluded.contains(name)
                && in_force
                    .iter()
                    .any(|policy| policy.is_about_namespace(labels))
        };
        let about = namespaces.as_ref()?.iter().filter(about);
        Some(
            about
                .map(|(name, labels)| (name.clone(), labels.clone()))
                .collect(),
        )
    }

    /// Follows policies, and namespaces while there is a policy.
    pub async fn follow(self: Arc<Self>, client: Client, readiness: Arc<Readiness>) -> Infallible {
        let scope = Scope {
            what: "policies",
            ..Scope::default()
        };
        let policies = follow(OrNone(super::api(client.clone())), scope, found, |seen| {
            self.take(seen);
        });
        let ready = async {
            let mut policies = self.policies();
            let mut namespaces = self.namespaces.subscribe();
            policies.wait_for(|policies| policies.listed).await.ok();
            let none = policies.borrow().in_force.is_empty();
            if !none {
                namespaces.wait_for(Option::is_some).await.ok();
            }
            readiness.set(Part::Policies, true);
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            never = policies => never,
            never = self.follow_namespaces(client) => never,
            never = ready => never,
        }
    }

    async fn follow_namespaces(&self, client: Client) -> Infallible {
        let mut policies = self.policies();
        loop {
            if policies
                .wait_for(|it| !it.in_force.is_empty())
                .await
                .is_err()
            {
                std::future::pending::<()>().await;
            }
            let feed = MetadataOf(Api::<Namespace>::all(client.clone()));
            let scope = Scope {
                what: "namespaces",
                ..Scope::default()
            };
            // Both are cancel-safe: what was seen is in the store.
            tokio::select! {
                never = follow(feed, scope, labels, |seen| self.take_namespaces(seen)) => match never {},
                _ = policies.wait_for(|it| it.in_force.is_empty()) => {}
            }
            self.namespaces.send_replace(None);
        }
    }

    fn take(&self, seen: Seen<(String, Found)>) {
        let specs = |policies: &Policies| {
            let spec = |(name, found): (&String, &Found)| (name.clone(), found.generation);
            policies.found.iter().map(spec).collect::<Vec<_>>()
        };
        let before = specs(&self.policies.borrow());
        self.policies.send_modify(|policies| {
            match seen {
                Seen::All(all) => {
                    policies.listed = true;
                    policies.found = all.into_iter().collect();
                }
                Seen::Applied((name, found)) => {
                    policies.found.insert(name, found);
                }
                Seen::Deleted((name, _)) => {
                    policies.found.remove(&name);
                }
            }
            policies.in_force = in_force(&policies.found);
        });
        if specs(&self.policies.borrow()) != before {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    fn take_namespaces(&self, seen: Seen<(String, Labels)>) {
        let changed = self.namespaces.send_if_modified(|namespaces| match seen {
            Seen::All(all) => {
                let all = Some(all.into_iter().collect());
                let changed = *namespaces != all;
                *namespaces = all;
                changed
            }
            Seen::Applied((name, labels)) => {
                let namespaces = namespaces.get_or_insert_default();
                let changed = namespaces.get(&name) != Some(&labels);
                namespaces.insert(name, labels);
                changed
            }
            Seen::Deleted((name, _)) => namespaces.get_or_insert_default().remove(&name).is_some(),
        });
        if changed {
            self.changes.send_modify(|count| *count += 1);
        }
    }
}

/// The first of those that are sound.
fn in_force(found: &BTreeMap<String, Found>) -> Arc<[Arc<Policy>]> {
    let sound = found
        .values()
        .filter_map(|found| found.policy.as_ref().ok());
    sound.take(POLICIES_MAX).cloned().collect()
}

fn found(object: DynamicObject) -> (String, Found) {
    let name = object.metadata.name.clone().unwrap_or_default();
    let spec = object.data.get("spec").cloned().unwrap_or_default();
    let policy = match serde_json::from_value(spec) {
        Ok(spec) => Policy::new(&name, spec).map(Arc::new),
        Err(error) => Err(vec![format!("spec: {error}")]),
    };
    let found = Found {
        version: object.metadata.resource_version.unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or_default(),
        status: object.data.get("status").cloned().unwrap_or_default(),
        policy,
    };
    (name, found)
}

fn labels(namespace: PartialObjectMeta<Namespace>) -> (String, Labels) {
    let labels = namespace.metadata.labels.unwrap_or_default();
    (namespace.metadata.name.unwrap_or_default(), labels)
}

/// Policies; none while their kind is not installed.
struct OrNone(Api<DynamicObject>);

impl Feed for OrNone {
    type Object = DynamicObject;

    async fn list(&self, params: &ListParams) -> kube::Result<ObjectList<DynamicObject>> {
        match self.0.list(params).await {
            Err(kube::Error::Api(status)) if status.code == NOT_FOUND => Ok(ObjectList {
                types: TypeMeta::default(),
                metadata: ListMeta::default(),
                items: Vec::new(),
            }),
            listed => listed,
        }
    }

    async fn watch(
        &self,
        params: &WatchParams,
        version: &str,
    ) -> kube::Result<Events<DynamicObject>> {
        use futures_util::StreamExt;
        Ok(self.0.watch(params, version).await?.boxed())
    }

    fn version(object: &DynamicObject) -> Option<String> {
        object.metadata.resource_version.clone()
    }
}

#[cfg(test)]
mod tests;
