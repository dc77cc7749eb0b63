//! Services in Service mode as JSON and YAML show them. Names and meanings stay; new ones may be
//! added.

use super::doubts::doubts;
use super::{Candidate, Served};
use crate::doubts::Doubt;
use crate::report::routing;
use common::service::Route;
use election::Ineligible;
use serde::Serialize;
use std::collections::BTreeMap;

/// One Service.
#[derive(Debug, Serialize)]
pub(crate) struct ServedReport {
    namespace: String,
    service: String,
    /// Name of the designated pod, its uid where that is gone; null if there is none.
    active: Option<String>,
    /// When it was designated, RFC 3339; null where the API server does not tell.
    since: Option<String>,
    /// What its owner selects by.
    selector: BTreeMap<String, String>,
    /// ClusterIP; null for a headless one.
    address: Option<String>,
    /// As of the Services of groups.
    routing: &'static str,
    /// Name of the pod that it sends traffic to; its uid where that is gone; null: not one pod.
    routes_to: Option<String>,
    /// Null where they may not be seen.
    pods: Option<Vec<PodReport>>,
    warnings: Vec<Doubt>,
}

#[derive(Debug, Serialize)]
struct PodReport {
    pod: String,
    uid: String,
    /// As labelled; null if it is not.
    role: Option<&'static str>,
    ready: bool,
    eligible: bool,
    /// Why it is not eligible; null if it is.
    reason: Option<&'static str>,
    node: Option<String>,
    revision: String,
}

impl ServedReport {
    pub(crate) fn new(served: &Served) -> Self {
        let route = served.service.route();
        let pods = served.pods.as_ref();
        Self {
            namespace: served.namespace().to_owned(),
            service: served.name().to_owned(),
            active: served.active(),
            since: served.since().map(|at| at.to_string()),
            selector: served.selector.clone(),
            address: served.service.address().map(str::to_owned),
            routing: routing(route),
            routes_to: match route {
                Route::Pod(uid) => Some(served.pod_name(uid)),
                Route::Untouched | Route::Selector | Route::Nobody => None,
            },
            pods: pods.map(|pods| pods.iter().map(pod).collect()),
            warnings: doubts(served),
        }
    }
}

fn pod(pod: &Candidate) -> PodReport {
    PodReport {
        pod: pod.name.clone(),
        uid: pod.uid.clone(),
        role: pod.labelled.then_some("active"),
        ready: pod.ready,
        eligible: pod.ineligible.is_none(),
        reason: pod.ineligible.map(Ineligible::as_str),
        node: pod.node.clone(),
        revision: pod.revision.clone(),
    }
}
