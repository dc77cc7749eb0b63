//! Groups as JSON and YAML show them. Names and meanings stay; new ones may be added.

use crate::doubts::{Doubt, doubts};
use crate::group::{Group, Member};
use crate::lease::Lease;
use crate::service_mode::{Served, ServedReport};
use common::history::Entry;
use common::service::{Route, Service};
use election::{Ineligible, RoleLabel};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

/// Several groups, and the Services beside them that have none.
#[derive(Debug, Serialize)]
pub(crate) struct Groups {
    groups: Vec<GroupReport>,
    /// Services in Service mode.
    service_mode: Vec<ServedReport>,
}

/// One group.
#[derive(Debug, Serialize)]
pub(crate) struct GroupReport {
    namespace: String,
    group: String,
    /// Name of the pod that holds the Lease, or is labelled active where Leases cannot be seen; null
    /// if there is none.
    active: Option<String>,
    term: Option<u64>,
    /// RFC 3339.
    since: Option<String>,
    /// Negative once it has expired.
    lease_left_s: Option<i64>,
    lease_duration_s: Option<u64>,
    owner: Option<String>,
    paused: bool,
    switchover: Option<String>,
    pods: Vec<MemberReport>,
    services: Vec<ServiceReport>,
    history: Vec<Entry>,
    warnings: Vec<Doubt>,
}

/// A pod, of a group or of a Service in Service mode.
#[derive(Debug, Serialize)]
pub(crate) struct PodReport {
    pub(crate) pod: String,
    pub(crate) uid: String,
    /// As labelled; null if the label says neither.
    pub(crate) role: Option<&'static str>,
    pub(crate) ready: bool,
    pub(crate) eligible: bool,
    /// Why it is not eligible; null if it is.
    pub(crate) reason: Option<&'static str>,
    pub(crate) node: Option<String>,
    pub(crate) revision: String,
}

#[derive(Debug, Serialize)]
struct MemberReport {
    #[serde(flatten)]
    pod: PodReport,
    priority: i32,
    sidecar_version: Option<String>,
}

#[derive(Debug, Serialize)]
struct ServiceReport {
    service: String,
    #[serde(flatten)]
    traffic: Traffic,
}

/// Where the traffic of a Service goes.
#[derive(Debug, Serialize)]
pub(crate) struct Traffic {
    /// ClusterIP; null for a headless one.
    address: Option<String>,
    /// `pod`, `nobody`, `selector` (to every pod that it selects), or `untouched` (it has no
    /// selector).
    routing: &'static str,
    /// Name of the pod that it sends traffic to; its uid where that is gone; null: not one pod.
    routes_to: Option<String>,
}

impl Traffic {
    /// That of `service`; `pod_name` knows pods by their uids.
    pub(crate) fn new(service: &Service, pod_name: impl Fn(&str) -> String) -> Self {
        let route = service.route();
        Self {
            address: service.address().map(str::to_owned),
            routing: routing(route),
            routes_to: match route {
                Route::Pod(uid) => Some(pod_name(uid)),
                Route::Untouched | Route::Selector | Route::Nobody => None,
            },
        }
    }
}

impl Groups {
    pub(crate) fn new(groups: &[Group], served: &[Served], now: Timestamp) -> Self {
        let groups = groups.iter().map(|group| GroupReport::new(group, now));
        Self {
            groups: groups.collect(),
            service_mode: served.iter().map(ServedReport::new).collect(),
        }
    }
}

impl GroupReport {
    pub(crate) fn new(group: &Group, now: Timestamp) -> Self {
        let lease = group.lease.as_ref();
        let owned = |text: &str| text.to_owned();
        Self {
            namespace: group.namespace.clone(),
            group: group.name.clone(),
            active: group.leader(),
            term: lease.map(Lease::term),
            since: lease
                .filter(|lease| lease.holder().is_some())
                .and_then(Lease::acquired_at)
                .map(|at| at.to_string()),
            lease_left_s: group.lease_left_s(now),
            lease_duration_s: lease.map(Lease::duration_s),
            owner: lease.and_then(Lease::owner).map(owned),
            paused: lease.is_some_and(Lease::is_paused),
            switchover: lease.and_then(Lease::switchover).map(owned),
            pods: group.members.iter().map(pod).collect(),
            services: group.services.iter().map(|it| service(group, it)).collect(),
            history: lease.map(Lease::history).unwrap_or_default(),
            warnings: doubts(group, now),
        }
    }
}

fn pod(member: &Member) -> MemberReport {
    let pod = PodReport {
        pod: member.name().to_owned(),
        uid: member.meta.uid.clone(),
        role: role(member.role),
        ready: member.ready,
        eligible: member.ineligible.is_none(),
        reason: member.ineligible.map(Ineligible::as_str),
        node: member.node.clone(),
        revision: member.revision.clone(),
    };
    MemberReport {
        pod,
        priority: member.priority,
        sidecar_version: member.version.clone(),
    }
}

/// The label in one word; `None` if it says neither.
pub(crate) fn role(label: RoleLabel) -> Option<&'static str> {
    match label {
        RoleLabel::Active => Some("active"),
        RoleLabel::Passive => Some("passive"),
        RoleLabel::Other => None,
    }
}

/// A route in one word.
pub(crate) fn routing(route: Route<'_>) -> &'static str {
    match route {
        Route::Untouched => "untouched",
        Route::Selector => "selector",
        Route::Nobody => "nobody",
        Route::Pod(_) => "pod",
    }
}

fn service(group: &Group, service: &Service) -> ServiceReport {
    ServiceReport {
        service: service.metadata.name.clone(),
        traffic: Traffic::new(service, |uid| group.pod_name(uid).to_owned()),
    }
}
