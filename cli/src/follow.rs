//! What becomes of a switchover, as the objects show it. Pure.

use crate::doubts::{destination, doubts};
use crate::group::Group;
use crate::lease::Lease;
use common::service::Route;
use election::Ineligible;
use k8s_openapi::jiff::Timestamp;

/// Value of the annotation that leaves the choice to the leader.
const ANY_POD: &str = "any";

/// What to do about a wish.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The pod is active already.
    Nothing(String),
    /// Ask for this pod, or any.
    Ask { wanted: String, from: Before },
}

/// Who was active when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) pod: String,
    pub(crate) uid: String,
    pub(crate) term: u64,
}

/// How far it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// What is waited for.
    Waiting(String),
    /// The request is gone and nothing has moved.
    Refused,
    /// The role and the Services have moved to this pod.
    Moved(String),
    /// The role has moved to this pod, which is not the one that was asked for.
    Elsewhere(String),
}

/// Whether the role can move from its holder to `to`, or to anybody; otherwise why not.
pub(crate) fn plan(group: &Group, to: Option<&str>, now: Timestamp) -> Result<Plan, String> {
    let name = &group.name;
    let lease = group.lease.as_ref();
    let (lease, holder) = match lease.zip(lease.and_then(Lease::holder)) {
        Some(held) if group.lease_left_s(now).is_some_and(|left_s| left_s >= 0) => held,
        _ => {
            let doubts = doubts(group, now);
            let why = doubts.first().map_or("nobody leads", |doubt| &doubt.text);
            return Err(format!("nobody in group {name} can be asked: {why}"));
        }
    };
    if to == Some(holder.as_str()) {
        return Ok(Plan::Nothing(format!("{holder} is active already\n")));
    }
    if lease.is_paused() {
        return Err(format!(
            "group {name} is paused; `kubectl active-passive resume {name}` first"
        ));
    }
    if let Some(wanted) = lease.switchover() {
        return Err(format!("a switchover to {wanted} is not answered yet"));
    }
    if group.sees.pods {
        can_follow(group, to)?;
    }
    Ok(Plan::Ask {
        wanted: to.unwrap_or(ANY_POD).to_owned(),
        from: Before {
            pod: holder,
            uid: lease.holder_uid().unwrap_or_default(),
            term: lease.term(),
        },
    })
}

fn can_follow(group: &Group, to: Option<&str>) -> Result<(), String> {
    let able: Vec<&str> = group.successors().map(|member| member.name()).collect();
    let instead = match able.as_slice() {
        [] => "no pod can follow".to_owned(),
        able => format!("these can: {}", able.join(", ")),
    };
    match to {
        None if able.is_empty() => {
            let why_not =
                |(name, reason): (&str, Ineligible)| format!("{name}: {}", reason.as_str());
            let holder = group.holder().map(|holder| holder.meta.uid.as_str());
            let others = group
                .members
                .iter()
                .filter(|member| Some(member.meta.uid.as_str()) != holder);
            let reasons: Vec<String> = others
                .filter_map(|member| Some((member.name(), member.ineligible?)))
                .map(why_not)
                .collect();
            Err(match reasons.as_slice() {
                [] => format!("group {} has no other pod", group.name),
                reasons => format!("no other pod can become active ({})", reasons.join("; ")),
            })
        }
        None => Ok(()),
        Some(pod) => match group.member(pod).map(|member| member.ineligible) {
            None => Err(format!("group {} has no pod {pod}; {instead}", group.name)),
            Some(Some(reason)) => Err(format!(
                "{pod} cannot become active: {}; {instead}",
                reason.as_str()
            )),
            Some(None) => Ok(()),
        },
    }
}

/// How far a switchover to `to`, or to anybody, is that was asked for when `before` was active.
pub(crate) fn progress(group: &Group, before: &Before, to: Option<&str>) -> Progress {
    let waiting = |text: String| Progress::Waiting(text);
    let Some(lease) = &group.lease else {
        return waiting("the Lease is gone, and not there again yet".to_owned());
    };
    let Some(holder) = lease.holder() else {
        return waiting("the Lease is free, and nobody has taken it yet".to_owned());
    };
    if lease.holder_uid().as_deref() == Some(before.uid.as_str()) {
        return match lease.switchover() {
            Some(_) => waiting(format!("{holder} has not answered yet")),
            None => Progress::Refused,
        };
    }
    // The leader had to go before it had answered, and another pod was better or first.
    if to.is_some_and(|to| to != holder) {
        return Progress::Elsewhere(holder);
    }
    let history = lease.history();
    let entry = history.iter().rfind(|entry| entry.term == lease.term());
    // The entry of a move that was directed is completed when the successor confirms.
    if entry.is_some_and(|entry| entry.duration_ms.is_none() && entry.kind == "switchover") {
        return waiting(format!("{holder} has not confirmed yet"));
    }
    if group.sees.pods && !group.holder().is_some_and(|member| member.is_active()) {
        return waiting(format!("{holder} is not labelled active yet"));
    }
    let uid = lease.holder_uid().unwrap_or_default();
    let mut followed = group.services.iter();
    let late = followed.find(|service| match service.route() {
        Route::Untouched => false,
        route => route != Route::Pod(&uid),
    });
    if let Some(service) = late {
        let (name, there) = (&service.metadata.name, destination(group, service.route()));
        return waiting(format!("Service {name} still sends traffic to {there}"));
    }
    Progress::Moved(holder)
}

#[cfg(test)]
mod tests;
