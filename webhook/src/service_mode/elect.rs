//! Which replica acts: elected by the elector of the sidecars, over a Lease of its own.
//!
//! The elector is told of a group that consists of this replica alone, as a pod that exists in its
//! view only: who else contends shows in the Lease, and no right on pods of this program is needed. Of
//! its requests only those for the Lease leave the process.

use crate::client::{ApiError, post, within};
use crate::service_mode::lease;
use crate::watch::Single;
use common::ids::Identity;
use election::{
    Action, Customs, Elector, Failure, Handover, Input, LeaseWrite, Mono, Outcome, Params, PodRole,
    PodView, PodWrite, Request, RequestId, RoleLabel, Version,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

/// Lease duration, milliseconds: so long nobody acts if a replica vanishes. Traffic flows meanwhile.
/// One Lease a cluster can be renewed more often than one a group.
const LEASE_MS: u64 = 5_000;
/// Longest time from the end of the work to that of the process, milliseconds.
const LAST_MS_MAX: u64 = 1_500;
/// Longest sleep, milliseconds: the runtime's timers stand still while the machine is suspended.
const SLEEP_MS_MAX: u64 = 1_000;

/// Until when this replica may act; [`Mono::ZERO`] while another one may.
pub(crate) type Office = watch::Sender<Mono>;

/// A candidate.
pub(crate) struct Candidate {
    /// Leases of the own namespace.
    pub(crate) leases: Api<Lease>,
    /// Name of the one that is contended for.
    pub(crate) name: String,
    /// Name and uid of the own pod.
    pub(crate) identity: Identity,
}

type InFlight = Pin<Box<dyn Future<Output = (RequestId, Outcome, Option<Lease>)> + Send>>;

/// The present instant.
pub(crate) fn now() -> Mono {
    Mono::from_ms(common::clock::boottime_ms())
}

/// Settings of the elector. A move is never planned: who ends frees the Lease.
fn params(identity: Identity) -> Params {
    Params {
        jitter_seed: RandomState::new().hash_one(identity.to_string()),
        identity,
        owner: None,
        lease_duration_ms: LEASE_MS,
        renew_deadline_ms: LEASE_MS * 2 / 3,
        retry_period_ms: LEASE_MS * 2 / 15,
        handover: Handover::Seamless,
        drain_timeout_ms: 0,
        unready_grace_ms: 0,
        customs: Customs::default(),
    }
}

impl Candidate {
    /// Contends until `end` comes, and then frees the Lease if it holds it. `seen` is the Lease as a
    /// watch shows it.
    pub(crate) async fn stand(
        self,
        mut seen: watch::Receiver<Single<Lease>>,
        office: &Office,
        mut end: oneshot::Receiver<()>,
    ) {
        let mut own = PodView::imagined(&self.identity);
        let mut elector = Elector::new(params(self.identity.clone()));
        // A step asks for something once the Lease is known, not before.
        for input in [
            Input::PodsListed(vec![own.clone()]),
            Input::ServicesListed(Vec::new()),
        ] {
            drop(elector.step(now(), input));
        }
        let mut in_flight: Option<InFlight> = None;
        let mut last = None;
        let mut end_at: Option<Mono> = None;
        let mut input = Input::Wake;
        loop {
            let step = elector.step(now(), input);
            publish(office, step.standing.valid_until, end_at.is_some());
            if let Some(request) = step.request {
                in_flight = Some(self.perform(request, &mut own, last.as_ref()));
            }
            if end_at.is_some_and(|at| step.standing.finished || now() >= at) {
                return;
            }
            let wake_at = end_at.map_or(step.wake_at, |at| at.min(step.wake_at));
            let wake_ms = wake_at.ms_since(now()).min(SLEEP_MS_MAX);
            // All arms are cancel-safe: what loses the race is asked again in the next round.
            input = tokio::select! {
                biased;
                _ = &mut end, if end_at.is_none() => {
                    end_at = Some(now() + LAST_MS_MAX);
                    Input::Terminate
                }
                (id, outcome, lease) = completion(&mut in_flight) => {
                    in_flight = None;
                    last = lease.or(last);
                    Input::Done(id, outcome)
                }
                Ok(()) = seen.changed() => news(&seen.borrow_and_update(), &mut last),
                () = sleep(Duration::from_millis(wake_ms)) => Input::Wake,
            };
        }
    }

    /// The request as a future that ends at its deadline.
    fn perform(&self, request: Request, own: &mut PodView, last: Option<&Lease>) -> InFlight {
        let limit = Duration::from_millis(request.deadline.ms_since(now()));
        let (leases, name, id) = (self.leases.clone(), self.name.clone(), request.id);
        match request.action {
            Action::ReadLease => Box::pin(async move {
                let read = within(limit, leases.get_opt(&name)).await;
                let (outcome, lease) = read.map_or_else(failed, answered);
                (id, outcome, lease)
            }),
            Action::WriteLease(write) => {
                let base = last.filter(|lease| is_base(lease, &write)).cloned();
                Box::pin(async move {
                    let written = write_lease(&leases, &name, limit, &write, base).await;
                    let (outcome, lease) = written.unwrap_or_else(failed);
                    (id, outcome, lease)
                })
            }
            Action::WritePod(write) => {
                note(own, &write);
                let outcome = Outcome::Pod(own.clone());
                Box::pin(async move { (id, outcome, None) })
            }
            Action::ReadPod { .. } => {
                let outcome = Outcome::Pod(own.clone());
                Box::pin(async move { (id, outcome, None) })
            }
            // It was told that there are none.
            Action::ReadService { .. } | Action::WriteService(_) => {
                Box::pin(async move { (id, Outcome::Failed(Failure::NotFound), None) })
            }
        }
    }
}

/// Says until when this replica acts, and logs when that begins and ends.
fn publish(office: &Office, valid_until: Mono, ending: bool) {
    // What is left of the role when the program ends is used to free the Lease.
    let until = if ending { Mono::ZERO } else { valid_until };
    office.send_if_modified(|known| {
        if (*known == Mono::ZERO) != (until == Mono::ZERO) {
            let acts = until != Mono::ZERO;
            tracing::info!(acts, "elected replica of Service mode");
        }
        let changed = *known != until;
        *known = until;
        changed
    });
}

/// What the watch shows.
fn news(seen: &Single<Lease>, last: &mut Option<Lease>) -> Input {
    match seen {
        Single::Unknown => Input::Wake,
        Single::Absent => Input::LeaseAbsent(Version::default()),
        Single::Present(lease) => lease::view(lease).map_or(Input::Wake, |view| {
            *last = Some((**lease).clone());
            Input::LeaseSeen(view)
        }),
    }
}

fn is_base(lease: &Lease, write: &LeaseWrite) -> bool {
    lease::view(lease).map(|view| view.version) == write.base
}

async fn write_lease(
    leases: &Api<Lease>,
    name: &str,
    limit: Duration,
    write: &LeaseWrite,
    base: Option<Lease>,
) -> Result<(Outcome, Option<Lease>), ApiError> {
    if write.base.is_some() && base.is_none() {
        // A newer one has come since: a PUT would be refused for certain.
        return Ok((Outcome::Failed(Failure::Conflict), None));
    }
    let creates = write.base.is_none();
    let lease = lease::written(write, base, name, Timestamp::now());
    let params = post();
    let done = if creates {
        within(limit, leases.create(&params, &lease)).await
    } else {
        within(limit, leases.replace(name, &params, &lease)).await
    };
    Ok(answered(Some(done?)))
}

fn answered(lease: Option<Lease>) -> (Outcome, Option<Lease>) {
    let view = lease.as_ref().map(lease::view);
    let outcome = match view {
        None => Outcome::NoLease,
        Some(Some(view)) => Outcome::Lease(view),
        Some(None) => Outcome::Failed(Failure::Lost),
    };
    (outcome, lease)
}

fn failed(error: ApiError) -> (Outcome, Option<Lease>) {
    let failure = match &error {
        ApiError::Answer(kube::Error::Api(status)) => match status.code {
            404 | 410 => Failure::NotFound,
            409 => Failure::Conflict,
            403 => Failure::Forbidden,
            401 | 408 | 429 | 500..=599 => Failure::Unavailable { retry_after_ms: 0 },
            _ => Failure::Refused,
        },
        ApiError::Answer(_) | ApiError::Deadline(_) => Failure::Lost,
    };
    if failure != Failure::Conflict {
        tracing::warn!(%error, "a request for the Lease of Service mode failed");
    }
    (Outcome::Failed(failure), None)
}

/// The elector's view of its own pod after a write that never leaves the process.
fn note(own: &mut PodView, write: &PodWrite) {
    own.version = Version(own.version.0 + 1);
    if let Some((role, term)) = write.role {
        own.role = match role {
            PodRole::Active => RoleLabel::Active,
            PodRole::Passive => RoleLabel::Passive,
        };
        own.term = Some(term);
    }
}

/// The end of the request in flight; never, if there is none. Cancel-safe.
async fn completion(in_flight: &mut Option<InFlight>) -> (RequestId, Outcome, Option<Lease>) {
    match in_flight {
        Some(request) => request.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
