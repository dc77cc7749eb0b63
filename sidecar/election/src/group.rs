//! The group as this pod sees it: its pods and Services, and how writes to them went.

use crate::backoff::{Backoff, Jitter};
use crate::input::Failure;
use crate::observed::Source;
use crate::time::Mono;
use crate::view::{PodView, RoleLabel, ServiceView, Version};
use std::collections::{BTreeMap, BTreeSet};

/// First wait after a failed write that is not worth repeating at once, milliseconds.
const WRITE_RETRY_MS: u64 = 100;
/// Longest wait between writes to one object, milliseconds.
const WRITE_RETRY_MS_MAX: u64 = 2_000;
/// Writes to one object that may follow each other at once; a move needs two.
const BURST_MAX: u32 = 5;
/// Writes to one object further apart than this do not count as a burst, milliseconds.
const BURST_GAP_MS: u64 = 10_000;

/// How long a leader must have been refused the Services for them to be out of its hands,
/// milliseconds. An API server that has just started refuses for a while what it will grant; a right
/// that was taken away on purpose must not hold the role up for ever.
const FORBIDDEN_MS_MAX: u64 = 30_000;

/// How long it is remembered that nothing derives the selector key of a Service, milliseconds: what
/// derives it may only have been away. Whoever writes the key owns it, and the user's next apply
/// conflicts; whoever does not, where he must, moves traffic by two writes instead of one.
const UNDERIVED_MS: u64 = 300_000;

/// An object that the leader writes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// The pod with this uid.
    Pod(String),
    /// The Service of this name.
    Service(String),
}

/// How the last writes to one object went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Retry {
    backoff: Backoff,
    /// Read it before the next write.
    pub(crate) stale: bool,
    /// Refusals in a row.
    pub(crate) refusals: u32,
    /// Before this, nothing derives the selector key of this Service from its annotation: it was
    /// seen to stay behind, or had to be written.
    underived_until: Mono,
    burst: u32,
    last_write: Mono,
}

/// Pods and Services of the group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Group {
    pub(crate) pods: BTreeMap<String, PodView>,
    pub(crate) pods_listed: bool,
    pub(crate) services: BTreeMap<String, ServiceView>,
    pub(crate) services_listed: bool,
    /// Since when there has been no right to see the Services that are known, as far as that counts.
    forbidden_since: Option<Mono>,
    /// See [`Self::has_traces`]. Stays: the pod that carried them may be gone before its leader.
    traces: bool,
    retries: BTreeMap<Target, Retry>,
    /// Version of each object as the watch last showed it.
    watched: BTreeMap<Target, Version>,
}

impl Group {
    pub(crate) fn list_pods(&mut self, pods: Vec<PodView>) {
        let listed: BTreeSet<_> = pods.iter().map(|pod| pod.uid.clone()).collect();
        let known: Vec<_> = self.pods.keys().cloned().collect();
        for gone in known.iter().filter(|uid| !listed.contains(*uid)) {
            self.lose_pod(gone);
        }
        for pod in pods {
            self.see_pod(pod, Source::Watch);
        }
        self.pods_listed = true;
    }

    pub(crate) fn see_pod(&mut self, pod: PodView, source: Source) {
        let known = self.pods.get(&pod.uid).map(|known| known.version);
        let target = Target::Pod(pod.uid.clone());
        if self.is_news(target, known, pod.version, source) {
            self.pods.insert(pod.uid.clone(), pod);
            self.note_traces();
        }
    }

    /// A pod that had left the group is back, which its watch will show.
    pub(crate) fn put_back(&mut self, pod: PodView) {
        self.forget(&Target::Pod(pod.uid.clone()));
        self.see_pod(pod, Source::Write);
    }

    pub(crate) fn lose_pod(&mut self, uid: &str) {
        self.pods.remove(uid);
        self.forget(&Target::Pod(uid.to_owned()));
    }

    pub(crate) fn list_services(&mut self, now: Mono, services: Vec<ServiceView>) {
        let listed: BTreeSet<_> = services.iter().map(|s| s.name.clone()).collect();
        let known: Vec<_> = self.services.keys().cloned().collect();
        for gone in known.iter().filter(|name| !listed.contains(*name)) {
            self.lose_service(gone);
        }
        for service in services {
            self.see_service(now, service, Source::Watch);
        }
        self.services_listed = true;
        self.forbidden_since = None;
    }

    /// There is no right to see Services. It comes with the first one that is annotated: where none
    /// is known, there is none. Those that are known may still point somewhere.
    pub(crate) fn forbid_services(&mut self, now: Mono) {
        if self.services.is_empty() {
            self.services_listed = true;
        } else {
            self.forbidden_since.get_or_insert(now);
        }
    }

    /// What was refused so far does not count: this pod does not lead, or was refused everything.
    pub(crate) fn doubt_forbidden(&mut self, now: Mono) {
        self.forbidden_since = self.forbidden_since.map(|_| now);
    }

    /// When the Services that are forbidden are out of a leader's hands.
    pub(crate) fn services_end(&self) -> Option<Mono> {
        self.forbidden_since.map(|since| since + FORBIDDEN_MS_MAX)
    }

    /// Leaves the Services alone that a leader has been refused for long.
    pub(crate) fn end_services(&mut self, now: Mono) {
        if self.services_end().is_some_and(|end| now >= end) {
            self.list_services(now, Vec::new());
        }
    }

    pub(crate) fn see_service(&mut self, now: Mono, service: ServiceView, source: Source) {
        self.forbidden_since = None;
        let known = self.services.get(&service.name).map(|known| known.version);
        let target = Target::Service(service.name.clone());
        if self.is_news(target.clone(), known, service.version, source) {
            let left_behind = service.has_selector
                && service.active.is_some()
                && service.active != service.selected;
            if left_behind {
                self.note_underived(now, &target);
            }
            self.services.insert(service.name.clone(), service);
            self.note_traces();
        }
    }

    /// The watch shows a Service gone as of `version`. It may have come back since: an answer may
    /// have shown it already.
    pub(crate) fn see_service_gone(&mut self, name: &str, version: Version) {
        let known = self.services.get(name).map(|known| known.version);
        let target = Target::Service(name.to_owned());
        if self.is_news(target, known, version, Source::Watch) {
            self.lose_service(name);
        }
    }

    pub(crate) fn lose_service(&mut self, name: &str) {
        self.services.remove(name);
        self.forget(&Target::Service(name.to_owned()));
    }

    /// Whether the object is one of the group, as far as is known.
    pub(crate) fn knows(&self, target: &Target) -> bool {
        match target {
            Target::Pod(uid) => self.pods.contains_key(uid),
            Target::Service(name) => self.services.contains_key(name),
        }
    }

    fn forget(&mut self, target: &Target) {
        self.retries.remove(target);
        self.watched.remove(target);
    }

    /// Whether `version` is no older than what is `known`, and notes what that says about a write
    /// whose answer was lost.
    fn is_news(
        &mut self,
        target: Target,
        known: Option<Version>,
        version: Version,
        source: Source,
    ) -> bool {
        let went_back = match source {
            Source::Watch => self.watched.insert(target.clone(), version) > Some(version),
            Source::Read { known } => version < known,
            Source::Write => false,
        };
        // The same again says nothing about that write: it may come yet.
        if went_back || known < Some(version) {
            self.freshen(&target);
        }
        went_back || known <= Some(version)
    }

    /// Highest term on any object of the group; 0 if none carries one.
    pub(crate) fn term_max(&self) -> u64 {
        let pods = self.pods.values().filter_map(|pod| pod.term);
        let services = self.services.values().filter_map(|service| service.term);
        pods.chain(services).max().unwrap_or(0)
    }

    /// Whether anything was ever seen to carry a role or a term: somebody leads or led.
    pub(crate) fn has_traces(&self) -> bool {
        self.traces
    }

    fn note_traces(&mut self) {
        self.traces |=
            self.term_max() > 0 || self.pods.values().any(|pod| pod.role == RoleLabel::Active);
    }

    /// Whether traffic may be sent to the pod with this uid.
    pub(crate) fn routes_to(&self, uid: &str) -> bool {
        self.pods
            .get(uid)
            .is_some_and(|pod| pod.role == RoleLabel::Active)
            || self.services.values().any(|service| service.points_at(uid))
    }

    /// How many Services send traffic where they point.
    pub(crate) fn routed_services(&self) -> usize {
        let services = self.services.values();
        services.filter(|service| service.has_selector).count()
    }

    /// Whether it is not known what became of a write to the pod with this uid or to a Service.
    pub(crate) fn is_uncertain(&self, uid: &str) -> bool {
        let services = self
            .services
            .keys()
            .map(|name| Target::Service(name.clone()));
        let pod = self.pods.get(uid).map(|pod| Target::Pod(pod.uid.clone()));
        pod.into_iter()
            .chain(services)
            .any(|target| self.retry(&target).stale)
    }

    /// The selector key of a Service does not follow its annotation by itself.
    pub(crate) fn note_underived(&mut self, now: Mono, service: &Target) {
        let retry = self.retries.entry(service.clone()).or_default();
        retry.underived_until = now + UNDERIVED_MS;
    }

    pub(crate) fn retry(&self, target: &Target) -> Retry {
        self.retries.get(target).copied().unwrap_or_default()
    }

    /// Counts a successful write: repairs that another writer keeps undoing slow down.
    pub(crate) fn wrote(&mut self, target: &Target, now: Mono, jitter: &mut Jitter) {
        let retry = self.retries.entry(target.clone()).or_default();
        let in_burst = now.ms_since(retry.last_write) < BURST_GAP_MS;
        retry.burst = if in_burst {
            retry.burst.saturating_add(1)
        } else {
            1
        };
        retry.last_write = now;
        retry.stale = false;
        retry.refusals = 0;
        if retry.burst <= BURST_MAX {
            retry.backoff = Backoff::default();
        } else {
            retry
                .backoff
                .failed(now, WRITE_RETRY_MS, WRITE_RETRY_MS_MAX, jitter);
        }
    }

    /// Counts a failed write or read.
    pub(crate) fn failed(
        &mut self,
        target: &Target,
        now: Mono,
        failure: Failure,
        jitter: &mut Jitter,
    ) {
        let retry = self.retries.entry(target.clone()).or_default();
        retry.stale = true;
        retry.refusals += match (failure, target) {
            (Failure::Refused, _) | (Failure::Forbidden, Target::Pod(_)) => 1,
            // A right that is missing says nothing about what derives the selector key.
            _ => 0,
        };
        let first_time = retry.backoff.failures() == 0;
        match failure {
            // Somebody wrote first, or the answer was lost: look at it at once.
            Failure::Conflict | Failure::Lost if first_time => retry.backoff.failed_at_once(now),
            Failure::Unavailable { retry_after_ms } => {
                // Heeded up to a bound: traffic may go astray meanwhile.
                let first_ms = WRITE_RETRY_MS.max(retry_after_ms.min(WRITE_RETRY_MS_MAX));
                retry
                    .backoff
                    .failed(now, first_ms, WRITE_RETRY_MS_MAX, jitter);
            }
            Failure::Conflict
            | Failure::Lost
            | Failure::Forbidden
            | Failure::Refused
            | Failure::NotFound => {
                retry
                    .backoff
                    .failed(now, WRITE_RETRY_MS, WRITE_RETRY_MS_MAX, jitter);
            }
        }
    }

    /// What is known of it is what is.
    pub(crate) fn freshen(&mut self, target: &Target) {
        if let Some(retry) = self.retries.get_mut(target) {
            retry.stale = false;
        }
    }
}

impl Retry {
    /// Whether the selector key has to be written, as far as is known.
    pub(crate) fn is_underived(self, now: Mono) -> bool {
        now < self.underived_until
    }

    /// When the object may be written or read again.
    pub(crate) fn not_before(self) -> Mono {
        self.backoff.not_before()
    }
}
