//! What people, controllers and accidents do to a group.

use super::admission::Term;
use super::watch::Kind;
use election::{LeaseWriteKind, RoleLabel};

/// Something that is done to the group at an instant.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "`for_ms` is how long it lasts, `down_ms` until it is back"
)]
pub enum Operation {
    /// A pod is deleted, and stops in the kubelet's order.
    Delete(Target),
    /// The object of a pod is removed at once, while its processes still run.
    ForceDelete(Target),
    /// All pods are replaced by those of a new revision.
    Rollout,
    /// A node dies. The pod's object stays.
    CrashNode(Target),
    /// The process of a sidecar dies, and is started again.
    CrashSidecar { target: Target, down_ms: u64 },
    /// A sidecar gets SIGTERM though its pod lives on (its liveness probe failed).
    RestartSidecar { target: Target, down_ms: u64 },
    /// The app is not ready.
    Unready { target: Target, for_ms: u64 },
    /// The node is cordoned.
    Disrupt { target: Target, for_ms: u64 },
    /// The process of a sidecar stands still; its clock goes on.
    Freeze { target: Target, for_ms: u64 },
    /// A sidecar is cut off from the API server.
    Cut { target: Target, for_ms: u64 },
    /// A sidecar is heard and hears nothing: its requests are done, no answer and no news arrive.
    Deafen { target: Target, for_ms: u64 },
    /// Several sidecars are cut off at once: those whose bit is set, in the order of creation.
    Partition { which: u64, for_ms: u64 },
    /// The clock on the wall is set, forward or back. The one that decides is another.
    StepWallClock { target: Target, by_s: i64 },
    /// The API server is down.
    Outage { for_ms: u64 },
    /// A program that elects by client-go wants the Lease for a while, and frees it then or does not.
    Foreigner { for_ms: u64, releases: bool },
    /// All objects are written down, for a later restore.
    Backup,
    /// The API server is down, and has the objects of the last backup when it is back. Versions
    /// fall back with them, or only those of objects do and new ones are higher than ever.
    Restore { down_ms: u64, bumped: bool },
    /// Requests and watches have bad luck; those of one pod, or of all.
    Weather {
        target: Option<Target>,
        weather: Weather,
        for_ms: u64,
    },
    /// The next write of this kind is lost: before it is done, or only its answer.
    LoseNext { kind: LeaseWriteKind, done: bool },
    /// The next requests of this name (see [`super::Sent`]) have one mishap each.
    Trip {
        what: &'static str,
        mishap: Mishap,
        times: u64,
    },
    /// A watch breaks, and begins anew with a list.
    BreakWatch {
        target: Target,
        kind: Kind,
        for_ms: u64,
    },
    /// Someone deletes the Lease.
    DeleteLease,
    /// Someone edits the role label of a pod.
    EditRole { target: Target, role: RoleLabel },
    /// Someone edits the term annotation of a pod; numbers are added to the term of the Lease.
    EditTerm { target: Target, term: Term },
    /// Someone removes the label that names the pod's own uid.
    EditOwnLabel(Target),
    /// Someone takes the label of the group off a pod; 0: for good.
    LeaveGroup { target: Target, for_ms: u64 },
    /// Someone edits a Service.
    EditService(ServiceEdit),
    /// Nobody has the right to see or write Services, and their watches end.
    ForbidServices { for_ms: u64 },
    /// The role is frozen by annotation.
    Pause { for_ms: u64 },
    /// A switchover is asked for: to one pod, or to any.
    Switchover(Option<Target>),
}

/// What a script does to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It is done, and its answer is lost.
    AnswerLost,
    /// It takes this much longer on its way there, milliseconds.
    Slow(u64),
}

/// A pod, as known when the operation takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The holder of the Lease.
    Leader,
    /// One of the others, by number.
    Standby(u64),
}

/// What is done to the first Service, or to one that comes late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceEdit {
    /// The two annotations (and with them the selector key) are removed.
    Strip,
    /// It is pointed at some pod.
    Point(Target),
    /// The group annotation is taken away for a while.
    Leave {
        /// How long.
        for_ms: u64,
    },
    /// It is deleted, and created anew.
    Recreate {
        /// After this time.
        after_ms: u64,
    },
    /// Its term is set to that of the Lease and so many more.
    Outbid(u64),
    /// Another writer points it at some pod, again and again.
    Fight {
        /// At which pod.
        target: Target,
        /// How often, milliseconds.
        every_ms: u64,
        /// How many times.
        times: u64,
    },
    /// Another Service, which was there and not annotated, joins the group.
    Join,
}

/// How requests and watches fare: parts in a thousand, and a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Requests that are lost on the way there.
    pub lose_request: u32,
    /// Answers that are lost on the way back.
    pub lose_answer: u32,
    /// Requests that take long on the way there, maybe past their deadline.
    pub slow_request: u32,
    /// Answers that take long on the way back, maybe past their deadline.
    pub slow_answer: u32,
    /// Answers that come twice.
    pub duplicate: u32,
    /// Requests refused with 429.
    pub throttle: u32,
    /// Requests that fail with 5xx, undone.
    pub error: u32,
    /// Requests that fail with 5xx though they were done.
    pub error_done: u32,
    /// Writes that another writer of the same object comes before.
    pub touch: u32,
    /// How late watches may be, milliseconds.
    pub watch_late_ms: u64,
    /// From a request to its answer on a connection that is there, milliseconds; a new one takes
    /// [`super::network::CONNECT_ROUND_TRIPS`] more of them.
    pub round_trip_ms: u64,
}

impl Weather {
    /// Nothing happens to requests, and watches are prompt.
    pub const FAIR: Self = Self {
        lose_request: 0,
        lose_answer: 0,
        slow_request: 0,
        slow_answer: 0,
        duplicate: 0,
        throttle: 0,
        error: 0,
        error_done: 0,
        touch: 0,
        watch_late_ms: 0,
        round_trip_ms: 0,
    };

    /// The worse of both in each respect.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            lose_request: self.lose_request.max(other.lose_request),
            lose_answer: self.lose_answer.max(other.lose_answer),
            slow_request: self.slow_request.max(other.slow_request),
            slow_answer: self.slow_answer.max(other.slow_answer),
            duplicate: self.duplicate.max(other.duplicate),
            throttle: self.throttle.max(other.throttle),
            error: self.error.max(other.error),
            error_done: self.error_done.max(other.error_done),
            touch: self.touch.max(other.touch),
            watch_late_ms: self.watch_late_ms.max(other.watch_late_ms),
            round_trip_ms: self.round_trip_ms.max(other.round_trip_ms),
        }
    }
}
