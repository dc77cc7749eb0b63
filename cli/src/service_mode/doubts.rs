//! What keeps a Service from having its pod, or would stop the next move, in plain words.

use super::{Served, active, labels};
use crate::doubts::{Doubt, doubt};
use common::contract::{self, default::ACTIVE_VALUE};
use common::service::Route;

/// All doubts about a Service, the most urgent first. Says nothing of what could not be seen.
pub(super) fn doubts(served: &Served) -> Vec<Doubt> {
    if let Some(declined) = declined(served) {
        return vec![declined];
    }
    let Some(pods) = &served.pods else {
        return Vec::new();
    };
    if pods.is_empty() {
        let text = format!("it selects no pod: none carries {}", selector(served));
        return vec![doubt("NoPods", text)];
    }
    let mut doubts = Vec::new();
    doubts.extend(of_traffic(served));
    if pods.iter().all(|pod| pod.ineligible.is_some()) {
        let text = match served.active() {
            Some(active) => format!(
                "none of its pods is ready: it points at {active} until that one or another is"
            ),
            None => "none of its pods is ready: none can be designated".to_owned(),
        };
        doubts.push(doubt("NoReadyPod", text));
        return doubts;
    }
    doubts.extend(of_designation(served));
    doubts
}

/// Why it is left alone, as far as its objects tell.
fn declined(served: &Served) -> Option<Doubt> {
    if let Some(group) = served.service.group() {
        let text = format!(
            "it is left alone: it follows group {group}, whose leader decides where it points; \
             remove {} or {}",
            contract::GROUP,
            contract::MODE
        );
        return Some(doubt("FollowsGroup", text));
    }
    if served.selector.is_empty() {
        let text = "it is left alone: without selector there are no pods to choose from";
        return Some(doubt("NoSelector", text));
    }
    if let Some(pod) = &served.sidecar {
        let text = format!(
            "it is left alone: pod {pod} has the sidecar, and its group's leader decides; annotate \
             the Service with {} instead",
            contract::GROUP
        );
        return Some(doubt("HasSidecar", text));
    }
    served.older.as_ref().map(|older| {
        let text = format!(
            "it is left alone: it shares pods with Service {older}, which is older and selects by \
             other labels; let both select by the same, or no pod be selected by both"
        );
        doubt("SharesPods", text)
    })
}

/// Where its traffic goes, beside where it should.
fn of_traffic(served: &Served) -> Option<Doubt> {
    let active = active(&served.service)?;
    let route = served.service.route();
    (route != Route::Pod(active)).then(|| {
        let text = format!(
            "it sends traffic to {}, not to {} alone: its selector does not follow",
            served.destination(),
            served.pod_name(active)
        );
        doubt("Misrouted", text)
    })
}

/// Who is designated, where somebody could be.
fn of_designation(served: &Served) -> Vec<Doubt> {
    let name = served.name();
    let Some(active) = served.active() else {
        let text = format!(
            "pods are ready and none is designated: `kubectl events --for service/{name}` says why, \
             for an hour, and `kubectl active-passive check` whether Service mode is on"
        );
        return vec![doubt("NotDesignated", text)];
    };
    let late = "another follows within a second, where Service mode runs";
    let Some(pod) = served.designated() else {
        let text = format!("pod {active} is designated and is not there: {late}");
        return vec![doubt("ActiveGone", text)];
    };
    if let Some(why) = pod.ineligible {
        let text = format!("{active} is designated, and {}: {late}", why.as_str());
        return vec![doubt("ActiveNotReady", text)];
    }
    let mut doubts = Vec::new();
    let labelled = served.pods().iter().filter(|pod| pod.labelled);
    let labelled: Vec<&str> = labelled.map(|pod| pod.name.as_str()).collect();
    if labelled.len() > 1 {
        let text = format!("{} are labelled active", labelled.join(" and "));
        doubts.push(doubt("ManyActive", text));
    } else if !pod.labelled {
        let keys = labels(&served.service);
        let labels: Vec<String> = keys.map(|it| format!("{it}={ACTIVE_VALUE}")).collect();
        let text = format!("{active} does not carry {}", labels.join(" and "));
        doubts.push(doubt("NotLabelled", text));
    }
    if served.successors().next().is_none() {
        let text = format!("no other pod is ready: if {active} fails, nobody follows");
        doubts.push(doubt("NoSuccessor", text));
    }
    doubts
}

/// `app=web,tier=front`.
pub(super) fn selector(served: &Served) -> String {
    let pairs = served.selector.iter();
    let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}
