//! How the ends of requests change what is known.

use crate::backoff::Backoff;
use crate::elector::{Elector, InFlight, Tenure};
use crate::group::Target;
use crate::input::{Failure, Outcome};
use crate::observed::Source;
use crate::step::{Action, LeaseWrite, LeaseWriteKind};
use crate::time::Mono;
use crate::view::Version;

/// First wait after a conflict on the Lease that repeats itself, milliseconds.
const CONFLICT_RETRY_MS: u64 = 50;
/// First wait after a failed request while leaving, milliseconds.
const LEAVING_RETRY_MS: u64 = 100;

impl Elector {
    /// The version of what `action` is about, as it is known now.
    pub(crate) fn known_version(&self, action: &Action) -> Version {
        let known = match action {
            Action::ReadLease | Action::WriteLease(_) => self.lease.base(),
            Action::ReadPod { uid, .. } => self.group.pods.get(uid).map(|pod| pod.version),
            Action::WritePod(write) => Some(write.base),
            Action::ReadService { name } => {
                self.group.services.get(name).map(|service| service.version)
            }
            Action::WriteService(write) => Some(write.base),
        };
        known.unwrap_or_default()
    }

    /// Takes the end of a request.
    pub(crate) fn finish(&mut self, now: Mono, request: InFlight, outcome: Outcome) {
        match request.action {
            Action::ReadLease => {
                self.finish_lease_read(now, request.sent_at, request.known, outcome);
            }
            Action::WriteLease(write) => {
                self.finish_lease_write(now, request.sent_at, &write, outcome);
            }
            Action::ReadPod { uid, .. } => {
                let source = Source::Read {
                    known: request.known,
                };
                self.finish_object(now, &Target::Pod(uid), source, outcome);
            }
            Action::WritePod(write) => {
                self.finish_object(now, &Target::Pod(write.uid), Source::Write, outcome);
            }
            Action::ReadService { name } => {
                let source = Source::Read {
                    known: request.known,
                };
                self.finish_object(now, &Target::Service(name), source, outcome);
            }
            Action::WriteService(write) => {
                let target = Target::Service(write.name);
                if write.with_selector && matches!(outcome, Outcome::Service(Some(_))) {
                    self.group.note_underived(now, &target);
                }
                self.finish_object(now, &target, Source::Write, outcome);
            }
        }
    }

    fn finish_lease_read(&mut self, now: Mono, sent_at: Mono, known: Version, outcome: Outcome) {
        match outcome {
            Outcome::Lease(lease) => {
                self.lease.see(now, lease, Source::Read { known });
                self.lease.stale = false;
            }
            Outcome::NoLease | Outcome::Failed(Failure::NotFound) => {
                self.lease.answered_absent(now);
                self.lease.stale = false;
            }
            Outcome::Failed(failure) => {
                self.lease.stale = true;
                self.lease_failed(now, sent_at, failure);
            }
            Outcome::Pod(_) | Outcome::PodLeft(_) | Outcome::Service(_) => {}
        }
    }

    fn finish_lease_write(
        &mut self,
        now: Mono,
        sent_at: Mono,
        write: &LeaseWrite,
        outcome: Outcome,
    ) {
        match outcome {
            Outcome::Lease(lease) => {
                self.lease.see(now, lease, Source::Write);
                self.lease_backoff = Backoff::default();
                if write.holder.as_ref() == Some(&self.params.identity) {
                    self.lost = false;
                    self.tenure = Some(Tenure {
                        term: write.term,
                        valid_until: sent_at + self.params.validity_ms(),
                        renewed_at: sent_at,
                        renewing_since: None,
                    });
                    self.note_the_time(now);
                }
            }
            Outcome::Failed(failure) => {
                if let Some(tenure) = &mut self.tenure {
                    let since = *tenure.renewing_since.get_or_insert(sent_at);
                    // RD: whoever set it short wants the role given up early.
                    if now.ms_since(since) >= self.params.renew_deadline_ms {
                        tenure.valid_until = tenure.valid_until.min(now);
                        self.note_the_time(now);
                    }
                }
                // A renewal without an answer is repeated as it was. Both carry the same version, so
                // that one of them at most is carried out; a conflict says that it was the first.
                let repeated = self.leading(now).is_some()
                    && write.kind == LeaseWriteKind::Renew
                    && matches!(failure, Failure::Lost | Failure::Unavailable { .. });
                self.lease.stale = !repeated;
                self.lease_failed(now, sent_at, failure);
            }
            Outcome::NoLease | Outcome::Pod(_) | Outcome::PodLeft(_) | Outcome::Service(_) => {}
        }
    }

    fn lease_failed(&mut self, now: Mono, sent_at: Mono, failure: Failure) {
        let retry_ms = if self.leaving() {
            LEAVING_RETRY_MS
        } else {
            self.params.retry_period_ms
        };
        let retry_ms_max = retry_ms.max(self.params.retry_period_ms);
        let first_time = self.lease_backoff.failures() == 0;
        let leads = self.leading(now).is_some();
        let (backoff, jitter) = (&mut self.lease_backoff, &mut self.jitter);
        match failure {
            Failure::Conflict | Failure::NotFound | Failure::Lost if first_time => {
                backoff.failed_at_once(now);
            }
            Failure::Conflict | Failure::NotFound => {
                backoff.failed(now, CONFLICT_RETRY_MS, retry_ms_max, jitter);
            }
            Failure::Unavailable { retry_after_ms } => {
                // Retry-After is heeded as far as it leaves the role time for more tries.
                let heeded_ms = match self.tenure {
                    Some(tenure) => tenure.valid_until.ms_since(now) / 4,
                    None => self.params.renew_every_ms(),
                };
                let wait_ms = retry_ms.max(retry_after_ms.min(heeded_ms));
                backoff.failed(now, wait_ms, retry_ms_max.max(wait_ms), jitter);
            }
            // The time that was spent waiting for an answer counts.
            Failure::Lost if leads => {
                let retry_ms = retry_ms.min(self.params.renewal_ms_max(true) * 9 / 10);
                backoff.failed(sent_at, retry_ms, retry_ms, jitter);
            }
            Failure::Lost | Failure::Forbidden | Failure::Refused => {
                backoff.failed(now, retry_ms, retry_ms_max, jitter);
            }
        }
        if failure == Failure::Forbidden {
            // No right that this pod has is known yet: that of Services says nothing.
            self.group.doubt_forbidden(now);
        }
    }

    fn finish_object(&mut self, now: Mono, target: &Target, source: Source, outcome: Outcome) {
        if *target == Target::Pod(self.params.identity.uid.clone()) && self.own_pod().is_none() {
            let asked = matches!(source, Source::Read { known } if known == Version::default());
            return self.finish_outside(now, asked, outcome);
        }
        if !self.group.knows(target) {
            if self.finish_predecessor(now, target, source, &outcome) {
                return;
            }
            // It went while the request was under way: what is said of it is of before, and there is
            // nothing to write nor to wait for.
            return;
        }
        match (outcome, target) {
            (Outcome::Pod(pod), _) => self.group.see_pod(pod, source),
            (Outcome::Service(Some(service)), _) => self.group.see_service(now, service, source),
            (
                Outcome::Service(None) | Outcome::Failed(Failure::NotFound),
                Target::Service(name),
            ) => {
                self.group.lose_service(name);
                return;
            }
            (Outcome::Failed(Failure::NotFound), Target::Pod(uid)) => {
                self.lose_pod(now, uid);
                return;
            }
            (Outcome::PodLeft(_), Target::Pod(uid)) => {
                // The own one is asked for again.
                self.lose_pod(now, uid);
                return;
            }
            (Outcome::Failed(failure), _) => {
                self.group.failed(target, now, failure, &mut self.jitter);
                return;
            }
            (
                Outcome::PodLeft(_) | Outcome::Service(None) | Outcome::Lease(_) | Outcome::NoLease,
                _,
            ) => return,
        }
        if source == Source::Write {
            self.group.wrote(target, now, &mut self.jitter);
        } else {
            self.group.freshen(target);
        }
        self.note_own_pod(now);
    }
}
