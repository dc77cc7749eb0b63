//! The elector itself: what it knows, and how news changes it.

use crate::agenda::Agenda;
use crate::backoff::{Backoff, Jitter};
use crate::group::Group;
use crate::input::{Failure, Input, Outcome};
use crate::observed::{Content, Observed, Source};
use crate::outside::Outside;
use crate::params::Params;
use crate::step::{Action, LeaseWriteKind, Request, RequestId, Role, Standing, Step};
use crate::successor::{Ineligible, Peer, ineligible};
use crate::time::Mono;
use crate::view::{PodView, RoleLabel, Version};
use common::ids::Identity;

/// Longest request after SIGTERM, milliseconds: the kubelet may leave two seconds in all.
const LAST_ATTEMPT_MS_MAX: u64 = 500;

/// The elector of one pod. See the crate's documentation for how to drive it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Elector {
    pub(crate) params: Params,
    pub(crate) own_holder: String,
    pub(crate) lease: Observed,
    pub(crate) lease_backoff: Backoff,
    pub(crate) group: Group,
    /// When it was first known that somebody leads or led.
    pub(crate) led_since: Option<Mono>,
    /// Leadership as the last successful write of the Lease gave it; see [`Self::leading`].
    pub(crate) tenure: Option<Tenure>,
    /// The role ran out without having been given away: the own label may be a stale one.
    pub(crate) lost: bool,
    pub(crate) drain_since: Option<Mono>,
    pub(crate) terminated: bool,
    pub(crate) unready_since: Option<Mono>,
    pub(crate) outside: Outside,
    /// Whose pod may still carry the active label; in exclusive.
    pub(crate) predecessor: Option<Identity>,
    in_flight: Option<InFlight>,
    next_id: u64,
    pub(crate) jitter: Jitter,
}

/// A term in office.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tenure {
    pub(crate) term: u64,
    /// Nothing is done as a leader from this instant on.
    pub(crate) valid_until: Mono,
    /// When the last successful write was sent.
    pub(crate) renewed_at: Mono,
    /// When the first renewal of a row that failed was sent.
    pub(crate) renewing_since: Option<Mono>,
}

/// A request without an answer yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct InFlight {
    id: RequestId,
    pub(crate) sent_at: Mono,
    deadline: Mono,
    pub(crate) action: Action,
    /// Version of the object that was known when it was sent: a read answers with this one or a
    /// newer one, unless a backup was restored.
    pub(crate) known: Version,
}

impl Elector {
    /// An elector that knows nothing yet.
    pub fn new(params: Params) -> Self {
        Self {
            own_holder: params.customs.holder.write(&params.identity),
            jitter: Jitter::new(params.jitter_seed),
            params,
            lease: Observed::nothing(),
            lease_backoff: Backoff::default(),
            group: Group::default(),
            led_since: None,
            tenure: None,
            lost: false,
            drain_since: None,
            terminated: false,
            unready_since: None,
            outside: Outside::Unknown,
            predecessor: None,
            in_flight: None,
            next_id: 0,
        }
    }

    /// Takes one piece of news at `now` and says what to do. `now` never falls from call to call.
    pub fn step(&mut self, now: Mono, input: Input) -> Step {
        self.note_the_time(now);
        self.absorb(now, input);
        let mut agenda = Agenda::until(now, now + self.params.lease_duration_ms);
        if let Some(tenure) = self.tenure {
            agenda.at(tenure.valid_until);
            if let Some(at) = self.group.services_end() {
                agenda.at(at);
            }
        }
        let mut request = None;
        if let Some(in_flight) = &self.in_flight {
            agenda.at(in_flight.deadline);
        } else if let Some(action) = self.next_action(now, &mut agenda) {
            let sent = self.send(now, action);
            agenda.at(sent.deadline);
            request = Some(sent);
        }
        Step {
            request,
            wake_at: agenda.wake_at(),
            standing: self.standing(now),
            soon: self.is_next(now),
        }
    }

    /// Where this pod stands at `now`; may be asked between steps.
    pub fn standing(&self, now: Mono) -> Standing {
        let leading = self.leading(now);
        let role = match leading {
            Some(_) if self.leaving() => Role::Draining,
            Some(_) => Role::Leader,
            None if *self.lease.content() == Content::Unknown || !self.group.pods_listed => {
                Role::Starting
            }
            None => Role::Standby,
        };
        Standing {
            role,
            term: leading.map_or_else(|| self.lease.term(), |tenure| tenure.term),
            valid_until: leading.map_or(Mono::ZERO, |tenure| tenure.valid_until),
            holds_traffic: self.holds_traffic(),
            finished: self.terminated && self.in_flight.is_none() && !self.must_give_away(),
        }
    }

    /// The group as this pod sees it.
    pub fn peers(&self) -> Vec<Peer> {
        let peer = |pod: &PodView| Peer {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            role: pod.role,
            ready: pod.ready,
            ineligible: self.ineligible(pod),
        };
        self.group.pods.values().map(peer).collect()
    }

    /// holderIdentity of the Lease as last seen.
    pub fn holder(&self) -> Option<&str> {
        self.lease
            .record()
            .and_then(|record| record.holder.as_deref())
    }

    /// Milliseconds since the Lease was first seen as it is; `None` while it is unknown.
    pub fn observed_age_ms(&self, now: Mono) -> Option<u64> {
        (*self.lease.content() != Content::Unknown).then(|| now.ms_since(self.lease.since()))
    }

    /// The tenure, if it is valid at `now`.
    pub(crate) fn leading(&self, now: Mono) -> Option<Tenure> {
        self.tenure.filter(|tenure| now < tenure.valid_until)
    }

    /// The workload that the group belongs to, as far as is known.
    pub(crate) fn owner(&self) -> Option<&str> {
        let recorded = self
            .lease
            .record()
            .and_then(|record| record.owner.as_deref());
        recorded.or(self.params.owner.as_deref())
    }

    /// Why `pod` cannot be given the role.
    pub(crate) fn ineligible(&self, pod: &PodView) -> Option<Ineligible> {
        let foreign = pod
            .is_foreign(self.owner())
            .then_some(Ineligible::OtherOwner);
        foreign.or_else(|| ineligible(pod))
    }

    /// Whether the Lease names this pod.
    pub(crate) fn holds_lease(&self) -> bool {
        self.holder() == Some(self.own_holder.as_str())
    }

    /// Whether this pod is on its way out.
    pub(crate) fn leaving(&self) -> bool {
        self.terminated || self.drain_since.is_some()
    }

    pub(crate) fn own_pod(&self) -> Option<&PodView> {
        self.group.pods.get(&self.params.identity.uid)
    }

    /// After SIGTERM: whether the Lease must still be handed on. A paused one is left as it is.
    fn must_give_away(&self) -> bool {
        let paused = self.lease.record().is_some_and(|record| record.paused);
        self.holds_lease() && !paused && !self.app_may_run_on()
    }

    pub(crate) fn note_the_time(&mut self, now: Mono) {
        if self.tenure.is_some() && self.leading(now).is_none() {
            self.tenure = None;
            self.lost = true;
        }
        match self.leading(now) {
            Some(_) => self.group.end_services(now),
            None => self.group.doubt_forbidden(now),
        }
        // No answer in time is an answer; one that comes later carries an old number.
        if self
            .in_flight
            .as_ref()
            .is_some_and(|request| now >= request.deadline)
            && let Some(request) = self.in_flight.take()
        {
            self.finish(now, request, Outcome::Failed(Failure::Lost));
        }
    }

    fn absorb(&mut self, now: Mono, input: Input) {
        match input {
            Input::Wake => {}
            Input::LeaseSeen(lease) => {
                self.lease.see(now, lease, Source::Watch);
            }
            Input::LeaseAbsent(version) => self.lease.see_absent(now, version),
            Input::PodsListed(pods) => {
                self.group.list_pods(pods);
                // It went while the watch was broken, or before this process had started.
                if self.own_pod().is_none() {
                    self.drain_since = self.drain_since.or(Some(now));
                }
            }
            Input::PodSeen(pod) => self.group.see_pod(pod, Source::Watch),
            Input::PodGone(uid) => self.lose_pod(now, &uid),
            Input::ServicesListed(services) => self.group.list_services(now, services),
            Input::ServiceSeen(service) => self.group.see_service(now, service, Source::Watch),
            Input::ServiceGone(name, version) => self.group.see_service_gone(&name, version),
            Input::ServicesForbidden => self.group.forbid_services(now),
            Input::Done(id, outcome) => {
                if self
                    .in_flight
                    .as_ref()
                    .is_some_and(|request| request.id == id)
                    && let Some(request) = self.in_flight.take()
                {
                    self.finish(now, request, outcome);
                }
            }
            Input::Terminate => {
                self.terminated = true;
                // Waits that suited a long-lived process do not suit two seconds.
                self.lease_backoff = Backoff::default();
            }
        }
        self.note_own_pod(now);
        self.note_usurper();
        if self.lease.term() > 0 || self.group.has_traces() {
            self.led_since = self.led_since.or(Some(now));
        }
    }

    /// A pod is gone. The own one was removed at once: what is left is to hand the role on.
    pub(crate) fn lose_pod(&mut self, now: Mono, uid: &str) {
        self.group.lose_pod(uid);
        self.predecessor = self.predecessor.take().filter(|pod| pod.uid != uid);
        if uid == self.params.identity.uid {
            self.drain_since = self.drain_since.or(Some(now));
        }
    }

    /// Draining and readiness follow from the own pod's object.
    pub(crate) fn note_own_pod(&mut self, now: Mono) {
        let Some(own) = self.own_pod() else { return };
        let terminating = own.terminating;
        let (ready, active) = (own.ready, own.role == RoleLabel::Active);
        self.outside = Outside::Unknown;
        self.drain_since = if terminating {
            self.drain_since.or(Some(now))
        } else {
            None
        };
        self.unready_since = if ready {
            None
        } else {
            self.unready_since.or(Some(now))
        };
        self.lost &= active;
    }

    /// A Lease that names somebody else ends the tenure at once, whatever was valid before. One that
    /// was made in nobody's name does not: the leader's own was deleted.
    fn note_usurper(&mut self) {
        let taken = self.lease.record().is_some_and(|it| !it.is_unheld());
        if self.tenure.is_some() && taken && !self.holds_lease() {
            self.tenure = None;
            self.lost = true;
        }
    }

    /// Registers a request as in flight.
    fn send(&mut self, now: Mono, action: Action) -> Request {
        let deadline = self.deadline(now, &action);
        if let Action::WriteLease(write) = &action {
            self.note_predecessor(write);
        }
        if let Action::WriteLease(write) = &action
            && matches!(
                write.kind,
                LeaseWriteKind::Handover | LeaseWriteKind::Release
            )
        {
            // The answer may be lost while the successor already acts.
            self.tenure = None;
        }
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.in_flight = Some(InFlight {
            id,
            sent_at: now,
            deadline,
            known: self.known_version(&action),
            action: action.clone(),
        });
        Request {
            id,
            deadline,
            action,
        }
    }

    /// A leader's request for the Lease ends while there is time for more, and none ends after the
    /// role itself.
    fn deadline(&self, now: Mono, action: &Action) -> Mono {
        let mut limit_ms = self.params.attempt_ms_max();
        if self.terminated {
            limit_ms = limit_ms.min(LAST_ATTEMPT_MS_MAX);
        }
        if let Some(tenure) = self.leading(now) {
            let left_ms = tenure.valid_until.ms_since(now);
            let renewal_ms = self
                .params
                .renewal_ms_max(self.lease_backoff.failures() > 0);
            let share_ms = match action {
                Action::WriteLease(_) => left_ms.min(renewal_ms),
                // A write has to follow.
                Action::ReadLease => (left_ms / 2).min(renewal_ms),
                Action::ReadPod { .. }
                | Action::WritePod(_)
                | Action::ReadService { .. }
                | Action::WriteService(_) => left_ms,
            };
            limit_ms = limit_ms.min(share_ms.max(1));
        }
        now + limit_ms
    }
}
