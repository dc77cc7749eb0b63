//! What the elector tells the shell.

use crate::history::HistoryNote;
use crate::switchover::SwitchoverAnswer;
use crate::time::Mono;
use crate::view::Version;
use common::ids::Identity;

/// Number of a request; a completion with another number than that of the request in flight is
/// ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What to do after one step: at most one request, and when to call again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[must_use = "the request must be sent and the wake-up kept"]
pub struct Step {
    /// Request to send now. None is in flight when there is one here.
    pub request: Option<Request>,
    /// Call again with [`crate::Input::Wake`] at this instant, if nothing else comes first.
    pub wake_at: Mono,
    /// The standing after this step.
    pub standing: Standing,
    /// The role is likely to come here, and a request to follow at once: a connection that is open by
    /// then saves the time to open one.
    pub soon: bool,
}

/// A request to the API server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// Its number, to be given back with the outcome.
    pub id: RequestId,
    /// When to give it up: the shell then ends the connection and reports
    /// [`crate::Failure::Lost`].
    pub deadline: Mono,
    /// What to ask.
    pub action: Action,
}

/// The kinds of requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// GET the Lease.
    ReadLease,
    /// Create or PUT the Lease.
    WriteLease(LeaseWrite),
    /// GET a pod.
    ReadPod {
        /// Its name.
        name: String,
        /// Its uid; a namesake with another uid is not found.
        uid: String,
    },
    /// Patch role, term and own label of a pod.
    WritePod(PodWrite),
    /// GET a Service.
    ReadService {
        /// Its name.
        name: String,
    },
    /// Patch where a Service points.
    WriteService(ServiceWrite),
}

/// Why the Lease is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseWriteKind {
    /// A candidate takes a free, expired or absent Lease, or its own one back.
    Acquire,
    /// A pod makes a Lease again that was deleted, in nobody's name: [`common::contract::NO_POD`]. Of a
    /// record it can be seen that it stays as it is, of an absence it cannot.
    Recreate,
    /// The named successor confirms a directed record.
    Confirm,
    /// The leader extends its term (or raises it above a stray one).
    Renew,
    /// The holder directs the Lease to a successor.
    Handover,
    /// The holder frees the Lease.
    Release,
}

/// A write of the Lease. Whatever is not named here stays as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseWrite {
    /// Why.
    pub kind: LeaseWriteKind,
    /// The version it is based on: the PUT carries it. `None`: create.
    pub base: Option<Version>,
    /// The new holder; `None` frees the Lease.
    pub holder: Option<Identity>,
    /// leaseTransitions.
    pub term: u64,
    /// leaseDurationSeconds, as milliseconds (whole seconds).
    pub duration_ms: u64,
    /// Owner annotation to write.
    pub owner: Option<String>,
    /// Entry for the history that the Lease keeps.
    pub history: Option<HistoryNote>,
    /// The switchover that was asked for is answered: its annotation goes.
    pub answer: Option<SwitchoverAnswer>,
}

/// A conditional patch of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PodWrite {
    /// Its name.
    pub name: String,
    /// Its uid: a precondition.
    pub uid: String,
    /// Its version as it was read: a precondition.
    pub base: Version,
    /// Role and term to write; `None` leaves both.
    pub role: Option<(PodRole, u64)>,
    /// Write the label that names the pod's own uid.
    pub own_label: bool,
}

/// The two values that are ever written to the role label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PodRole {
    /// The active value.
    Active,
    /// The passive value.
    Passive,
}

/// A conditional patch of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceWrite {
    /// Its name.
    pub name: String,
    /// Its version as it was read: a precondition.
    pub base: Version,
    /// uid of the active pod; `None` writes `none`.
    pub active: Option<String>,
    /// Term of the write.
    pub term: u64,
    /// Write the selector key as well: an earlier answer showed that admission does not derive it.
    pub with_selector: bool,
}

/// Where this pod stands in the election.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Its role.
    pub role: Role,
    /// The term it leads, or the last term of the Lease that it knows.
    pub term: u64,
    /// The role ends at this instant unless renewed; `Mono::ZERO` while not leading.
    pub valid_until: Mono,
    /// Traffic may still be sent here: own label active, or a Service points here.
    pub holds_traffic: bool,
    /// After SIGTERM: nothing is left to do, the process may end.
    pub finished: bool,
}

/// The role of this pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Lease and pods are not known yet.
    Starting,
    /// Not the leader.
    Standby,
    /// The leader.
    Leader,
    /// Still the leader, but on its way out.
    Draining,
}

impl Role {
    /// Whether this pod leads.
    pub fn leads(self) -> bool {
        matches!(self, Self::Leader | Self::Draining)
    }
}
