//! maksim-paskal/service-leader-election.

use super::{Answer, LeaseRule, Route, Seed};
use crate::ids::HolderForm;
use crate::role::Giving;

/// Flag: name of the Lease.
pub const LEASE: &str = "lease-name";
/// Flag: the Service that is pointed at the leader.
pub const SERVICE: &str = "service-name";
/// Flag: key of the pods' label, and of the Service's selector.
pub const KEY: &str = "service-key";
/// Flag: name of the pod.
pub const POD: &str = "podname";
/// Flag: its namespace.
pub const NAMESPACE: &str = "namespace";
/// Flag: the container whose readiness counts.
pub const CONTAINER: &str = "container-name";
/// Flag: port of its HTTP server.
pub const PORT: &str = "web.port";
/// Flag: how to reach a cluster from without.
pub const KUBECONFIG: &str = "kubeconfig";
/// Switch: whether the Service is pointed at the leader.
pub const PATCH: &str = "patch-service";
/// Switch: whether it takes part only once its container is ready.
pub const CHECK: &str = "check-for-ready";
/// Flags: how long it takes to stop, and how often it looks.
pub const TIMES: [&str; 2] = ["graceful-shutdown-time", "check-for-ready-interval"];
/// Flags that have a value.
pub const VALUED: [&str; 10] = [
    LEASE, SERVICE, KEY, POD, NAMESPACE, CONTAINER, PORT, KUBECONFIG, TIMES[0], TIMES[1],
];
/// Flags that need none.
pub const SWITCHES: [&str; 2] = [PATCH, CHECK];

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
