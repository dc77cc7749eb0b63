//! What this pod does about the Lease: take it, keep it, hand it on, free it, or leave it alone.

use crate::agenda::Agenda;
use crate::elector::{Elector, Tenure};
use crate::group::Target;
use crate::history::{HistoryNote, MoveKind};
use crate::observed::Content;
use crate::params::Handover;
use crate::step::{Action, LeaseWrite, LeaseWriteKind};
use crate::successor::{Ineligible, ineligible, ranked};
use crate::switchover::{Refusal, SwitchoverAnswer};
use crate::time::Mono;
use crate::view::{Record, RoleLabel, TERM_MAX};
use common::ids::Identity;
use common::role::Giving;

/// Candidates take a free Lease in the order of their rank, this far apart, milliseconds: long
/// enough for the better one's write to be seen, short against any lease duration.
const RANK_MS: u64 = 100;
/// Ranks beyond this one wait no longer.
const RANK_MAX: usize = 5;

/// What the holder of the Lease is to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Keep it and be the active pod.
    Lead,
    /// Keep it, and let no traffic come here any more.
    Strip,
    /// Direct it to this successor, for this reason.
    HandTo(Identity, MoveKind),
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
        let write = match (self.lease.content(), intent) {
            (Content::Unknown, _) => None,
            (Content::Absent, _) => self.create(now, agenda),
            (Content::Present(record), Intent::HandTo(successor, kind)) => {
                Some(self.give(record, Some((successor, *kind))))
            }
            (Content::Present(record), Intent::Release) => Some(self.give(record, None)),
            (Content::Present(record), Intent::Lead | Intent::Strip) => {
                self.keep(now, agenda, record, intent)
            }
            (Content::Present(record), Intent::Leave) => {
                if self.holds_lease() {
                    None
                } else {
                    self.take(now, agenda, record)
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
            return if self.is_named_outside(record) {
                Intent::Leave
            } else {
                self.leave(agenda, successor)
            };
        }
        let requested = record
            .switchover
            .as_deref()
            .and_then(|wanted| self.requested(wanted).ok());
        // A degraded leader is better than none: without an eligible peer the role stays (c15).
        let next = match requested {
            Some(pod) => Some((pod, MoveKind::Switchover)),
            None => successor.zip(self.reason_to_move(agenda)),
        };
        match next {
            Some(_) if !self.stripped_enough() => Intent::Strip,
            Some((next, kind)) if self.directs() || kind == MoveKind::Switchover => {
                Intent::HandTo(next, kind)
            }
            Some(_) => Intent::Release,
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

    /// Why an eligible peer would be the better leader, though this pod is not on its way out.
    fn reason_to_move(&self, agenda: &mut Agenda) -> Option<MoveKind> {
        let unready_for_long = self
            .unready_since
            .is_some_and(|since| agenda.reached(since + self.params.unready_grace_ms));
        // An eviction is near. Exclusive waits for it: only then does the app stop.
        let evicted_soon = self.params.handover == Handover::Seamless
            && self.own_pod().is_some_and(|own| own.disrupted);
        let unready = unready_for_long.then_some(MoveKind::Unready);
        unready.or_else(|| evicted_soon.then_some(MoveKind::Disruption))
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
                let giving = self.params.customs.giving;
                let is_awaited = successor.is_some();
                match (giving, successor) {
                    (Giving::Directed, Some(next)) => {
                        return Intent::HandTo(next, MoveKind::Drain);
                    }
                    (Giving::Freed, Some(_)) => return Intent::Release,
                    (Giving::StrippedAndFreed, Some(_)) | (_, None) => {}
                }
                let out_of_time = self
                    .drain_since
                    .is_some_and(|since| agenda.reached(since + self.params.drain_timeout_ms));
                match self.terminated || out_of_time || is_awaited {
                    true if self.must_shed_traffic() => Intent::Strip,
                    true => Intent::Release,
                    false => Intent::Lead,
                }
            }
            // The Lease is not given away before the app has stopped, which SIGTERM tells (c5); that of
            // a pod that was taken out of the group runs on, as after a switchover.
            Handover::Exclusive
                if !(self.terminated || self.was_taken_out()) || !self.is_stripped() =>
            {
                Intent::Strip
            }
            Handover::Exclusive => successor.map_or(Intent::Release, |next| {
                Intent::HandTo(next, MoveKind::Drain)
            }),
        }
    }

    /// Seamless moves strip the old pod last, exclusive ones first.
    fn stripped_enough(&self) -> bool {
        let label_may_stay = self.params.handover == Handover::Seamless
            && self.params.customs.giving != Giving::StrippedAndFreed;
        label_may_stay || self.is_stripped()
    }

    /// Whether planned moves name the successor.
    fn directs(&self) -> bool {
        self.params.customs.giving == Giving::Directed
    }

    /// No traffic comes here, as far as is known, and it is known.
    fn is_stripped(&self) -> bool {
        self.group.services_listed
            && !self.must_shed_traffic()
            && !self.group.is_uncertain(&self.params.identity.uid)
    }

    /// Whether traffic may come here that this pod can turn away, or its own label may be on.
    fn must_shed_traffic(&self) -> bool {
        let own = self.own_pod().map(|own| Target::Pod(own.uid.clone()));
        own.is_some_and(|own| self.group.retry(&own).stale)
            || self.group.routes_to(&self.params.identity.uid)
            || self.must_strip_outside()
            || self.misses_own()
    }

    pub(crate) fn holds_traffic(&self) -> bool {
        self.group.routes_to(&self.params.identity.uid) || self.is_active_outside()
    }

    /// The preferred successor among the other pods of the workload.
    pub(crate) fn successor(&self) -> Option<Identity> {
        ranked(&self.group.pods, self.owner())
            .into_iter()
            .find(|pod| pod.uid != self.params.identity.uid && !pod.is_foreign(self.owner()))
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
            let directed = record.duration_ms <= self.params.directed_ms();
            // A restored backup shows a term that others have followed: it is as good as theirs.
            // Whoever names this pod later in such a term lives.
            let outdated = record.term < self.lease.term();
            let restored = outdated && self.lease.is_restored();
            return match intent {
                _ if self.leaving() => None,
                Intent::Strip => None,
                _ if restored && !agenda.reached(self.lease.since() + record.duration_ms) => None,
                _ if directed && !outdated => {
                    let took_ms = now.ms_since(self.lease.since());
                    let note = HistoryNote::Confirmed { took_ms };
                    Some(self.hold(LeaseWriteKind::Confirm, record.term, Some(note)))
                }
                _ => Some(self.acquire(MoveKind::Retaken, None)),
            };
        };
        let term = self.raised_term(agenda, tenure, record);
        let refusal = self.refusal(record).filter(|_| *intent == Intent::Lead);
        let due = agenda.reached(tenure.renewed_at + self.params.renew_every_ms());
        (due || term > tenure.term || refusal.is_some()).then(|| LeaseWrite {
            answer: refusal.map(SwitchoverAnswer::Refused),
            ..self.hold(LeaseWriteKind::Renew, term, None)
        })
    }

    /// Why the switchover that is asked for cannot be done now: it is answered, not kept waiting.
    fn refusal(&self, record: &Record) -> Option<Refusal> {
        let wanted = record.switchover.as_deref()?;
        if record.paused {
            return Some(Refusal::Paused);
        }
        self.requested(wanted).err().filter(|_| !self.leaving())
    }

    /// The leader's term, raised above any that a stray edit or a restored backup shows. A Service
    /// that names another pod in this very term was edited as well; the fencing policies take
    /// nothing but a higher term for it. Each has every pod written anew: whoever edits it again and
    /// again is outbid as slowly as the Service is written.
    fn raised_term(&self, agenda: &mut Agenda, tenure: Tenure, record: &Record) -> u64 {
        let uid = &self.params.identity.uid;
        let disputed = self.group.services.values().any(|service| {
            let target = Target::Service(service.name.clone());
            service.term == Some(tenure.term)
                && service.names_another(uid)
                && agenda.reached(self.group.retry(&target).not_before())
        });
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

    /// A write that takes the Lease in a new term.
    fn acquire(&self, kind: MoveKind, took_ms: Option<u64>) -> LeaseWrite {
        let note = HistoryNote::Taken { kind, took_ms };
        self.hold(LeaseWriteKind::Acquire, self.fresh_term(), Some(note))
    }

    /// A write that makes or keeps this pod the holder.
    fn hold(&self, kind: LeaseWriteKind, term: u64, history: Option<HistoryNote>) -> LeaseWrite {
        LeaseWrite {
            kind,
            base: self.lease.base(),
            holder: Some(self.params.identity.clone()),
            term,
            duration_ms: self.params.lease_duration_ms,
            owner: self.params.owner.clone(),
            history,
            answer: None,
        }
    }

    /// A write that gives the Lease away, to `successor` or to whoever comes.
    fn give(&self, record: &Record, successor: Option<(&Identity, MoveKind)>) -> LeaseWrite {
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
        let (holder, moved) = successor.unzip();
        let wanted = record.switchover.as_deref();
        LeaseWrite {
            kind,
            base: self.lease.base(),
            holder: holder.cloned(),
            term,
            duration_ms,
            owner: self.params.owner.clone(),
            history: moved.map(HistoryNote::Directed),
            answer: wanted.map(|wanted| self.answer_on_leaving(wanted, holder)),
        }
    }

    /// A Lease that does not exist. Where nothing tells of a leader, the first candidate makes it its
    /// own. Otherwise it is made again in nobody's name, and then taken as any other: that nobody has
    /// led since can be seen of a record that stays as it is, and not of an absence, in which one may
    /// have come and gone unseen. The leader is the first to make it again, others wait for that.
    fn create(&self, now: Mono, agenda: &mut Agenda) -> Option<LeaseWrite> {
        if self.leaving() {
            return None;
        }
        let since = self.lease.since();
        let from = match self.led_since {
            None if self.group.services_listed => {
                let took_ms = now.ms_since(since);
                return self
                    .may_take(agenda, since)
                    .then(|| self.acquire(MoveKind::First, Some(took_ms)));
            }
            // Services may carry the term of a leader: they are on their way, or nobody can tell.
            None => since + self.params.attempt_ms_max(),
            // The watch of the Lease may be later than the others.
            Some(led_since) => since.max(led_since) + self.turn_ms(),
        };
        let due = self.leading(now).is_some() || agenda.reached(from);
        due.then(|| LeaseWrite {
            kind: LeaseWriteKind::Recreate,
            base: None,
            holder: None,
            term: 0,
            duration_ms: self.unheld_ms(),
            owner: None,
            history: None,
            answer: None,
        })
    }

    /// How long this pod waits before it makes the Lease again, milliseconds: the leader does not, and
    /// others come in the order in which they would follow.
    fn turn_ms(&self) -> u64 {
        let better = ranked(&self.group.pods, self.owner())
            .into_iter()
            .take_while(|pod| pod.uid != self.params.identity.uid)
            .count();
        RANK_MS * (1 + better.min(RANK_MAX) as u64)
    }

    /// How long a Lease that nobody has held is left to the holder of the one before it, milliseconds:
    /// that may be of another kind, with a longer one.
    fn unheld_ms(&self) -> u64 {
        self.params.lease_duration_ms.max(self.lease.duration_ms())
    }

    /// Somebody else's Lease, or nobody's: taken once it is free or has not changed for as long
    /// as it says.
    fn take(&self, now: Mono, agenda: &mut Agenda, record: &Record) -> Option<LeaseWrite> {
        if self.leaving() || record.paused {
            return None;
        }
        let since = self.lease.since();
        if record.is_unheld() && self.leading(now).is_some() {
            return Some(self.acquire(MoveKind::Recreated, Some(now.ms_since(since))));
        }
        let (from, kind) = match record.holder {
            Some(_) if record.is_unheld() => (
                since + record.duration_ms.max(self.unheld_ms()),
                MoveKind::Recreated,
            ),
            None if record.term == 0 => (since, MoveKind::First),
            None => (since, MoveKind::Released),
            Some(_) => (since + record.duration_ms, MoveKind::Expired),
        };
        (agenda.reached(from) && self.may_take(agenda, from))
            .then(|| self.acquire(kind, Some(now.ms_since(since))))
    }

    /// Whether this pod may take a Lease that has been there for the taking since `from`.
    fn may_take(&self, agenda: &mut Agenda, from: Mono) -> bool {
        let Some(own) = self.own_pod() else {
            return false;
        };
        // The holder that let it expire is not coming before us.
        let rivals: Vec<_> = ranked(&self.group.pods, self.owner())
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

    pub(crate) fn is_holder(&self, name: &str, uid: &str) -> bool {
        let form = self.params.customs.holder;
        self.holder()
            .is_some_and(|holder| form.is(holder, name, uid))
    }
}
