//! The end of a sidecar that is told to stop together with its app, and not after it.
//!
//! A sidecar that the webhook has injected gets its SIGTERM last. One among the app's containers gets
//! it first, with time on its hands: it says that it does not take part any more, goes on leading until
//! another pod is there to follow, and only then ends.

use crate::api::Api;
use crate::cause::Causes;
use crate::client::MERGE_PATCH;
use election::{Mono, Standing};
use http::Method;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Longest time for the own label to be taken off, milliseconds.
const UNMARK_MS_MAX: u64 = 5_000;

/// Whether the end has been asked for, and this pod takes no part any more. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leaving(Arc<State>);

#[derive(Debug, Default)]
struct State {
    asked: AtomicBool,
    done: AtomicBool,
    news: Notify,
}

impl Leaving {
    /// Says in the API, once that is asked for, that this pod takes no part any more. The watch then
    /// shows the elector that it leaves.
    pub(crate) async fn run(self, api: Api) {
        self.0.news.notified().await;
        unmark(&api).await;
        self.0.done.store(true, Ordering::Relaxed);
    }

    /// The pod is being deleted, or the process was told to stop.
    pub(crate) fn ask(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
        self.0.news.notify_one();
    }

    /// Whether that was so.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Whether it was said, or could not be.
    pub(crate) fn is_done(&self) -> bool {
        self.0.done.load(Ordering::Relaxed)
    }
}

/// An end that is being waited for.
pub(crate) struct Linger {
    /// It comes then at the latest.
    until: Mono,
    leaving: Leaving,
}

impl Linger {
    /// Waits from now on.
    pub(crate) fn begin(until: Mono, leaving: &Leaving) -> Self {
        leaving.ask();
        Self {
            until,
            leaving: leaving.clone(),
        }
    }

    /// When to look again.
    pub(crate) fn look_at(&self) -> Mono {
        self.until
    }

    /// Whether nothing is left to wait for.
    pub(crate) fn is_over(&self, now: Mono, standing: Standing) -> bool {
        now >= self.until || self.leaving.is_done() && !standing.role.leads()
    }
}

async fn unmark(api: &Api) {
    let identity = &api.config.params.identity;
    let Some((key, _)) = api.config.mark.label(&identity.uid) else {
        return;
    };
    let patch = json!({"metadata": {"uid": identity.uid, "labels": {key: null}}});
    let path = api.pod_path(&identity.name);
    let body = Some((MERGE_PATCH, &patch));
    let sent = api.send("write_pod", Method::PATCH, &path, body);
    match timeout(Duration::from_millis(UNMARK_MS_MAX), sent).await {
        Ok(Ok(_)) => {}
        Ok(Err(failed)) => tracing::warn!(?failed, "the own label stays on"),
        Err(late) => tracing::warn!(error = %Causes(&late), "the own label stays on"),
    }
}
