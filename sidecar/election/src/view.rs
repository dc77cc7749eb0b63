//! API objects as the elector sees them: what the shell extracts from Lease, pods and Services.

use common::contract::NO_POD;
use common::ids::Identity;
use common::objects::Meta;
use common::pod::Pod;
use common::role::{Containers, RoleLabelNames};

/// Largest term that counts. Nine digits fit the Lease's 32-bit field and the fencing policies;
/// whatever is larger was not written by an elector and is read as no term.
pub const TERM_MAX: u64 = 999_999_999;

/// A resourceVersion. Kubernetes' are decimal numbers that grow with every write to a resource,
/// which is what lets a late watch event be told from a fresh answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub u64);

/// The content of a Lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Record {
    /// holderIdentity; `None` for absent, null and "".
    pub holder: Option<String>,
    /// leaseTransitions: rises with every acquisition, never falls.
    pub term: u64,
    /// leaseDurationSeconds, as milliseconds.
    pub duration_ms: u64,
    /// renewTime in microseconds. Opaque: compared for equality only, to see that it changed.
    pub renew_time_us: i64,
    /// Whether the role is frozen.
    pub paused: bool,
    /// Pod that shall become active: its name, or `any`.
    pub switchover: Option<String>,
    /// Workload that the group belongs to, as kind/name.
    pub owner: Option<String>,
}

impl Record {
    /// Whether nobody has ever held this Lease: it was made in nobody's name. It says nothing about
    /// who held one before it. Electors of other kinds see a holder, and wait.
    #[must_use]
    pub fn is_unheld(&self) -> bool {
        self.holder.as_deref() == Some(NO_POD) && self.term == 0
    }
}

/// A Lease as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseView {
    /// Its resourceVersion.
    pub version: Version,
    /// Its content.
    pub record: Record,
}

/// The role label of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoleLabel {
    /// It carries the active value.
    Active,
    /// It carries the passive value (or is absent where that is what passive means).
    Passive,
    /// Neither: absent or edited.
    Other,
}

impl RoleLabel {
    /// That of a pod whose label has these names.
    #[must_use]
    pub fn of(pod: &Meta, names: &RoleLabelNames) -> Self {
        if names.is_active(pod) {
            Self::Active
        } else if names.is_passive(pod) {
            Self::Passive
        } else {
            Self::Other
        }
    }
}

/// A pod of the group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PodView {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its resourceVersion.
    pub version: Version,
    /// Its role label.
    pub role: RoleLabel,
    /// Term of the last write of its role; `None` if absent, no number or above [`TERM_MAX`].
    pub term: Option<u64>,
    /// Its sidecar has started: the pod carries its own uid as label.
    pub started: bool,
    /// The containers that count are ready.
    pub ready: bool,
    /// It has a deletionTimestamp, or is finished.
    pub terminating: bool,
    /// It is about to be evicted: condition DisruptionTarget.
    pub disrupted: bool,
    /// Its priority annotation.
    pub priority: i32,
    /// Revision of its template (pod-template-hash or controller-revision-hash); "" if unknown.
    pub revision: String,
    /// creationTimestamp, seconds. Ordered against other pods' only.
    pub created_s: i64,
    /// Workload that it belongs to, as kind/name.
    pub owner: Option<String>,
}

impl PodView {
    /// The own pod where it is not looked at: there, ready, and passive.
    #[must_use]
    pub fn imagined(identity: &Identity) -> Self {
        Self {
            uid: identity.uid.clone(),
            name: identity.name.clone(),
            version: Version(1),
            role: RoleLabel::Passive,
            term: None,
            started: true,
            ready: true,
            terminating: false,
            disrupted: false,
            priority: 0,
            revision: String::new(),
            created_s: 0,
            owner: None,
        }
    }

    /// The pod, as far as its eligibility goes: without version, term and time of creation.
    #[must_use]
    pub fn of(pod: &Pod, names: &RoleLabelNames, containers: &Containers) -> Self {
        let meta = &pod.metadata;
        Self {
            uid: meta.uid.clone(),
            name: meta.name.clone(),
            version: Version::default(),
            role: RoleLabel::of(meta, names),
            term: None,
            started: pod.has_started(),
            ready: pod.is_ready(containers),
            terminating: pod.is_terminating(),
            disrupted: pod.is_disrupted(),
            priority: pod.priority(),
            revision: pod.revision().to_owned(),
            created_s: 0,
            owner: meta.owner().map(|owner| owner.to_string()),
        }
    }

    /// Whether it is known to belong to another workload than `owner`.
    pub(crate) fn is_foreign(&self, owner: Option<&str>) -> bool {
        match (self.owner.as_deref(), owner) {
            (Some(own), Some(owner)) => own != owner,
            _ => false,
        }
    }
}

/// A Service that is annotated with the group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceView {
    /// Its name.
    pub name: String,
    /// Its resourceVersion.
    pub version: Version,
    /// uid of the active pod as annotated; `None` if absent, `Some("none")` for no pod.
    pub active: Option<String>,
    /// Term of the annotation; `None` if absent, no number or above [`TERM_MAX`].
    pub term: Option<u64>,
    /// Value of our selector key.
    pub selected: Option<String>,
    /// Whether it has a selector at all; one without is left alone.
    pub has_selector: bool,
}

impl ServiceView {
    /// Whether traffic may be sent to the pod with this uid: by the annotation, or by a selector
    /// key that nothing derived from it.
    pub(crate) fn points_at(&self, uid: &str) -> bool {
        self.has_selector
            && (self.active.as_deref() == Some(uid) || self.selected.as_deref() == Some(uid))
    }

    /// Whether its annotation names a pod other than the one with this uid.
    pub(crate) fn names_another(&self, uid: &str) -> bool {
        self.has_selector && is_another(self.active.as_deref(), uid)
    }

    /// Whether traffic may be sent to a pod other than the one with this uid.
    pub(crate) fn points_elsewhere(&self, uid: &str) -> bool {
        self.names_another(uid) || self.has_selector && is_another(self.selected.as_deref(), uid)
    }
}

fn is_another(pod: Option<&str>, uid: &str) -> bool {
    pod.is_some_and(|pod| pod != NO_POD && pod != uid)
}
