//! Whether the right to see Services is still there. A watch that is open does not say: the API server
//! asks for rights when it opens. A write says at once.

use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Least time from one doubt that is heeded to the next, milliseconds: something else than a missing
/// right may refuse each write.
const DOUBTS_APART_MS: u64 = 30_000;

/// Carries the doubt from who writes to who watches.
#[derive(Debug, Default)]
pub(crate) struct Doubt(Notify);

impl Doubt {
    /// A request about a Service was forbidden.
    pub(crate) fn raise(&self) {
        self.0.notify_one();
    }

    /// Resolves once there is doubt, and the one that was heeded at `last` is some time ago.
    /// Cancel-safe.
    pub(crate) async fn raised(&self, last: Option<Instant>) {
        if let Some(last) = last {
            sleep_until(last + Duration::from_millis(DOUBTS_APART_MS)).await;
        }
        self.0.notified().await;
    }
}
