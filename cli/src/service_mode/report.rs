//! Services in Service mode as JSON and YAML show them. Names and meanings stay; new ones may be
//! added.

use super::doubts::doubts;
use super::{Candidate, Served};
use crate::doubts::Doubt;
use crate::report::{PodReport, Traffic};
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
    #[serde(flatten)]
    traffic: Traffic,
    /// Null where they may not be seen.
    pods: Option<Vec<PodReport>>,
    warnings: Vec<Doubt>,
}

impl ServedReport {
    pub(crate) fn new(served: &Served) -> Self {
        let pods = served.pods.as_ref();
        Self {
            namespace: served.namespace().to_owned(),
            service: served.name().to_owned(),
            active: served.active(),
            since: served.since().map(|at| at.to_string()),
            selector: served.selector.clone(),
            traffic: Traffic::new(&served.service, |uid| served.pod_name(uid)),
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
