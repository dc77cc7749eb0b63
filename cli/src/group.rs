//! Groups, put together from the objects that were read. Pure: equal objects and time, equal groups.

use crate::lease::Lease;
use crate::visible;
use common::contract;
use common::history::Entry;
use common::objects::Meta;
use common::pod::Pod;
use common::role::{Containers, RoleLabelNames};
use common::service::Service;
use election::{Ineligible, PodView, RoleLabel, ineligible};
use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeMap;

/// What the API server showed. A kind that may not be listed is absent.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) leases: Option<Vec<Lease>>,
    pub(crate) pods: Option<Vec<Pod>>,
    pub(crate) services: Option<Vec<Service>>,
}

/// An election group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) lease: Option<Lease>,
    /// Whether Leases, pods and Services could be seen.
    pub(crate) sees: Sees,
    /// The pods: the active one first, then by name.
    pub(crate) members: Vec<Member>,
    pub(crate) services: Vec<Service>,
}

/// What could be seen at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sees {
    pub(crate) leases: bool,
    pub(crate) pods: bool,
    pub(crate) services: bool,
}

/// A pod of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) meta: Meta,
    pub(crate) role: RoleLabel,
    pub(crate) ready: bool,
    /// Why it cannot become active.
    pub(crate) ineligible: Option<Ineligible>,
    pub(crate) node: Option<String>,
    pub(crate) revision: String,
    pub(crate) priority: i32,
    pub(crate) created_at: Option<Timestamp>,
    /// Version of the sidecar that was injected.
    pub(crate) version: Option<String>,
}

/// Puts the groups together, by namespace and name.
pub(crate) fn groups(seen: Seen) -> Vec<Group> {
    let sees = Sees {
        leases: seen.leases.is_some(),
        pods: seen.pods.is_some(),
        services: seen.services.is_some(),
    };
    let mut pods: BTreeMap<(String, String), Vec<Pod>> = BTreeMap::new();
    for pod in seen.pods.into_iter().flatten() {
        if let Some(group) = pod.metadata.label(contract::GROUP) {
            let key = (pod.metadata.namespace.clone(), group.to_owned());
            pods.entry(key).or_default().push(pod);
        }
    }
    let mut leases = BTreeMap::new();
    for lease in seen.leases.into_iter().flatten() {
        let key = (
            lease.metadata.namespace.clone(),
            lease.metadata.name.clone(),
        );
        if lease.is_ours() || pods.contains_key(&key) {
            pods.entry(key.clone()).or_default();
            leases.insert(key, lease);
        }
    }
    let mut services: BTreeMap<(String, String), Vec<Service>> = BTreeMap::new();
    for service in seen.services.into_iter().flatten() {
        if let Some(group) = service.group() {
            let key = (service.metadata.namespace.clone(), visible::line(group));
            pods.entry(key.clone()).or_default();
            services.entry(key).or_default().push(service);
        }
    }
    pods.into_iter()
        .map(|(key, pods)| {
            let lease = leases.remove(&key);
            let services = services.remove(&key).unwrap_or_default();
            let (namespace, name) = key;
            Group {
                members: members(pods, lease.as_ref()),
                namespace,
                name,
                lease,
                sees,
                services,
            }
        })
        .collect()
}

fn members(pods: Vec<Pod>, lease: Option<&Lease>) -> Vec<Member> {
    let owner = lease.and_then(Lease::owner);
    let mut members: Vec<Member> = pods
        .into_iter()
        .map(|pod| Member::new(pod, owner))
        .collect();
    members.sort_by(|a, b| (!a.is_active(), &a.meta.name).cmp(&(!b.is_active(), &b.meta.name)));
    members
}

impl Member {
    fn new(pod: Pod, owner: Option<&str>) -> Self {
        let names = RoleLabelNames::of(&pod.metadata);
        let containers = Containers::parse(pod.metadata.annotation(contract::CONTAINERS));
        let view = PodView::of(&pod, &names, &containers);
        let foreign = match (view.owner.as_deref(), owner) {
            (Some(own), Some(owner)) => own != owner,
            _ => false,
        };
        let foreign = foreign.then_some(Ineligible::OtherOwner);
        let injected = pod.metadata.annotation(contract::INJECTED);
        // Version and hash, joined by a plus.
        let version = injected.and_then(|it| it.split('+').next());
        let created = pod.metadata.creation_timestamp.as_ref();
        Self {
            role: view.role,
            ready: view.ready,
            ineligible: foreign.or_else(|| ineligible(&view)),
            node: pod.node().map(str::to_owned),
            created_at: created.and_then(|text| text.parse().ok()),
            version: version.map(visible::line),
            revision: view.revision,
            priority: view.priority,
            meta: pod.metadata,
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.role == RoleLabel::Active
    }

    pub(crate) fn name(&self) -> &str {
        &self.meta.name
    }
}

impl Group {
    /// The pods that are labelled active: one, but for moments of a seamless move.
    pub(crate) fn active(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_active())
    }

    /// Name of the pod that leads: the Lease's holder, or who is labelled where the Lease cannot be
    /// seen.
    pub(crate) fn leader(&self) -> Option<String> {
        match &self.lease {
            Some(lease) => lease.holder(),
            None if self.sees.leases => None,
            None => self.active().next().map(|member| member.name().to_owned()),
        }
    }

    /// The pod that holds the Lease.
    pub(crate) fn holder(&self) -> Option<&Member> {
        let uid = self.lease.as_ref()?.holder_uid()?;
        self.members.iter().find(|member| member.meta.uid == uid)
    }

    /// A pod by its name.
    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name() == name)
    }

    /// The pods that could follow the holder.
    pub(crate) fn successors(&self) -> impl Iterator<Item = &Member> {
        let holder = self.holder().map(|holder| holder.meta.uid.clone());
        self.members.iter().filter(move |member| {
            member.ineligible.is_none() && Some(&member.meta.uid) != holder.as_ref()
        })
    }

    /// How many pods are ready.
    pub(crate) fn ready(&self) -> usize {
        self.members.iter().filter(|member| member.ready).count()
    }

    /// Seconds until the Lease expires, negative since then; `None` if nobody holds it.
    pub(crate) fn lease_left_s(&self, now: Timestamp) -> Option<i64> {
        let lease = self
            .lease
            .as_ref()
            .filter(|lease| lease.holder().is_some())?;
        let duration_s = i64::try_from(lease.duration_s()).ok()?;
        Some(lease.renewed_at()?.as_second() + duration_s - now.as_second())
    }

    /// The last move.
    pub(crate) fn last_move(&self) -> Option<Entry> {
        self.lease.as_ref()?.history().pop()
    }

    /// Name of the pod with this uid; the uid itself where it is not there.
    pub(crate) fn pod_name<'a>(&'a self, uid: &'a str) -> &'a str {
        let mut members = self.members.iter();
        members
            .find(|member| member.meta.uid == uid)
            .map_or(uid, Member::name)
    }
}
