//! knoppiks/apsc, "active-passive sidecar".

use super::{KeyRule, LeaseRule, RoleRule, Seed};
use crate::ids::HolderForm;
use crate::role::Giving;

/// Variable that holds the key of the label.
pub const LABEL_KEY: &str = "LABEL_KEY";
/// Labels of the pod whose values make the name of the Lease.
pub const NAME_LABEL: &str = "app.kubernetes.io/name";
/// See [`NAME_LABEL`].
pub const COMPONENT_LABEL: &str = "app.kubernetes.io/component";

/// The active pod carries the label, the others do not.
pub const APSC: Seed = Seed {
    name: "apsc",
    lease: LeaseRule::Labels(NAME_LABEL, COMPONENT_LABEL),
    holder: HolderForm::Name,
    giving: Giving::StrippedAndFreed,
    role: Some(RoleRule {
        key: KeyRule::Fixed("apsc.knoppiks.de/state"),
        active: "active",
        passive: None,
    }),
    port: None,
    routes: &[],
    status_dir: None,
    exit_code: 255,
};
