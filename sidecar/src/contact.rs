//! Whether the API server can be reached, as all connections of this sidecar together see it.
//!
//! After a partition each of them would find out when its own wait is over. So the first answer
//! that any of them has ends the waits of the others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// Least time from one early end of a wait to the next, milliseconds: where some connections work
/// and others never do, those try twice as often at most.
const CALLS_APART_MS: u64 = 2_000;
/// Waits that end early end within this time, milliseconds, differently from pod to pod: a server
/// that is back after an outage has all of them at once.
const SPREAD_MS: u64 = 100;

/// What is known of the way to the API server.
#[derive(Debug, Default)]
pub(crate) struct Contact {
    lost: AtomicBool,
    gone: Notify,
    /// How often it came back.
    returns: watch::Sender<u64>,
}

impl Contact {
    /// A request had no answer, or a connection broke.
    pub(crate) fn lost(&self) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            self.gone.notify_one();
        }
    }

    /// A request was answered.
    pub(crate) fn made(&self) {
        if self.lost.swap(false, Ordering::Relaxed) {
            self.returns.send_modify(|returns| *returns += 1);
        }
    }

    /// Whether the last that is known is that nobody answers.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Resolves once nobody answers any more. For one listener. Cancel-safe.
    pub(crate) async fn gone(&self) {
        self.gone.notified().await;
    }
}

/// Waits for news of [`Contact`], in the name of one connection.
#[derive(Debug)]
pub(crate) struct Caller {
    /// When a wait was last ended early.
    called: Option<Instant>,
    spread: Duration,
    /// Returns that are old news.
    returns: u64,
}

impl Caller {
    /// `seed` differs from pod to pod.
    pub(crate) fn new(seed: u64) -> Self {
        let spread = Duration::from_millis(seed % SPREAD_MS);
        Self {
            called: None,
            spread,
            returns: 0,
        }
    }

    /// A try begins: what was known before is old news.
    pub(crate) fn begin(&mut self, contact: &Contact) {
        self.returns = *contact.returns.borrow();
    }

    /// Resolves soon after the API server has answered somebody again, if that was after the try
    /// began: one that fails just then need not wait. Cancel-safe.
    pub(crate) async fn back(&self, contact: &Contact) {
        if let Some(called) = self.called {
            sleep_until(called + Duration::from_millis(CALLS_APART_MS)).await;
        }
        let mut returns = contact.returns.subscribe();
        // It ends with `contact`, which outlives this.
        if returns.wait_for(|now| *now != self.returns).await.is_err() {
            return;
        }
        sleep(self.spread).await;
    }

    /// Notes that a wait was ended early.
    pub(crate) fn note(&mut self) {
        self.called = Some(Instant::now());
    }
}
