//! SupportTools/leader-elector.

use super::{Answer, KeyRule, LeaseRule, RoleRule, Route, Seed};
use crate::ids::HolderForm;
use crate::role::Giving;

/// Variable: name of the Lease.
pub const LEASE_NAME: &str = "LEASE_NAME";
/// Variable: namespace of the Lease.
pub const NAMESPACE: &str = "NAMESPACE";
/// Variable that asks for role labels, by the value [`LABELS`] alone.
pub const LABEL_POD_ROLE: &str = "LABEL_POD_ROLE";
/// See [`LABEL_POD_ROLE`].
pub const LABELS: &str = "true";
/// Variable: folder with a file named after the role.
pub const STATUS_DIR: &str = "STATUS_DIR";
/// Variable, ours: one file that is there on the leader only, as the README has it.
pub const STATUS_FILE: &str = "STATUS_FILE";
/// Variable: port of its HTTP server.
pub const HEALTH_PORT: &str = "HEALTH_PORT";

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
