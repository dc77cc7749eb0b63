//! Kubernetes Events: what `kubectl describe` shows of a move. Best effort, and never in the way:
//! they wait in a short queue, go out over a client of their own, one at a time, and are lost
//! rather than repeated.

use crate::cause::Causes;
use crate::client::{self, JSON, NoAnswer, Reply};
use crate::clock::{Clock, micro_time, wall_time};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::refusals::cure;
use common::hash::fnv1a;
use election::Mono;
use http::{Method, StatusCode};
use kube::Client;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Events that wait; more are dropped. A move has one on the Lease, one on the own pod and one on
/// each Service.
pub(crate) const WAITING_MAX: usize = 16;
/// Longest time for one Event, milliseconds.
const POST_MS_MAX: u64 = 2_000;
/// Events that may follow each other at once, and time until one more may, milliseconds: a role
/// that flaps must not fill the API server with its story.
const BURST_MAX: u64 = 16;
const REFILL_MS: u64 = 5_000;
/// Wait before the second try where the right is missing, milliseconds: that of a new group may
/// not have reached every API server.
const GRANT_MS: u64 = 2_000;
/// Who sends them, as `kubectl describe` shows it.
const REPORTER: &str = "active-passive-sidecar";
/// Longest note, bytes, and longest name of who reports, characters: what the API takes.
const NOTE_BYTES_MAX: usize = 1_024;
const REPORTER_CHARS_MAX: usize = 128;
/// Longest part of an Event's name that comes from its object, bytes: 253 less the rest.
const NAME_BYTES_MAX: usize = 253 - 17;

/// An object that Events are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) uid: String,
}

/// What happened, as a code that stays the same from version to version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// On the Lease: the role has come to another pod.
    RoleMoved,
    /// On a pod: it is active now.
    BecameActive,
    /// On a pod: it is not active any more.
    BecamePassive,
    /// On a Service: its traffic goes to another pod.
    TrafficMoved,
    /// On the Lease: the switchover that was asked for is under way.
    SwitchoverDone,
    /// On the Lease: it is not done.
    SwitchoverRefused,
    /// On a Service: somebody else keeps changing where it points.
    ServiceContested,
    /// On a Service: its selector does not match the active pod.
    SelectorMatchesNoPod,
    /// On a Service: it has no address of its own.
    HeadlessService,
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::RoleMoved => "RoleMoved",
            Self::BecameActive => "BecameActive",
            Self::BecamePassive => "BecamePassive",
            Self::TrafficMoved => "TrafficMoved",
            Self::SwitchoverDone => "SwitchoverDone",
            Self::SwitchoverRefused => "SwitchoverRefused",
            Self::ServiceContested => "ServiceContested",
            Self::SelectorMatchesNoPod => "SelectorMatchesNoPod",
            Self::HeadlessService => "HeadlessService",
        }
    }

    /// What was being done.
    fn action(self) -> &'static str {
        match self {
            Self::RoleMoved | Self::BecameActive | Self::BecamePassive => "Elect",
            Self::SwitchoverDone | Self::SwitchoverRefused => "Switchover",
            Self::TrafficMoved
            | Self::ServiceContested
            | Self::SelectorMatchesNoPod
            | Self::HeadlessService => "Route",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::RoleMoved
            | Self::BecameActive
            | Self::BecamePassive
            | Self::TrafficMoved
            | Self::SwitchoverDone => "Normal",
            Self::SwitchoverRefused
            | Self::ServiceContested
            | Self::SelectorMatchesNoPod
            | Self::HeadlessService => "Warning",
        }
    }
}

/// One Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) regarding: Reference,
    pub(crate) reason: Reason,
    pub(crate) note: String,
}

/// The end of the queue that Events are put into. Never waits.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    queue: mpsc::Sender<Event>,
    metrics: Arc<Metrics>,
}

impl Outbox {
    pub(crate) fn new(metrics: Arc<Metrics>) -> (Self, mpsc::Receiver<Event>) {
        let (queue, events) = mpsc::channel(WAITING_MAX);
        (Self { queue, metrics }, events)
    }

    pub(crate) fn put(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.metrics.event("dropped");
        }
    }
}

/// Sends what is put into the queue.
pub(crate) struct Delivery {
    pub(crate) client: Client,
    pub(crate) clock: Clock,
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Why an Event did not arrive.
#[derive(Debug, thiserror::Error)]
enum Undelivered {
    #[error("no answer within {POST_MS_MAX} ms")]
    Late,
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("status {}: {}", .0.status.as_u16(), .0.message())]
    Status(Reply),
}

impl Delivery {
    /// Until nobody puts anything into the queue any more, or the right to send turns out to be
    /// missing.
    pub(crate) async fn run(self, mut events: mpsc::Receiver<Event>) {
        let mut allowance = Allowance::full(self.clock.now());
        while let Some(event) = events.recv().await {
            if !allowance.take(self.clock.now()) {
                self.metrics.event("dropped");
                continue;
            }
            let mut sent = self.send(&event).await;
            if forbidden(&sent) {
                sleep(Duration::from_millis(GRANT_MS)).await;
                sent = self.send(&event).await;
            }
            match sent {
                Ok(()) => self.metrics.event("sent"),
                Err(Undelivered::Status(reply)) if reply.status == StatusCode::FORBIDDEN => {
                    self.metrics.event("failed");
                    let error = reply.message();
                    let cure = cure(reply.status, &error, &self.config);
                    tracing::warn!(
                        error,
                        cure,
                        "no right to send Events: none are sent any more"
                    );
                    return;
                }
                Err(error) => {
                    self.metrics.event("failed");
                    tracing::debug!(error = %Causes(&error), "an Event was lost");
                }
            }
        }
    }

    async fn send(&self, event: &Event) -> Result<(), Undelivered> {
        let namespace = &self.config.namespace;
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        let body = json(event, &self.config, self.clock.now()).to_string();
        let request = client::request(Method::POST, &path, Some((JSON, body.into_bytes())));
        let answer = client::call(&self.client, request);
        let reply = timeout(Duration::from_millis(POST_MS_MAX), answer)
            .await
            .map_err(|_| Undelivered::Late)??;
        if reply.status.is_success() {
            Ok(())
        } else {
            Err(Undelivered::Status(reply))
        }
    }
}

fn forbidden(sent: &Result<(), Undelivered>) -> bool {
    matches!(sent, Err(Undelivered::Status(reply)) if reply.status == StatusCode::FORBIDDEN)
}

/// How many Events may be sent at once: refills with time.
struct Allowance {
    left: u64,
    counted_at: Mono,
}

impl Allowance {
    fn full(now: Mono) -> Self {
        Self {
            left: BURST_MAX,
            counted_at: now,
        }
    }

    fn take(&mut self, now: Mono) -> bool {
        let earned = now.ms_since(self.counted_at) / REFILL_MS;
        self.counted_at = self.counted_at + earned * REFILL_MS;
        self.left = self.left.saturating_add(earned).min(BURST_MAX);
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

/// The Event as the API takes it.
fn json(event: &Event, config: &Config, now: Mono) -> Value {
    let (regarding, reason) = (&event.regarding, event.reason);
    let reporter = &config.params.identity;
    // A name is never used twice: two Events of one pod differ in text or in time.
    let seed = format!("{}/{}/{reason:?}/{}", reporter.uid, now.as_ms(), event.note);
    let name = cut(&regarding.name, NAME_BYTES_MAX);
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": format!("{name}.{:016x}", fnv1a(seed.as_bytes())),
            "namespace": config.namespace,
        },
        "eventTime": micro_time(wall_time()),
        "reportingController": REPORTER,
        "reportingInstance": cut(&reporter.name, REPORTER_CHARS_MAX),
        "action": reason.action(),
        "reason": reason.as_str(),
        "type": reason.kind(),
        "note": cut(&event.note, NOTE_BYTES_MAX),
        "regarding": {
            "apiVersion": regarding.api_version,
            "kind": regarding.kind,
            "namespace": config.namespace,
            "name": regarding.name,
            "uid": regarding.uid,
        },
    })
}

/// The start of `text`, at most this many bytes.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
