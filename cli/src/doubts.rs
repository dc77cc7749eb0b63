//! What would stop a failover, or already keeps the group from being served: in plain words.

use crate::age::{since_s, span};
use crate::group::Group;
use crate::lease::Lease;
use common::service::Route;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Doubt {
    /// Stays the same from version to version.
    pub(crate) code: &'static str,
    /// What it means and what to do.
    pub(crate) text: String,
}

pub(crate) fn doubt(code: &'static str, text: impl Into<String>) -> Doubt {
    let text = text.into();
    Doubt { code, text }
}

/// Codes of doubts, as a table has them.
pub(crate) fn codes(doubts: &[Doubt]) -> String {
    let mut codes: Vec<&str> = doubts.iter().map(|doubt| doubt.code).collect();
    // Several Services may have the same.
    codes.dedup();
    codes.join(",")
}

/// All doubts about a group, the most urgent first. Says nothing of what could not be seen.
pub(crate) fn doubts(group: &Group, now: Timestamp) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if group.sees.leases {
        doubts.extend(of_lease(group, now));
    }
    if group.sees.pods {
        doubts.extend(of_pods(group));
    }
    if group.sees.pods && group.sees.services {
        doubts.extend(of_services(group));
    }
    doubts
}

fn of_lease(group: &Group, now: Timestamp) -> Vec<Doubt> {
    let name = &group.name;
    let Some(lease) = &group.lease else {
        return vec![doubt(
            "NoLease",
            "no pod has been active yet: is one ready, and does its sidecar run? \
             `kubectl logs POD -c active-passive` says what it waits for",
        )];
    };
    let mut doubts = Vec::new();
    match (lease.holder(), group.lease_left_s(now)) {
        (None, _) => doubts.push(doubt("NoLeader", "the Lease is free: nobody leads")),
        (Some(holder), Some(left_s)) if left_s < 0 => {
            let ago = span(left_s.unsigned_abs());
            let text = format!(
                "the Lease of {holder} expired {ago} ago: nobody leads, unless the clock of this \
                 machine is ahead"
            );
            doubts.push(doubt("NoLeader", text));
        }
        (Some(_), _) => {}
    }
    if lease.is_paused() {
        let by = lease.pause().map(|pause| {
            let ago = since_s(now, pause.at).map(|s| format!(", {} ago", span(s)));
            format!(" (paused by {}{})", pause.by, ago.unwrap_or_default())
        });
        let text = format!(
            "nobody is promoted, also when the active pod fails{}; \
             `kubectl active-passive resume {name}` ends that",
            by.unwrap_or_default()
        );
        doubts.push(doubt("Paused", text));
    }
    if let Some(wanted) = lease.switchover() {
        let to = if wanted == "any" {
            "another pod"
        } else {
            wanted
        };
        let text = format!("a switchover to {to} waits for its answer");
        doubts.push(doubt("SwitchoverPending", text));
    }
    doubts
}

fn of_pods(group: &Group) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    if group.members.is_empty() {
        let text = "it has no pods: its Lease or Service is left over, or nothing was injected yet";
        return vec![doubt("NoPods", text)];
    }
    let active: Vec<&str> = group.active().map(|member| member.name()).collect();
    let holder = group.lease.as_ref().and_then(Lease::holder);
    if active.len() > 1 {
        let text = format!(
            "{} are labelled active: a seamless move is under way, or one of them is cut off",
            active.join(" and ")
        );
        doubts.push(doubt("ManyActive", text));
    }
    match (&holder, group.holder()) {
        (Some(holder), None) if group.sees.leases => {
            let text = format!("{holder} holds the Lease and is no pod of the group");
            doubts.push(doubt("HolderGone", text));
        }
        (Some(holder), Some(member)) if !member.is_active() => {
            let text = format!("{holder} holds the Lease and is not labelled active");
            doubts.push(doubt("NotLabelled", text));
        }
        _ => {}
    }
    if group.sees.leases && group.successors().next().is_none() {
        let text = match &holder {
            Some(holder) => format!("no other pod can become active: if {holder} fails, nobody is"),
            None => "no pod can become active".to_owned(),
        };
        doubts.push(doubt("NoSuccessor", text));
    }
    let versions: BTreeSet<&str> = group
        .members
        .iter()
        .filter_map(|member| member.version.as_deref())
        .collect();
    if versions.len() > 1 {
        let versions: Vec<&str> = versions.into_iter().collect();
        let text = format!(
            "its sidecars have different versions ({}): a rollout is under way, or \
             `kubectl rollout restart` is due",
            versions.join(", ")
        );
        doubts.push(doubt("MixedVersions", text));
    }
    doubts
}

fn of_services(group: &Group) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let holder = group.holder();
    let followed = group.services.iter();
    for service in followed.filter(|it| it.route() != Route::Untouched) {
        let name = &service.metadata.name;
        if let Some(holder) = holder
            && service.route() != Route::Pod(&holder.meta.uid)
        {
            let text = format!(
                "Service {name} sends traffic to {}, not to {} alone",
                destination(group, service.route()),
                holder.name()
            );
            doubts.push(doubt("Misrouted", text));
        }
        if let Some(holder) = holder.filter(|holder| service.leaves_out(&holder.meta)) {
            let text = format!(
                "Service {name} serves nobody: its selector does not match {}",
                holder.name()
            );
            doubts.push(doubt("SelectorMatchesNoPod", text));
        }
        if service.is_headless() {
            let text = format!("Service {name} is headless: other pods vanish from its DNS name");
            doubts.push(doubt("HeadlessService", text));
        }
    }
    doubts
}

/// Where traffic goes, after "sends traffic to".
pub(crate) fn destination<'a>(group: &'a Group, route: Route<'a>) -> &'a str {
    match route {
        Route::Untouched => "whoever its endpoints name",
        Route::Selector => "every pod that it selects",
        Route::Nobody => "nobody",
        Route::Pod(uid) => group.pod_name(uid),
    }
}
