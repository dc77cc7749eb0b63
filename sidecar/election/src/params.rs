//! Settings of one elector, and the times that follow from them.

use crate::customs::Customs;
use common::contract::default;
use common::ids::Identity;

/// What a planned move guarantees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Handover {
    /// Never zero active pods: the new one is active before the old one is stripped.
    Seamless,
    /// Never two active pods: the old one is stripped and its app has stopped before the new one.
    Exclusive,
}

/// Settings of one elector. The shell makes them from the environment, once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Params {
    /// The own pod.
    pub identity: Identity,
    /// Workload of the own pod as kind/name; `None` for a bare pod.
    pub owner: Option<String>,
    /// LD: lease duration, milliseconds; whole seconds.
    pub lease_duration_ms: u64,
    /// RD: how long a leader tries to renew, milliseconds.
    pub renew_deadline_ms: u64,
    /// RP: first retry after a failed request for the Lease, milliseconds.
    pub retry_period_ms: u64,
    /// What a planned move guarantees.
    pub handover: Handover,
    /// How long a draining leader waits for a ready successor, milliseconds.
    pub drain_timeout_ms: u64,
    /// How long the leader's app may be not ready, milliseconds.
    pub unready_grace_ms: u64,
    /// Seed of the jitter of retries; differs from pod to pod.
    pub jitter_seed: u64,
    /// What it does differently from others of its kind.
    pub customs: Customs,
}

impl Params {
    /// Time to finish losing the role before another may take it, milliseconds. Covers the clocks'
    /// drift over one lease duration as well.
    pub fn margin_ms(&self) -> u64 {
        (self.lease_duration_ms / 20).max(500)
    }

    /// How long one successful write of the Lease makes valid, from before it was sent.
    pub fn validity_ms(&self) -> u64 {
        self.lease_duration_ms - self.margin_ms()
    }

    /// From one renewal to the next, milliseconds.
    pub fn renew_every_ms(&self) -> u64 {
        self.lease_duration_ms / 3
    }

    /// Longest time that one request may take, milliseconds.
    pub fn attempt_ms_max(&self) -> u64 {
        self.lease_duration_ms / 5
    }

    /// Longest time of a leader's request for the Lease, milliseconds. One that failed before has
    /// less: of those that follow each other without an answer, five fit between a renewal's
    /// beginning and the end of the role, and each has time for a new connection to a server that
    /// is far away. See docs/safety.md.
    pub fn renewal_ms_max(&self, failed_before: bool) -> u64 {
        self.lease_duration_ms / if failed_before { 9 } else { 6 }
    }

    /// Duration of a record that directs the Lease to a successor, milliseconds.
    pub fn directed_ms(&self) -> u64 {
        default::DIRECTED_S * 1_000
    }
}

// The shortest lease must leave a leader time to renew twice before it loses the role.
const _: () = assert!(
    default::LEASE_DURATION_MS_MIN / 3 * 2 + 500 <= default::LEASE_DURATION_MS_MIN,
    "two renewals and the margin fit into the shortest lease"
);
