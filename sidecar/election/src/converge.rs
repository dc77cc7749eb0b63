//! What this pod writes to pods and Services: by level, one object at a time, each write
//! conditional on what was read and carrying the term.

use crate::agenda::Agenda;
use crate::decide::Intent;
use crate::elector::Elector;
use crate::group::{Retry, Target};
use crate::params::Handover;
use crate::step::{Action, PodRole, PodWrite, ServiceWrite};
use crate::time::Mono;
use crate::view::{PodView, RoleLabel, ServiceView};
use common::contract::NO_POD;

/// A pod that takes no role is passed over after this many refusals in a row.
pub(crate) const REFUSALS_MAX: u32 = 3;

/// A wanted change, or the knowledge that one is waiting for its retry.
pub(crate) enum Change {
    /// Everything of this stage is as it should be.
    None,
    /// Something is not, and cannot be written yet.
    Waiting,
    /// Do this now.
    Due(Action),
}

impl Elector {
    /// The next write to a pod or Service, if one is due.
    pub(crate) fn converge(
        &self,
        now: Mono,
        agenda: &mut Agenda,
        intent: &Intent,
    ) -> Option<Action> {
        if *intent == Intent::Strip {
            return self.strip_own(agenda);
        }
        let Some(own) = self.own_pod() else {
            return self.strip_outside(agenda);
        };
        if !self.terminated
            && !own.started
            && let Change::Due(action) = self.pod_change(agenda, own, None, true)
        {
            return Some(action);
        }
        let tenure = self.leading(now);
        match (intent, tenure, self.params.handover) {
            (Intent::Lead, Some(tenure), Handover::Seamless) => {
                self.lead_seamless(agenda, own, tenure.term)
            }
            (Intent::Lead, Some(tenure), Handover::Exclusive) => {
                self.lead_exclusive(agenda, own, tenure.term)
            }
            _ if self.lost && !self.lease.stale && !self.holds_lease() => self.strip_own(agenda),
            _ => None,
        }
    }

    /// Traffic first, then the own label, then the others': never zero.
    fn lead_seamless(&self, agenda: &mut Agenda, own: &PodView, term: u64) -> Option<Action> {
        let uid = Some(own.uid.as_str());
        // A Service is pointed here only once the own `pod` label has been read back.
        let route = if own.started {
            self.route(agenda, uid, term, |_| true)
        } else {
            Change::None
        };
        let own_label = self.set_role(agenda, own, PodRole::Active, term);
        if let Some(action) = [route, own_label].into_iter().find_map(Change::due) {
            return Some(action);
        }
        if own.role != RoleLabel::Active {
            // The own label has to wait for its retry: the others keep theirs until it is on.
            return None;
        }
        let stages = [
            self.strip_others(agenda, own, term, |pod| pod.role == RoleLabel::Active),
            // A pod that is going away needs its role taken, not its term kept up to date.
            self.strip_others(agenda, own, term, |pod| !pod.terminating),
        ];
        stages.into_iter().find_map(Change::due)
    }

    /// The others first, then traffic and the own label: never two. A stage that is not done holds
    /// the next one back.
    fn lead_exclusive(&self, agenda: &mut Agenda, own: &PodView, term: u64) -> Option<Action> {
        if !self.group.services_listed {
            // One of them may point elsewhere.
            return None;
        }
        // Traffic of the only Service moves in one write: two would cost the second that kube-proxy
        // may hold back the second one. While one of several is pointed here, another may still point
        // elsewhere: all of them point nowhere first.
        let at_once = own.started && self.group.routed_services() <= 1;
        // Each Service is written in this term, also one that seems to point nowhere: the view may
        // be late, and the write is conditional on it. From then on no earlier leader can write it.
        let foreign = |service: &ServiceView| {
            let outdated = service.term.is_none_or(|written| written < term);
            !at_once && (outdated || service.points_elsewhere(&own.uid))
        };
        let known = self.look_for_predecessor(agenda);
        let unrouted = self.route(agenda, None, term, foreign);
        let stripped = self.strip_others(agenda, own, term, |pod| pod.role == RoleLabel::Active);
        // Each pod is written, also one that is passive: a write of its own that is still on its
        // way then fails. One that nobody may write cannot hold the group up for ever.
        let writable = |pod: &PodView| {
            let retry = self.group.retry(&Target::Pod(pod.uid.clone()));
            retry.refusals < REFUSALS_MAX
        };
        let outdated = self.strip_others(agenda, own, term, writable);
        let uid = Some(own.uid.as_str());
        let taken = self.route(agenda, uid, term, |_| at_once);
        let own_label = self.set_role(agenda, own, PodRole::Active, term);
        for stage in [known, unrouted, stripped, outdated, taken, own_label] {
            match stage {
                Change::None => {}
                Change::Waiting => return None,
                Change::Due(action) => return Some(action),
            }
        }
        let route = self.route(agenda, uid, term, |_| own.started);
        let refused = self.strip_others(agenda, own, term, |_| true);
        [route, refused].into_iter().find_map(Change::due)
    }

    /// No traffic here any more: Services that point here point nowhere, the own label says passive.
    /// The pod may outlive its object (a forced deletion), and Services may still point at it.
    fn strip_own(&self, agenda: &mut Agenda) -> Option<Action> {
        let term = self.lease.term();
        let uid = &self.params.identity.uid;
        if let Change::Due(action) = self.settle_writes(agenda) {
            return Some(action);
        }
        let routed = self.route(agenda, None, term, |service| service.points_at(uid));
        let labelled = self
            .own_pod()
            .or_else(|| self.own_left().filter(|_| self.must_strip_outside()))
            .filter(|own| own.role == RoleLabel::Active)
            .map(|own| self.set_role(agenda, own, PodRole::Passive, term));
        let unlabel = routed.due().or_else(|| labelled.and_then(Change::due));
        unlabel.or_else(|| self.ask_for_own(agenda))
    }

    /// The own pod is not of the group any more, and another one is active: nobody else sees the label
    /// that it may carry.
    fn strip_outside(&self, agenda: &mut Agenda) -> Option<Action> {
        let term = self.lease.term();
        let others = || self.group.pods.values();
        let replaced = others().any(|pod| pod.role == RoleLabel::Active);
        let labelled = self
            .own_left()
            .filter(|_| self.must_strip_outside() && replaced)
            .map(|own| self.set_role(agenda, own, PodRole::Passive, term));
        labelled
            .and_then(Change::due)
            .or_else(|| self.ask_for_own(agenda))
    }

    /// Reads what a write may have changed whose answer was lost.
    fn settle_writes(&self, agenda: &mut Agenda) -> Change {
        let uid = &self.params.identity.uid;
        let own = self.own_pod().map(|_| Target::Pod(uid.clone()));
        let services = self.group.services.keys().cloned().map(Target::Service);
        let uncertain = own
            .into_iter()
            .chain(services)
            .filter(|target| self.group.retry(target).stale);
        Change::first(uncertain.map(|target| self.change(agenda, target, |_| None)))
    }

    /// Points the Services that `which` picks at `active`.
    fn route(
        &self,
        agenda: &mut Agenda,
        active: Option<&str>,
        term: u64,
        which: impl Fn(&ServiceView) -> bool,
    ) -> Change {
        let wanted = active.unwrap_or(NO_POD);
        let services = self.group.services.values();
        let services = services.filter(|service| service.has_selector && which(service));
        Change::first(services.map(|service| {
            let in_term = !self.params.customs.terms || service.term == Some(term);
            let annotated = service.active.as_deref() == Some(wanted) && in_term;
            if annotated && service.selected.as_deref() == Some(wanted) {
                return Change::None;
            }
            let now = agenda.now();
            self.change(agenda, Target::Service(service.name.clone()), |retry| {
                let refused = retry.refusals % 2 == 1;
                Some(Action::WriteService(ServiceWrite {
                    name: service.name.clone(),
                    base: service.version,
                    active: active.map(str::to_owned),
                    // A strip by somebody who no longer leads must not lower what a leader wrote.
                    term: service.term.map_or(term, |written| written.max(term)),
                    // The annotations are right and the key is not: nothing derives it here. Where
                    // the fencing policies are on as well, they refuse a write of the annotations
                    // alone.
                    with_selector: annotated || retry.is_underived(now) != refused,
                }))
            })
        }))
    }

    /// Writes the passive role and the term on the other pods that `which` picks.
    fn strip_others(
        &self,
        agenda: &mut Agenda,
        own: &PodView,
        term: u64,
        which: impl Fn(&PodView) -> bool,
    ) -> Change {
        let others = self.group.pods.values();
        let others = others.filter(|pod| pod.uid != own.uid && which(pod));
        Change::first(others.map(|pod| self.set_role(agenda, pod, PodRole::Passive, term)))
    }

    /// The write that gives `pod` this role in this term, if it has not got it.
    fn set_role(&self, agenda: &mut Agenda, pod: &PodView, role: PodRole, term: u64) -> Change {
        let has_role = match role {
            PodRole::Active => pod.role == RoleLabel::Active,
            PodRole::Passive => pod.role == RoleLabel::Passive,
        };
        let in_term = !self.params.customs.terms || pod.term.is_some_and(|written| written >= term);
        if has_role && in_term {
            return Change::None;
        }
        let term = pod.term.map_or(term, |written| written.max(term));
        self.pod_change(agenda, pod, Some((role, term)), false)
    }

    fn pod_change(
        &self,
        agenda: &mut Agenda,
        pod: &PodView,
        role: Option<(PodRole, u64)>,
        own_label: bool,
    ) -> Change {
        self.change(agenda, Target::Pod(pod.uid.clone()), |_| {
            Some(Action::WritePod(PodWrite {
                name: pod.name.clone(),
                uid: pod.uid.clone(),
                base: pod.version,
                role,
                own_label,
            }))
        })
    }

    /// The next step to a change of an object: if it is not known what became of the last write, it
    /// is read before it is written.
    fn change(
        &self,
        agenda: &mut Agenda,
        target: Target,
        write: impl FnOnce(Retry) -> Option<Action>,
    ) -> Change {
        let retry = self.group.retry(&target);
        if !agenda.reached(retry.not_before()) {
            return Change::Waiting;
        }
        let action = match target {
            _ if !retry.stale => write(retry),
            Target::Service(name) => Some(Action::ReadService { name }),
            Target::Pod(uid) => {
                let pod = self.group.pods.get(&uid);
                let pod = pod.or_else(|| self.own_left().filter(|own| own.uid == uid));
                pod.map(|pod| Action::ReadPod {
                    name: pod.name.clone(),
                    uid,
                })
            }
        };
        action.map_or(Change::None, Change::Due)
    }
}

impl Change {
    /// The first that is due; if none is, whether any waits.
    fn first(changes: impl Iterator<Item = Self>) -> Self {
        let mut none_due = Self::None;
        for change in changes {
            match change {
                Self::None => {}
                Self::Waiting => none_due = Self::Waiting,
                Self::Due(_) => return change,
            }
        }
        none_due
    }

    fn due(self) -> Option<Action> {
        match self {
            Self::Due(action) => Some(action),
            Self::None | Self::Waiting => None,
        }
    }
}
