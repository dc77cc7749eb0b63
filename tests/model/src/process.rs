//! One sidecar: the real elector, the clock it reads, its request in flight, and what its watches
//! have delivered.

use super::api::{Api, Broken};
use super::scope::Scope;
use super::shared::Shared;
use election::{
    Action, Elector, Handover, Ineligible, Input, LeaseWriteKind, Mono, Outcome, PodRole, Request,
    RequestId, Standing, Version,
};

/// The process of one pod, and the pod's life as the kubelet knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) pod: usize,
    /// `None` while no process runs.
    elector: Option<Shared<Elector>>,
    /// What its clock shows, in steps.
    pub(super) clock: u16,
    /// When it wants to be called again.
    wake: Mono,
    pub(super) exchange: Option<Exchange>,
    /// Writes that were given up and may be committed yet.
    pub(super) late: Vec<Action>,
    seen: Seen,
    /// Its watches deliver when they like, until it has seen everything.
    pub(super) behind: bool,
    pub(super) frozen: bool,
    pub(super) cut: bool,
    /// It got SIGTERM: the app has exited.
    pub(super) told_to_end: bool,
    /// It has ended for good.
    pub(super) over: bool,
}

/// A request in flight.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Exchange {
    id: RequestId,
    deadline: Mono,
    /// Nothing about it happens in time.
    pub(super) slow: bool,
    pub(super) progress: Progress,
}

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Progress {
    /// It is on its way to the API server.
    Sent(Action),
    /// Its answer is on its way back.
    Answered(Outcome),
}

/// The watches of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Lease,
    Pods,
    Service,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Lease, Self::Pods, Self::Service];
}

/// Versions that watches or answers have shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Seen {
    lease: Version,
    pods: Vec<Version>,
    /// `None`: Services are not listed yet.
    service: Option<Version>,
}

impl Process {
    /// A pod without a process.
    pub(super) fn new(pod: usize) -> Self {
        Self {
            pod,
            elector: None,
            clock: 0,
            wake: Mono::ZERO,
            exchange: None,
            late: Vec::new(),
            seen: Seen::default(),
            behind: false,
            frozen: false,
            cut: false,
            told_to_end: false,
            over: false,
        }
    }

    pub(super) fn runs(&self) -> bool {
        self.elector.is_some()
    }

    /// What it believes now, by its own clock; `None` without a process.
    pub(super) fn standing(&self) -> Option<Standing> {
        self.elector
            .as_ref()
            .map(|elector| elector.standing(self.now()))
    }

    /// The term in which it believes to lead now.
    pub(super) fn leads(&self) -> Option<u64> {
        self.standing()
            .filter(|standing| standing.role.leads())
            .map(|standing| standing.term)
    }

    /// Whether it wants to be called now.
    pub(super) fn is_due(&self) -> bool {
        self.runs() && self.wake <= self.now()
    }

    /// Whether anything but time can reach it.
    pub(super) fn is_reachable(&self) -> bool {
        self.runs() && !self.frozen && !self.cut
    }

    /// It is reachable again.
    pub(super) fn come_back(&mut self, api: &Api) {
        self.slow_down();
        self.behind = self.has_any_unseen(api);
    }

    /// Its request in flight takes its time from now on.
    pub(super) fn slow_down(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.slow = true;
        }
    }

    /// Whether a watch has something for it.
    pub(super) fn has_unseen(&self, api: &Api, kind: Kind) -> bool {
        self.runs()
            && match kind {
                Kind::Lease => self.seen.lease != api.lease_version(),
                Kind::Pods => api
                    .pods()
                    .zip(&self.seen.pods)
                    .any(|(pod, seen)| pod.version != *seen),
                Kind::Service => self.seen.service != Some(service_version(api)),
            }
    }

    /// Whether any watch has.
    pub(super) fn has_any_unseen(&self, api: &Api) -> bool {
        Kind::ALL.into_iter().any(|kind| self.has_unseen(api, kind))
    }

    /// A new process: it lists pods and the Lease, and Services, which may come late.
    pub(super) fn start(&mut self, scope: &Scope, api: &Api) -> Broken {
        self.elector = Some(Shared::new(Elector::new(scope.params(self.pod))));
        self.seen = Seen::default();
        self.behind = scope.service;
        let listed = Input::PodsListed(api.pods().cloned().collect());
        let pods = self.step(scope, listed);
        self.seen.pods = api.pods().map(|pod| pod.version).collect();
        let services = if self.behind {
            None
        } else {
            self.deliver(scope, api, Kind::Service)
        };
        let lease = self.deliver(scope, api, Kind::Lease);
        pods.or(services).or(lease)
    }

    /// The process ends. What it has sent may be committed yet.
    pub(super) fn stop(&mut self) {
        self.elector = None;
        self.frozen = false;
        self.cut = false;
        self.behind = false;
        self.seen = Seen::default();
        self.wake = Mono::ZERO;
        self.give_up();
    }

    /// What a watch has for it.
    pub(super) fn deliver(&mut self, scope: &Scope, api: &Api, kind: Kind) -> Broken {
        let broken = self.deliver_one(scope, api, kind);
        self.behind &= self.has_any_unseen(api);
        broken
    }

    fn deliver_one(&mut self, scope: &Scope, api: &Api, kind: Kind) -> Broken {
        match kind {
            Kind::Lease => {
                self.seen.lease = api.lease_version();
                let absent = Input::LeaseAbsent(api.lease_version());
                let input = api
                    .lease()
                    .map_or(absent, |lease| Input::LeaseSeen(lease.clone()));
                self.step(scope, input)
            }
            Kind::Pods => {
                let mut broken = None;
                for (index, pod) in api.pods().enumerate() {
                    if self.seen.pods[index] != pod.version {
                        self.seen.pods[index] = pod.version;
                        let shown = self.step(scope, Input::PodSeen(pod.clone()));
                        broken = broken.or(shown);
                    }
                }
                broken
            }
            Kind::Service => {
                let listed = self.seen.service.is_some();
                self.seen.service = Some(service_version(api));
                let input = match api.service() {
                    Some(service) if listed => Input::ServiceSeen(service.clone()),
                    service => Input::ServicesListed(service.cloned().into_iter().collect()),
                };
                self.step(scope, input)
            }
        }
    }

    /// The answer to its request arrives.
    pub(super) fn answer(&mut self, scope: &Scope, api: &Api) -> Broken {
        let exchange = self.exchange.take()?;
        let Progress::Answered(outcome) = exchange.progress else {
            return None;
        };
        self.note(api, &outcome);
        self.behind &= self.has_any_unseen(api);
        self.step(scope, Input::Done(exchange.id, outcome))
    }

    /// One call of the elector. Returns the rule that its request breaks.
    pub(super) fn step(&mut self, scope: &Scope, input: Input) -> Broken {
        let now = self.now();
        let elector = self.elector.as_mut()?;
        let step = elector.change(|elector| elector.step(now, input));
        if self
            .exchange
            .as_ref()
            .is_some_and(|exchange| now >= exchange.deadline)
        {
            self.give_up();
        }
        self.wake = step.wake_at;
        let request = step.request?;
        let broken = self.check(scope.handover, &step.standing, &request);
        self.exchange = Some(Exchange {
            id: request.id,
            deadline: request.deadline,
            slow: false,
            progress: Progress::Sent(request.action),
        });
        broken
    }

    fn now(&self) -> Mono {
        Scope::time(self.clock)
    }

    /// The connection is closed: a write may be committed yet, an answer is lost.
    fn give_up(&mut self) {
        if let Some(Exchange {
            progress: Progress::Sent(action),
            ..
        }) = self.exchange.take()
            && !self.late.contains(&action)
        {
            self.late.push(action);
        }
    }

    /// An answer shows an object before the watch does.
    fn note(&mut self, api: &Api, outcome: &Outcome) {
        match outcome {
            Outcome::Lease(lease) => self.seen.lease = self.seen.lease.max(lease.version),
            Outcome::Pod(shown) => {
                for (pod, seen) in api.pods().zip(&mut self.seen.pods) {
                    if pod.uid == shown.uid {
                        *seen = shown.version.max(*seen);
                    }
                }
            }
            Outcome::Service(Some(service)) => {
                self.seen.service = self.seen.service.max(Some(service.version));
            }
            Outcome::PodLeft(_)
            | Outcome::Service(None)
            | Outcome::NoLease
            | Outcome::Failed(_) => {}
        }
    }

    /// What may be asked for.
    fn check(&self, handover: Handover, standing: &Standing, request: &Request) -> Broken {
        let leads_to_the_end = standing.role.leads() && request.deadline <= standing.valid_until;
        match &request.action {
            Action::WritePod(write) => match write.role {
                Some((PodRole::Active, _)) if write.uid != super::scope::identity(self.pod).uid => {
                    Some("makes another pod active")
                }
                Some((PodRole::Active, _)) if !leads_to_the_end => {
                    Some("makes itself active and may not lead any more when that arrives")
                }
                _ => None,
            },
            Action::WriteService(write) if write.active.is_some() && !leads_to_the_end => {
                Some("points a Service at itself and may not lead any more when that arrives")
            }
            Action::WriteLease(write)
                if matches!(
                    write.kind,
                    LeaseWriteKind::Handover | LeaseWriteKind::Release
                ) && handover == Handover::Exclusive
                    && self.knows_deletion()
                    && !self.told_to_end =>
            {
                Some("gives the Lease away while its app is still stopping")
            }
            _ => None,
        }
    }

    fn knows_deletion(&self) -> bool {
        let uid = super::scope::identity(self.pod).uid;
        let mut peers = self.elector.iter().flat_map(|elector| elector.peers());
        peers.any(|peer| peer.uid == uid && peer.ineligible == Some(Ineligible::Terminating))
    }
}

fn service_version(api: &Api) -> Version {
    let version = api.service().map(|service| service.version);
    version.unwrap_or_default()
}

impl Exchange {
    /// The write that it may still become.
    pub(super) fn sent(&self) -> Option<&Action> {
        match &self.progress {
            Progress::Sent(action) => Some(action),
            Progress::Answered(_) => None,
        }
    }
}
