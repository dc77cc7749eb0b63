//! SupportTools/leader-elector.

use super::{Answer, KeyRule, LeaseRule, RoleRule, Route, Seed};
use crate::ids::HolderForm;
use crate::role::Giving;

/// A file says who leads; labels do where they are asked for.
pub const LEADER_ELECTOR: Seed = Seed {
    name: "leader-elector",
    lease: LeaseRule::Election,
    holder: HolderForm::Name,
    giving: Giving::StrippedAndFreed,
    role: Some(RoleRule {
        key: KeyRule::Fixed("role"),
        active: "leader",
        passive: Some("follower"),
    }),
    port: Some(8_080),
    routes: &[Route {
        path: "/healthz",
        answer: Answer::Always("ok"),
    }],
    status_dir: Some("/tmp/leader_status"),
    exit_code: 2,
};
