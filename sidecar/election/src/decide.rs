//! What this pod does about the Lease: take it, keep it, hand it on, free it, or leave it alone.

use crate::agenda::Agenda;
use crate::elector::{Elector, Tenure};
use crate::group::Target;
use crate::observed::Content;
use crate::params::Handover;
use crate::step::{Action, LeaseWrite, LeaseWriteKind};
use crate::successor::{Ineligible, ineligible, ranked};
use crate::time::Mono;
use crate::view::{Record, RoleLabel, TERM_MAX};
use common::ids::Identity;

/// Candidates take a free Lease in the order of their rank, this far apart, milliseconds: long
/// enough for the better one's write to be seen, short against any lease duration.
const RANK_MS: u64 = 100;
/// Ranks beyond this one wait no longer.
const RANK_MAX: usize = 5;
/// Value of the switchover annotation that leaves the choice to the leader.
const ANY_POD: &str = "any";

/// What the holder of the Lease is to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Keep it and be the active pod.
    Lead,
    /// Keep it, and let no traffic come here any more.
    Strip,
    /// Direct it to this successor.
    HandTo(Identity),
    /// Free it.
    Release,
    /// Leave it as it is.
    Leave,
}

impl Elector {
    /// The next request, if one is due. The Lease comes first: a leader that cannot renew has
    /// nothing to write elsewhere.
    pub(crate) fn next_action(&self, now: Mono, agenda: &mut Agenda) -> Option<Action> {
        if *self.lease.content() == Content::Unknown || !self.group.pods_listed {
            return None;
        }
        if self.lease.stale && agenda.reached(self.lease_backoff.not_before()) {
            return Some(Action::ReadLease);
        }
        let intent = if self.holds_lease() {
            self.intent(agenda)
        } else {
            Intent::Leave
        };
        self.lease_write(now, agenda, &intent)
            .map(Action::WriteLease)
            .or_else(|| self.converge(now, agenda, &intent))
    }

    fn lease_write(&self, now: Mono, agenda: &mut Agenda, intent: &Intent) -> Option<LeaseWrite> {
        if self.lease.stale {
            return None;
        }
        let write = match (self.lease.content(), intent) {
            (Content::Unknown, _) => None,
            (Content::Absent, _) => self.create(now, agenda),
            (Content::Present(record), Intent::HandTo(successor)) => {
                Some(self.give(record, Some(successor)))
            }
            (Content::Present(record), Intent::Release) => Some(self.give(record, None)),
            (Content::Present(record), Intent::Lead | Intent::Strip) => {
                self.keep(now, agenda, record, intent)
            }
            (Content::Present(record), Intent::Leave) => {
                if self.holds_lease() {
                    None
                } else {
                    self.take(agenda, record)
                }
            }
        }?;
        agenda
            .reached(self.lease_backoff.not_before())
            .then_some(write)
    }

    /// What the holder is to do; design rules 4, 7, 9 and 11.
    pub(crate) fn intent(&self, agenda: &mut Agenda) -> Intent {
        let Some(record) = self.lease.record() else {
            return Intent::Leave;
        };
        if record.paused {
            return if self.terminated {
                Intent::Leave
            } else {
                Intent::Lead
            };
        }
        if self.app_may_run_on() {
            return Intent::Leave;
        }
        if self.has_stragglers(agenda) {
            return Intent::Lead;
        }
        let successor = self.successor();
        if self.leaving() {
            return self.leave(agenda, successor);
        }
        let requested = record
            .switchover
            .as_deref()
            .and_then(|wanted| self.requested(wanted));
        // A degraded leader is better than none: without an eligible peer the role stays (c15).
        let next = match requested {
            Some(pod) => Some(pod),
            None => successor.filter(|_| self.should_move(agenda)),
        };
        match next {
            Some(_) if !self.stripped_enough() => Intent::Strip,
            Some(next) => Intent::HandTo(next),
            None => Intent::Lead,
        }
    }

    /// Whether a pod of an earlier term still carries the active label and can be written now: that
    /// ends before the next move begins, or there would be three.
    fn has_stragglers(&self, agenda: &mut Agenda) -> bool {
        self.tenure.is_some()
            && self.own_pod().is_some()
            && self.group.pods.values().any(|pod| {
                pod.uid != self.params.identity.uid
                    && pod.role == RoleLabel::Active
                    && agenda.reached(self.group.retry(&Target::Pod(pod.uid.clone())).not_before())
            })
    }

    /// Whether an eligible peer would be the better leader, though this pod is not on its way out.
    fn should_move(&self, agenda: &mut Agenda) -> bool {
        let unready_for_long = self
            .unready_since
            .is_some_and(|since| agenda.reached(since + self.params.unready_grace_ms));
        // An eviction is near. Exclusive waits for it: only then does the app stop.
        let evicted_soon = self.params.handover == Handover::Seamless
            && self.own_pod().is_some_and(|own| own.disrupted);
        unready_for_long || evicted_soon
    }

    /// SIGTERM for the sidecar alone (a failed probe) says nothing about the app. Exclusive keeps
    /// the Lease then: the restarted sidecar takes it back, or it expires.
    pub(crate) fn app_may_run_on(&self) -> bool {
        self.params.handover == Handover::Exclusive
            && self.terminated
            && self.own_pod().is_some_and(|own| !own.terminating)
    }

    /// A draining or stopped holder.
    fn leave(&self, agenda: &mut Agenda, successor: Option<Identity>) -> Intent {
        match self.params.handover {
            Handover::Seamless => {
                if let Some(next) = successor {
                    return Intent::HandTo(next);
                }
                let out_of_time = self
                    .drain_since
                    .is_some_and(|since| agenda.reached(since + self.params.drain_timeout_ms));
                match self.terminated || out_of_time {
                    true if self.holds_traffic() => Intent::Strip,
                    true => Intent::Release,
                    false => Intent::Lead,
                }
            }
            // The Lease is not given away before the app has stopped, which SIGTERM tells (c5).
            Handover::Exclusive if !self.terminated || !self.is_stripped() => Intent::Strip,
            Handover::Exclusive => successor.map_or(Intent::Release, Intent::HandTo),
        }
    }

    /// Seamless moves strip the old pod last, exclusive ones first.
    fn stripped_enough(&self) -> bool {
        self.params.handover == Handover::Seamless || self.is_stripped()
    }

    /// No traffic comes here, as far as is known, and it is known.
    fn is_stripped(&self) -> bool {
        self.group.services_listed && !self.holds_traffic()
    }

    fn holds_traffic(&self) -> bool {
        self.group.routes_to(&self.params.identity.uid)
    }

    /// The preferred successor among the other pods.
    fn successor(&self) -> Option<Identity> {
        ranked(&self.group.pods)
            .into_iter()
            .find(|pod| pod.uid != self.params.identity.uid)
            .map(|pod| Identity::new(&pod.name, &pod.uid))
    }

    /// The pod that a switchover asks for, if it is another one and can become active.
    fn requested(&self, wanted: &str) -> Option<Identity> {
        if wanted == ANY_POD {
            return self.successor();
        }
        ranked(&self.group.pods)
            .into_iter()
            .find(|pod| pod.name == wanted && pod.uid != self.params.identity.uid)
            .map(|pod| Identity::new(&pod.name, &pod.uid))
    }

    /// The holder's own write, when one is due: renewal, confirmation, or taking it back.
    fn keep(
        &self,
        now: Mono,
        agenda: &mut Agenda,
        record: &Record,
        intent: &Intent,
    ) -> Option<LeaseWrite> {
        let Some(tenure) = self.leading(now) else {
            let directed =
                record.duration_ms <= self.params.directed_ms() && record.term > self.acquired_term;
            return match intent {
                _ if self.leaving() => None,
                Intent::Strip => None,
                _ if directed => Some(self.hold(LeaseWriteKind::Confirm, record.term)),
                _ => Some(self.hold(LeaseWriteKind::Acquire, self.fresh_term())),
            };
        };
        let term = self.raised_term(tenure, record);
        // A switchover that cannot be done now is answered by taking the request away.
        let unanswered = record.switchover.is_some() && *intent == Intent::Lead && !self.leaving();
        let due = agenda.reached(tenure.renewed_at + self.params.renew_every_ms());
        (due || term > tenure.term || unanswered).then(|| LeaseWrite {
            answer_switchover: unanswered,
            ..self.hold(LeaseWriteKind::Renew, term)
        })
    }

    /// The leader's term, raised above any that a stray edit or a restored backup shows. A Service
    /// that names another pod in this very term was edited as well; the fencing policies take
    /// nothing but a higher term for it.
    fn raised_term(&self, tenure: Tenure, record: &Record) -> u64 {
        let uid = &self.params.identity.uid;
        let disputed = self
            .group
            .services
            .values()
            .any(|service| service.term == Some(tenure.term) && service.names_another(uid));
        let seen = self.group.term_max().max(record.term);
        if disputed || seen > tenure.term {
            (seen + 1).min(TERM_MAX)
        } else {
            tenure.term
        }
    }

    /// The term of an acquisition: above everything that was ever seen.
    fn fresh_term(&self) -> u64 {
        (self.lease.term().max(self.group.term_max()) + 1).min(TERM_MAX)
    }

    /// A write that makes or keeps this pod the holder.
    fn hold(&self, kind: LeaseWriteKind, term: u64) -> LeaseWrite {
        LeaseWrite {
            kind,
            base: self.lease.base(),
            holder: Some(self.params.identity.clone()),
            term,
            duration_ms: self.params.lease_duration_ms,
            owner: self.params.owner.clone(),
            answer_switchover: false,
        }
    }

    /// A write that gives the Lease away, to `successor` or to whoever comes.
    fn give(&self, record: &Record, successor: Option<&Identity>) -> LeaseWrite {
        let (kind, term, duration_ms) = match successor {
            Some(_) => (
                LeaseWriteKind::Handover,
                self.fresh_term(),
                self.params.directed_ms(),
            ),
            None => (
                LeaseWriteKind::Release,
                record.term,
                self.params.lease_duration_ms,
            ),
        };
        LeaseWrite {
            kind,
            base: self.lease.base(),
            holder: successor.cloned(),
            term,
            duration_ms,
            owner: self.params.owner.clone(),
            answer_switchover: record.switchover.is_some(),
        }
    }

    /// A Lease that does not exist: its last holder makes it again at once. Others wait one lease
    /// duration where there are traces of a leader, who may not know yet that it is gone.
    fn create(&self, now: Mono, agenda: &mut Agenda) -> Option<LeaseWrite> {
        if self.leaving() {
            return None;
        }
        let acquire = || self.hold(LeaseWriteKind::Acquire, self.fresh_term());
        if self.leading(now).is_some() {
            return Some(acquire());
        }
        let seen_before = self.lease.term() > 0 || self.group.has_traces();
        let wait_ms = if seen_before {
            self.params.lease_duration_ms
        } else {
            0
        };
        let from = self.lease.since() + wait_ms;
        (agenda.reached(from) && self.may_take(agenda, from)).then(acquire)
    }

    /// Somebody else's Lease, or nobody's: taken once it is free or has not changed for as long
    /// as it says.
    fn take(&self, agenda: &mut Agenda, record: &Record) -> Option<LeaseWrite> {
        if self.leaving() || record.paused {
            return None;
        }
        let from = match record.holder {
            None => self.lease.since(),
            Some(_) => self.lease.since() + record.duration_ms,
        };
        (agenda.reached(from) && self.may_take(agenda, from))
            .then(|| self.hold(LeaseWriteKind::Acquire, self.fresh_term()))
    }

    /// Whether this pod may take a Lease that has been there for the taking since `from`.
    fn may_take(&self, agenda: &mut Agenda, from: Mono) -> bool {
        let Some(own) = self.own_pod() else {
            return false;
        };
        // The holder that let it expire is not coming before us.
        let rivals: Vec<_> = ranked(&self.group.pods)
            .into_iter()
            .filter(|pod| !self.is_holder(&pod.name, &pod.uid))
            .collect();
        match ineligible(own) {
            None => {
                let better = rivals.iter().take_while(|pod| pod.uid != own.uid).count();
                agenda.reached(from + RANK_MS * better.min(RANK_MAX) as u64)
            }
            // Where no better pod is, one that is about to be evicted, or not ready, is better than
            // none (c15): some apps become ready only once they are active.
            Some(Ineligible::Disrupted | Ineligible::NotReady) if rivals.is_empty() => self
                .unready_since
                .is_none_or(|since| agenda.reached(from.max(since) + self.params.unready_grace_ms)),
            Some(_) => false,
        }
    }

    fn is_holder(&self, name: &str, uid: &str) -> bool {
        self.holder()
            .and_then(Identity::parse)
            .is_some_and(|h| h.name == name && h.uid == uid)
    }
}
