//! middlendian/leader-labeler: as its README of 2025-12-27 says, and as its release v0.3 does.

use super::{KeyRule, LeaseRule, RoleRule, Seed};
use crate::ids::HolderForm;
use crate::role::Giving;

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
