//! API objects as the elector sees them: what the shell extracts from Lease, pods and Services.

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
    /// It is about to be evicted (condition DisruptionTarget), or its node is cordoned.
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
