//! What the shell tells the elector.

use crate::step::RequestId;
use crate::view::{LeaseView, PodView, ServiceView, Version};

/// One piece of news. Watches may repeat themselves and may be late; an object older than one
/// already known is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// The wake-up that the last step asked for, or any look at the clock.
    Wake,
    /// The watch of the Lease showed it.
    LeaseSeen(LeaseView),
    /// The watch showed that there is no Lease, as of this version.
    LeaseAbsent(Version),
    /// The watch of the group's pods begins (anew) with this list.
    PodsListed(Vec<PodView>),
    /// A pod of the group was added or changed.
    PodSeen(PodView),
    /// The pod with this uid is gone.
    PodGone(String),
    /// The watch of the group's Services begins (anew) with this list.
    ServicesListed(Vec<ServiceView>),
    /// A Service of the group was added or changed.
    ServiceSeen(ServiceView),
    /// The Service of this name is gone, or is no longer annotated with the group, as of this
    /// version.
    ServiceGone(String, Version),
    /// There is no right to see the Services, as of now. Lists say when it is back.
    ServicesForbidden,
    /// A request has ended.
    Done(RequestId, Outcome),
    /// SIGTERM: with a native sidecar, the app has exited.
    Terminate,
}

/// How a request ended. A successful write carries the object as the API server returned it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The Lease as read or written.
    Lease(LeaseView),
    /// There is no Lease.
    NoLease,
    /// The pod as read or written.
    Pod(PodView),
    /// The pod as read or written, which does not carry the label of the group.
    PodLeft(PodView),
    /// The Service as read or written; `None` when it no longer belongs to the group.
    Service(Option<ServiceView>),
    /// It failed.
    Failed(Failure),
}

/// Why a request failed, as far as the elector's next move depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// 409: the object is not as it was read (or was created meanwhile). Not applied.
    Conflict,
    /// 404: the pod or Service (or, for a write, the Lease) is gone. Not applied.
    NotFound,
    /// 403: the right is missing. Not applied.
    Forbidden,
    /// 422 and the like: by a fencing policy, or another rule on what is written. Not applied.
    Refused,
    /// 429 or a 5xx that was answered: try later. Not applied, as far as is known.
    Unavailable {
        /// Retry-After, milliseconds; 0 if there was none.
        retry_after_ms: u64,
    },
    /// No answer: timeout, connection refused or broken. May have been applied.
    Lost,
}
