//! Drives the elector: hands it the time and the news one by one, sends what it asks for, and says
//! what came of it.
//!
//! Nothing here decides anything about roles. One task, one request in flight, one value
//! published; every wait is in the one `select!` below. Events are told when nothing is in flight.

use crate::api::{Answer, Api};
use crate::clock::Clock;
use crate::contact::Contact;
use crate::http::LastCycle;
use crate::lease::LastLease;
use crate::linger::{Leaving, Linger};
use crate::published::Publisher;
use crate::story::Story;
use crate::watched::News;
use election::{Elector, Failure, Input, Mono, Outcome, Request, RequestId};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Longest time from SIGTERM to the end of the process, milliseconds: the kubelet may leave two
/// seconds in all, if the app has eaten the rest of the grace period.
const LAST_MS_MAX: u64 = 1_700;
/// Longest sleep, milliseconds. The runtime's timers stand still while the machine is suspended and
/// the clock that decides does not: after waking up, it is looked at within this time.
const SLEEP_MS_MAX: u64 = 1_000;

/// The elector and all that it acts through.
pub(crate) struct Driver {
    pub(crate) elector: Elector,
    pub(crate) clock: Clock,
    pub(crate) api: Api,
    pub(crate) publisher: Publisher,
    pub(crate) last_cycle: LastCycle,
    pub(crate) last_lease: LastLease,
    pub(crate) reach: Reach,
    pub(crate) story: Story,
    pub(crate) leaving: Leaving,
}

/// Whether the API server answered the last request: for the log, and for the watches.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    contact: Arc<Contact>,
    lost: bool,
}

impl Reach {
    pub(crate) fn new(contact: Arc<Contact>) -> Self {
        Self {
            contact,
            lost: false,
        }
    }

    fn note(&mut self, outcome: &Outcome) {
        let lost = *outcome == Outcome::Failed(Failure::Lost);
        if lost {
            self.contact.lost();
        } else {
            self.contact.made();
        }
        match (self.lost, lost) {
            (false, true) => tracing::warn!("the API server did not answer a request in time"),
            (true, false) => tracing::info!("the API server answers again"),
            (true, true) | (false, false) => {}
        }
        self.lost = lost;
    }
}

type InFlight = Pin<Box<dyn Future<Output = (RequestId, Answer)> + Send>>;

impl Driver {
    /// Runs until `terminated` has resolved and what is left to do then is done.
    pub(crate) async fn run(
        mut self,
        mut news: mpsc::Receiver<News>,
        terminated: impl Future<Output = ()>,
    ) {
        tokio::pin!(terminated);
        let mut end_at: Option<Mono> = None;
        let mut linger: Option<Linger> = None;
        let mut in_flight: Option<InFlight> = None;
        let mut soon = false;
        let mut input = Input::Wake;
        loop {
            let now = self.clock.now();
            let step = self.elector.step(now, input);
            self.publisher.publish(now, &self.elector, step.standing);
            self.last_cycle.set(now);
            if let Some(mut request) = step.request {
                self.story.complete(&mut request);
                self.story.sent(now, &request, &self.last_lease);
                // One that is still there has passed its deadline: it goes, with its connection.
                in_flight = Some(self.send(now, request));
            }
            if step.soon && !soon {
                tokio::spawn(self.api.connect());
            }
            soon = step.soon;
            self.story.stands(step.standing, self.elector.holder());
            if in_flight.is_none() {
                self.story.tell(now);
            }
            if end_at.is_some_and(|end_at| step.standing.finished || now >= end_at) {
                return;
            }
            if linger
                .as_ref()
                .is_some_and(|it| it.is_over(now, step.standing))
            {
                linger = None;
                end_at = Some(now + LAST_MS_MAX);
                input = Input::Terminate;
                continue;
            }
            let ends = end_at
                .into_iter()
                .chain(linger.as_ref().map(Linger::look_at));
            let wake_at = ends.fold(step.wake_at, Mono::min);
            let wake_ms = wake_at.ms_since(self.clock.now()).min(SLEEP_MS_MAX);
            // All arms are cancel-safe: what loses the race is asked again in the next round.
            input = tokio::select! {
                biased;
                () = &mut terminated, if end_at.is_none() && linger.is_none() => {
                    if self.api.config.lingers {
                        tracing::info!("SIGTERM: ending once another pod is there to follow");
                        let drain_ms = self.api.config.params.drain_timeout_ms;
                        let until = self.clock.now() + drain_ms;
                        linger = Some(Linger::begin(until, &self.leaving));
                        input = Input::Wake;
                        continue;
                    }
                    tracing::info!("SIGTERM: ending once the role is given up");
                    end_at = Some(self.clock.now() + LAST_MS_MAX);
                    Input::Terminate
                }
                (id, answer) = completion(&mut in_flight) => {
                    in_flight = None;
                    self.reach.note(&answer.outcome);
                    self.story.ended(self.clock.now(), id, &answer);
                    if let Some(lease) = answer.lease {
                        self.last_lease.answered(lease);
                    }
                    Input::Done(id, answer.outcome)
                }
                Some(news) = news.recv() => match news {
                    News::Lease(lease) => Input::LeaseSeen(self.last_lease.watched(lease)),
                    News::Input(input) => input,
                },
                () = sleep(Duration::from_millis(wake_ms)) => Input::Wake,
            };
        }
    }

    /// The request as a future that ends at its deadline, whatever happens.
    fn send(&self, now: Mono, request: Request) -> InFlight {
        let limit = Duration::from_millis(request.deadline.ms_since(now));
        let answer = self.api.perform(request.action, &self.last_lease);
        Box::pin(async move {
            let lost = || Outcome::Failed(Failure::Lost).into();
            (
                request.id,
                timeout(limit, answer).await.unwrap_or_else(|_| lost()),
            )
        })
    }
}

/// The end of the request in flight; never, if there is none. Cancel-safe.
async fn completion(in_flight: &mut Option<InFlight>) -> (RequestId, Answer) {
    match in_flight {
        Some(request) => request.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
