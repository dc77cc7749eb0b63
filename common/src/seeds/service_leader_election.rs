//! maksim-paskal/service-leader-election.

use super::{Answer, LeaseRule, Route, Seed};
use crate::ids::HolderForm;
use crate::role::Giving;

/// Traffic follows the leader by the selector of a Service, and pods carry no role.
pub const SERVICE_LEADER_ELECTION: Seed = Seed {
    name: "service-leader-election",
    lease: LeaseRule::Election,
    holder: HolderForm::Name,
    giving: Giving::Freed,
    role: None,
    port: Some(28_086),
    routes: &[
        Route {
            path: "/ready",
            answer: Answer::Leads("is master", "wait for master"),
        },
        Route {
            path: "/healthz",
            answer: Answer::AppReady("live", "primary container is not ready"),
        },
        Route {
            path: "/debug",
            answer: Answer::PodName,
        },
    ],
    status_dir: None,
    exit_code: 1,
};
