//! What runs: groups without a leader, Services that serve nobody, pods that were missed.

use crate::check::facts::{CheckedPod, Workloads};
use crate::check::finding::{Finding, Level, page};
use crate::check::{rights, service_mode};
use crate::doubts::{Doubt, doubts};
use crate::group::Group;
use crate::lease::Lease;
use common::contract;
use common::service::Service;
use k8s_openapi::jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// All that is to be said.
pub(crate) fn findings(facts: &Workloads, now: Timestamp) -> Vec<Finding> {
    let unseen = facts.unseen.iter();
    let mut findings: Vec<Finding> = unseen.map(|it| Finding::unseen("Groups", it)).collect();
    let mut sound = 0_usize;
    for group in &facts.groups {
        let mut found = of_group(group, now);
        found.extend(owners(group));
        found.extend(versions(group, facts.version.as_deref()));
        sound += usize::from(found.is_empty());
        findings.append(&mut found);
    }
    findings.extend(rights::findings(facts));
    findings.extend(missed(facts));
    findings.extend(service_mode::finding(facts));
    for service in &facts.role_services {
        findings.extend(by_role(service, &facts.pods));
    }
    if sound > 0 {
        let all = facts.groups.len();
        let text = format!("{sound} of {all} groups have a leader, a successor and their traffic");
        findings.insert(0, Finding::ok("Groups", text));
    }
    if facts.groups.is_empty() && facts.unseen.is_empty() {
        findings.push(Finding::ok("Groups", "there are none"));
    }
    findings
}

/// A group as findings name it.
pub(crate) fn named(group: &Group) -> String {
    format!("group {} in namespace {}", group.name, group.namespace)
}

fn of_group(group: &Group, now: Timestamp) -> Vec<Finding> {
    let name = named(group);
    if group.sees.pods && group.sees.leases && group.members.is_empty() {
        return vec![without_pods(group)];
    }
    let doubts = doubts(group, now);
    let leaderless = doubts.iter().any(|it| it.code == "NoLeader");
    doubts
        .into_iter()
        // `Sidecars` says it better.
        .filter(|doubt| doubt.code != "MixedVersions")
        .map(|doubt| of_doubt(group, &name, doubt, leaderless))
        .collect()
}

/// A doubt with its weight, its cure and its page.
fn of_doubt(group: &Group, name: &str, doubt: Doubt, leaderless: bool) -> Finding {
    let place = format!("-n {}", group.namespace);
    let log = format!(
        "is a pod ready? `kubectl {place} get pods`; then what its sidecar says: \
         `kubectl {place} logs POD -c {}`",
        contract::CONTAINER
    );
    let resume = format!("`kubectl active-passive {place} resume {}`", group.name);
    let depth = format!("`kubectl active-passive {place} status {}`", group.name);
    let again = format!("look again in a moment; if it stays, {log}");
    let (level, cure, docs) = match doubt.code {
        "NoLease" => (Level::Error, log, page::NOBODY),
        "NoLeader" if group.lease.as_ref().is_some_and(Lease::is_paused) => {
            (Level::Error, resume, page::PAUSE)
        }
        "NoLeader" => (Level::Error, log, page::NOBODY),
        "Paused" if leaderless => (Level::Error, resume, page::PAUSE),
        "Paused" => (Level::Warning, resume, page::PAUSE),
        "SwitchoverPending" => (Level::Warning, depth, page::PAUSE),
        "ManyActive" => (Level::Warning, again, page::TWO),
        "NoSuccessor" => (
            Level::Warning,
            format!("{depth} says of each pod why it cannot follow"),
            page::WRONG,
        ),
        "HeadlessService" => (
            Level::Warning,
            "give it an address, unless clients are to see the active pod alone".to_owned(),
            page::SERVICE,
        ),
        "SelectorMatchesNoPod" => (
            Level::Error,
            "make the labels of the Service's selector those of the pod template".to_owned(),
            page::SERVICE,
        ),
        // HolderGone, NotLabelled, Misrouted
        _ => (Level::Error, again, page::WRONG),
    };
    let finding = match level {
        Level::Error => Finding::error(doubt.code, format!("{name}: {}", doubt.text)),
        _ => Finding::warning(doubt.code, format!("{name}: {}", doubt.text)),
    };
    finding.cure(cure).docs(docs)
}

fn without_pods(group: &Group) -> Finding {
    let (namespace, name) = (&group.namespace, &group.name);
    if group.lease.is_some() {
        let text = format!("{}: it has a Lease and no pods", named(group));
        return Finding::warning("LeaseWithoutPods", text)
            .cure(format!(
                "nothing, if its workload is scaled to 0; if it is gone for good: \
                 `kubectl -n {namespace} delete lease {name}`"
            ))
            .docs(page::WRONG);
    }
    let services: Vec<&str> = group
        .services
        .iter()
        .map(|service| service.metadata.name.as_str())
        .collect();
    let text = format!(
        "Service {} in namespace {namespace} follows group {name}, which no pod belongs to: it \
         serves nobody",
        services.join(", ")
    );
    Finding::error("ServiceWithoutGroup", text)
        .cure(format!(
            "is the group's name in its annotation {} right? Without such an annotation on the \
             pods it is their workload's name",
            contract::GROUP
        ))
        .docs(page::SERVICE)
}

/// Two workloads under one name: only one of them ever has an active pod.
fn owners(group: &Group) -> Option<Finding> {
    let of = |member: &crate::group::Member| Some(member.meta.owner()?.to_string());
    let owners: BTreeSet<String> = group.members.iter().filter_map(of).collect();
    if owners.len() < 2 {
        return None;
    }
    let owners: Vec<String> = owners.into_iter().collect();
    let text = format!(
        "{}: {} share it, and only one of them ever has an active pod",
        named(group),
        owners.join(" and ")
    );
    let finding = Finding::error("TwoOwners", text)
        .cure(format!(
            "give one of them a group of its own: the annotation {} on its pod template",
            contract::GROUP
        ))
        .docs(page::TEMPLATE);
    Some(finding)
}

/// Sidecars of another version than the webhook would inject now.
fn versions(group: &Group, current: Option<&str>) -> Option<Finding> {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for version in group.members.iter().filter_map(|it| it.version.as_deref()) {
        *found.entry(version).or_default() += 1;
    }
    let same = found.len() < 2 && current.is_none_or(|it| found.keys().all(|key| *key == it));
    if same {
        return None;
    }
    let counts: Vec<String> = found
        .iter()
        .map(|(version, count)| format!("{version} in {count} pods"))
        .collect();
    let now = current.map_or_else(String::new, |it| format!("; the webhook injects {it}"));
    let text = format!(
        "{}: its sidecars are {}{now}",
        named(group),
        counts.join(", ")
    );
    let workload = group.lease.as_ref().and_then(Lease::owner);
    let workload = workload.unwrap_or("WORKLOAD").to_lowercase();
    let finding = Finding::warning("Sidecars", text)
        .cure(format!(
            "`kubectl -n {} rollout restart {workload}`, if no rollout is under way",
            group.namespace
        ))
        .docs(page::UPGRADE);
    Some(finding)
}

/// Pods that asked for the sidecar and have none, by workload.
fn missed(facts: &Workloads) -> Vec<Finding> {
    let mut missed: BTreeMap<(String, String), usize> = BTreeMap::new();
    for pod in &facts.pods {
        if pod.asks() && !pod.has_sidecar && !pod.pod.is_terminating() {
            let meta = &pod.pod.metadata;
            let owner = meta.owner().map(|owner| owner.to_string());
            let owner = owner.unwrap_or_else(|| format!("Pod/{}", meta.name));
            *missed.entry((meta.namespace.clone(), owner)).or_default() += 1;
        }
    }
    let finding = |((namespace, owner), count): ((String, String), usize)| {
        let text = format!(
            "{owner} in namespace {namespace}: {count} pods have the annotation and no sidecar: \
             they take no part in an election"
        );
        let cure = if facts.excluded.contains(&namespace) {
            "the webhook leaves this namespace alone: `webhook.excludedNamespaces` of the chart, \
             or another namespace"
                .to_owned()
        } else if owner.starts_with("Pod/") {
            "delete it and make it again".to_owned()
        } else {
            format!(
                "`kubectl -n {namespace} rollout restart {}`",
                owner.to_lowercase()
            )
        };
        Finding::error("PodsWithoutSidecar", text)
            .cure(cure)
            .docs(page::WRONG)
    };
    missed.into_iter().map(finding).collect()
}

/// A Service whose user selects by the role, and that serves nobody.
fn by_role(service: &Service, pods: &[CheckedPod]) -> Option<Finding> {
    let meta = &service.metadata;
    let mut beside = pods
        .iter()
        .filter(|it| it.pod.metadata.namespace == meta.namespace && !it.pod.is_terminating());
    if beside.any(|it| !service.leaves_out(&it.pod.metadata)) {
        return None;
    }
    let text = format!(
        "Service {} in namespace {} selects by the role, and no pod fits its selector: it serves \
         nobody",
        meta.name, meta.namespace
    );
    let finding = Finding::error("SelectorMatchesNoPod", text)
        .cure("its other labels must be those of the pod template; is a pod of the group active?")
        .docs(page::SERVICE);
    Some(finding)
}
