//! What has changed between two looks at a group, in words. Pure.

use super::face::is_settling;
use super::snapshot::Shown;
use super::tracks::Phase;
use crate::age::took;
use crate::lease::Lease;
use common::history::Entry;

/// A change, as a sentence about the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) text: String,
    /// Whether the role went somewhere, or to nobody.
    pub(crate) is_move: bool,
}

impl Change {
    fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            text,
            is_move: false,
        }
    }

    fn of_role(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            text,
            is_move: true,
        }
    }
}

/// What is different; steps between the two that left no trace are not told.
pub(crate) fn changes(before: Option<&Shown>, after: Option<&Shown>) -> Vec<Change> {
    match (before, after) {
        (None, None) => Vec::new(),
        (Some(_), None) => vec![Change::new("the group is gone")],
        (None, Some(after)) => vec![Change::of_role(first_sight(after))],
        (Some(before), Some(after)) => {
            let mut changes = of_role(before, after);
            changes.extend(of_lease(before, after));
            changes.extend(of_pods(before, after));
            changes
        }
    }
}

/// A group that is seen for the first time, in one line.
fn first_sight(shown: &Shown) -> String {
    let group = &shown.group;
    let active = match group.leader() {
        Some(leader) if !shown.leaderless => format!("{leader} is active"),
        _ => "nobody is active".to_owned(),
    };
    let paused = group.lease.as_ref().is_some_and(Lease::is_paused);
    let paused = if paused { ", paused" } else { "" };
    let (ready, all) = (group.ready(), group.members.len());
    format!("{active}{paused}; {ready} of {all} pods are ready")
}

fn of_role(before: &Shown, after: &Shown) -> Vec<Change> {
    let mut changes = Vec::new();
    let known = arrived(before).last().map_or(0, |entry| entry.term);
    let mut holder = before.group.leader();
    let entries = arrived(after);
    let last = entries.last().map(|entry| entry.term);
    for entry in entries.into_iter().filter(|it| it.term > known) {
        let is_settled = last != Some(entry.term) || !is_settling(&after.group);
        let text = moved(&entry, holder.as_deref(), is_settled);
        changes.push(Change::of_role(text));
        holder = Some(entry.pod);
    }
    if let Some(entry) = after.group.last_move().filter(|it| it.term == known)
        && let Some(ms) = entry.duration_ms
        && is_settling(&before.group)
        && !is_settling(&after.group)
    {
        let text = format!("the move to {} took {}", entry.pod, took(ms));
        changes.push(Change::new(text));
    }
    if after.leaderless && !before.leaderless {
        let text = match after.group.leader() {
            Some(holder) => format!("nobody is active: the Lease of {holder} has expired"),
            None => "nobody is active: the Lease is free".to_owned(),
        };
        changes.push(Change::of_role(text));
    }
    if before.leaderless
        && !after.leaderless
        && !changes.iter().any(|change| change.is_move)
        && let Some(leader) = after.group.leader()
    {
        changes.push(Change::of_role(format!("{leader} is active again")));
    }
    changes
}

/// The moves that have come to an end: a pod that was named in a directed move has confirmed it.
fn arrived(shown: &Shown) -> Vec<Entry> {
    let lease = shown.group.lease.as_ref();
    let mut entries = lease.map(Lease::history).unwrap_or_default();
    let is_active = |pod: &str| {
        let member = shown.group.member(pod);
        !shown.group.sees.pods || member.is_some_and(|member| member.is_active())
    };
    let open = entries
        .last()
        .is_some_and(|last| last.duration_ms.is_none() && !is_active(&last.pod));
    if open {
        entries.pop();
    }
    entries
}

fn moved(entry: &Entry, from: Option<&str>, is_settled: bool) -> String {
    let Entry {
        term, pod, kind, ..
    } = entry;
    let instead = from.filter(|from| from != pod);
    let instead = instead.map(|from| format!(" instead of {from}"));
    let took = entry.duration_ms.filter(|_| is_settled);
    let took = took.map(|ms| format!(", took {}", crate::age::took(ms)));
    format!(
        "{pod} is active{}: {kind}{}, term {term}",
        instead.unwrap_or_default(),
        took.unwrap_or_default()
    )
}

fn of_lease(before: &Shown, after: &Shown) -> Vec<Change> {
    let mut changes = Vec::new();
    let paused = |shown: &Shown| shown.group.lease.as_ref().is_some_and(Lease::is_paused);
    match (paused(before), paused(after)) {
        (false, true) => changes.push(Change::new("paused: the role stays where it is")),
        (true, false) => changes.push(Change::new("resumed")),
        _ => {}
    }
    let asked = |shown: &Shown| {
        let lease = shown.group.lease.as_ref();
        lease.and_then(Lease::switchover).map(str::to_owned)
    };
    if let (None, Some(to)) = (asked(before), asked(after)) {
        changes.push(Change::new(format!("a switchover to {to} was asked for")));
    }
    changes
}

/// Roles are told by the moves.
fn of_pods(before: &Shown, after: &Shown) -> Vec<Change> {
    let state = |shown: &Shown, pod: &str| shown.group.member(pod).map(Phase::of).map(condition);
    let mut changes = Vec::new();
    for member in &after.group.members {
        let pod = member.name();
        let now = condition(Phase::of(member));
        match state(before, pod) {
            Some(then) if then == now => {}
            Some(_) => changes.push(Change::new(format!("{pod} is {now}"))),
            None => changes.push(Change::new(format!("{pod} is new, {now}"))),
        }
    }
    let gone = before.group.members.iter().map(|member| member.name());
    for pod in gone.filter(|pod| after.group.member(pod).is_none()) {
        changes.push(Change::new(format!("{pod} is gone")));
    }
    changes
}

/// What a pod is apart from its role.
fn condition(phase: Phase) -> &'static str {
    match phase {
        Phase::Active | Phase::Standby | Phase::Unwatched => "ready",
        Phase::ActiveUnready | Phase::Unready => "not ready",
        Phase::ActiveDraining | Phase::Draining => "draining",
        Phase::Gone => "gone",
    }
}

#[cfg(test)]
mod tests;
