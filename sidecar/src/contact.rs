//! Whether the API server can be reached, as all connections of this sidecar together see it.
//!
//! After a partition each of them would find out when its own wait is over. So the first answer
//! that any of them has ends the waits of the others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
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
    back: Notify,
}

impl Contact {
    /// A request had no answer, or a connection broke.
    pub(crate) fn lost(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// A request was answered.
    pub(crate) fn made(&self) {
        if self.lost.swap(false, Ordering::Relaxed) {
            self.back.notify_waiters();
        }
    }
}

/// Waits for news of [`Contact`], in the name of one connection.
#[derive(Debug)]
pub(crate) struct Caller {
    /// When a wait was last ended early.
    called: Option<Instant>,
    spread: Duration,
}

impl Caller {
    /// `seed` differs from pod to pod.
    pub(crate) fn new(seed: u64) -> Self {
        let spread = Duration::from_millis(seed % SPREAD_MS);
        Self {
            called: None,
            spread,
        }
    }

    /// Resolves soon after the API server has answered somebody again. Cancel-safe.
    pub(crate) async fn back(&self, contact: &Contact) {
        if let Some(called) = self.called {
            sleep_until(called + Duration::from_millis(CALLS_APART_MS)).await;
        }
        contact.back.notified().await;
        sleep(self.spread).await;
    }

    /// Notes that a wait was ended early.
    pub(crate) fn note(&mut self) {
        self.called = Some(Instant::now());
    }
}
