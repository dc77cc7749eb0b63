//! middlendian/leader-labeler: as its README of 2025-12-27 says, and as its release v0.3 does.

use super::{KeyRule, LeaseRule, RoleRule, Seed, flags};
use crate::ids::HolderForm;
use crate::role::Giving;

/// Flag: name of the election.
pub const ELECTION: &str = "election-name";
/// Flag: name of the pod.
pub const POD: &str = "pod-name";
/// Flag: key of the role label.
pub const LEADERSHIP: &str = "leadership-label";
/// Flag: key of the label of pods that take part.
pub const PARTICIPATION: &str = "participation-label";
/// Flag: lease duration.
pub const LEASE_DURATION: &str = "lease-duration";
/// Flag, ours: for a rolling update from one generation to the other, which differ in the Lease's
/// name.
pub const LEASE_NAME: &str = "lease-name";
/// Flags of namespace, renew deadline and retry period, as the README calls them.
pub const OLD: [&str; 3] = ["namespace", "renew-deadline", "retry-period"];
/// The same as the release calls them.
pub const NEW: [&str; 3] = ["pod-namespace", "timeout-deadline", "retry-interval"];
/// All flags.
pub const FLAGS: [&str; 12] = [
    ELECTION,
    POD,
    LEADERSHIP,
    PARTICIPATION,
    LEASE_DURATION,
    LEASE_NAME,
    OLD[0],
    OLD[1],
    OLD[2],
    NEW[0],
    NEW[1],
    NEW[2],
];

/// Label of the README's pods that take part: `<election>/participant`.
pub const PARTICIPANT: KeyRule = KeyRule::OfElection("participant");
/// Value of [`PARTICIPANT`].
pub const PARTICIPATES: &str = "true";

const ROLE: RoleRule = RoleRule {
    key: KeyRule::OfElection("is-leader"),
    active: "true",
    passive: Some("false"),
};

/// The README's: pods take part by a label, and a leader drains.
pub const LEADER_LABELER: Seed = Seed {
    name: "leader-labeler",
    lease: LeaseRule::Election,
    holder: HolderForm::Name,
    giving: Giving::Freed,
    role: Some(ROLE),
    port: None,
    routes: &[],
    status_dir: None,
    exit_code: 1,
};

/// The release's: no label to take part by, another name of the Lease.
pub const LEADER_LABELER_V0_3: Seed = Seed {
    name: "leader-labeler-v0.3",
    lease: LeaseRule::ElectionAnd("-lock"),
    ..LEADER_LABELER
};

/// Whose flags these are: the README's or the release's.
#[must_use]
pub fn meant(arguments: &[&str]) -> Option<&'static Seed> {
    if !flags::any(arguments, &[ELECTION]) {
        return None;
    }
    let new = flags::any(arguments, &NEW);
    Some(if new {
        &LEADER_LABELER_V0_3
    } else {
        &LEADER_LABELER
    })
}
