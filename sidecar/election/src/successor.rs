//! Who may lead, and who is preferred.

use crate::elector::Elector;
use crate::time::Mono;
use crate::view::{PodView, RoleLabel};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Why a pod cannot become active now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ineligible {
    /// Its sidecar has not started.
    NotStarted,
    /// Its app is not ready.
    NotReady,
    /// It is terminating.
    Terminating,
    /// It is about to be evicted.
    Disrupted,
    /// Its priority is negative.
    NegativePriority,
    /// It belongs to another workload than the group's Lease.
    OtherOwner,
}

impl Ineligible {
    /// The reason in words that complete "this pod cannot become active: ".
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "its sidecar has not started",
            Self::NotReady => "its app is not ready",
            Self::Terminating => "it is terminating",
            Self::Disrupted => "it is about to be evicted",
            Self::NegativePriority => "its priority is negative",
            Self::OtherOwner => "it belongs to another workload than the group",
        }
    }
}

/// A pod of the group, as the status shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its role label.
    pub role: RoleLabel,
    /// Whether its app is ready.
    pub ready: bool,
    /// Why it is not eligible; `None` if it is.
    pub ineligible: Option<Ineligible>,
}

/// The first reason why `pod` may not become active, the lasting ones first. Whether it belongs to
/// the group's workload is not asked here.
pub fn ineligible(pod: &PodView) -> Option<Ineligible> {
    if pod.terminating {
        Some(Ineligible::Terminating)
    } else if pod.priority < 0 {
        Some(Ineligible::NegativePriority)
    } else if pod.disrupted {
        Some(Ineligible::Disrupted)
    } else if !pod.started {
        Some(Ineligible::NotStarted)
    } else if !pod.ready {
        Some(Ineligible::NotReady)
    } else {
        None
    }
}

impl Elector {
    /// Whether the holder has a reason to hand the role on, and this pod is the one it would name.
    pub(crate) fn is_next(&self, now: Mono) -> bool {
        let Some(record) = self.lease.record() else {
            return false;
        };
        let mut pods = self.group.pods.values();
        let Some(holder) = pods.find(|pod| self.is_holder(&pod.name, &pod.uid)) else {
            return false;
        };
        let moves = record.switchover.is_some() || ineligible(holder).is_some();
        moves && self.leading(now).is_none() && {
            let ranked = ranked(&self.group.pods, self.owner());
            let next = ranked.into_iter().find(|pod| pod.uid != holder.uid);
            next.is_some_and(|next| next.uid == self.params.identity.uid)
        }
    }
}

/// The eligible pods, most preferred first: those of the Lease's `owner`, newest revision, then
/// highest priority, then oldest.
/// The newest revision is that of the youngest pod: a rollout must not move the role to a pod that
/// it is about to delete (c24).
pub(crate) fn ranked<'a>(
    pods: &'a BTreeMap<String, PodView>,
    owner: Option<&str>,
) -> Vec<&'a PodView> {
    let newest = pods
        .values()
        .filter(|pod| !pod.terminating)
        .max_by_key(|pod| (!pod.is_foreign(owner), pod.created_s, &pod.name))
        .map(|pod| pod.revision.as_str());
    let mut eligible: Vec<&PodView> = pods
        .values()
        .filter(|pod| ineligible(pod).is_none())
        .collect();
    eligible.sort_by_key(|pod| {
        let old_revision = Some(pod.revision.as_str()) != newest;
        (
            pod.is_foreign(owner),
            old_revision,
            Reverse(pod.priority),
            pod.created_s,
            &pod.name,
        )
    });
    eligible
}
