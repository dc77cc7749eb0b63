//! Following objects of the API server: one list, then a watch, for as long as the program runs.
//!
//! Failures are retried with a pause that grows and is bounded. A watch that has gone silent is
//! given up: the API server sends bookmarks about once a minute.

use crate::client::{ApiError, REQUEST_DEADLINE, within};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use kube::api::{ListParams, WatchParams};
use kube::core::{ObjectList, PartialObjectMeta, WatchEvent};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Objects of one page of a list. A whole one has up to about 1.5 MiB, and an answer is held twice while
/// it is read: at worst 75 MiB, of the 128 MiB that the chart gives.
const PAGE: u32 = 25;
/// After so long the API server ends a watch, and we open the next one, seconds.
const WATCH_S: u32 = 290;
/// A watch without any event is dead after this.
const SILENCE_MAX: Duration = Duration::from_secs(100);
/// Rounds begin at least this far apart.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Pause after many failures in a row.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is followed.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// For the log.
    pub what: &'static str,
    /// Selector of labels; none: all.
    pub labels: Option<String>,
    /// Selector of fields; none: all.
    pub fields: Option<String>,
}

impl Scope {
    /// One object by its name, in a form that RBAC's `resourceNames` understands.
    pub fn named(what: &'static str, name: &str) -> Self {
        Self {
            what,
            labels: None,
            fields: Some(format!("metadata.name={name}")),
        }
    }
}

/// What has been seen.
#[derive(Debug)]
pub enum Seen<T> {
    /// Everything there is; what is not among it does not exist.
    All(Vec<T>),
    /// One object is there, new or changed.
    Applied(T),
    /// One object is gone.
    Deleted(T),
}

/// Objects that can be listed and watched.
pub trait Feed: Sync {
    /// What an event carries.
    type Object: Clone + Send;

    /// One page.
    fn list(
        &self,
        params: &ListParams,
    ) -> impl Future<Output = kube::Result<ObjectList<Self::Object>>> + Send;

    /// Events after `version`.
    fn watch(
        &self,
        params: &WatchParams,
        version: &str,
    ) -> impl Future<Output = kube::Result<Events<Self::Object>>> + Send;

    /// The version of an object.
    fn version(object: &Self::Object) -> Option<String>;
}

/// The events of one watch.
pub type Events<T> = BoxStream<'static, kube::Result<WatchEvent<T>>>;

/// Whole objects.
#[derive(Debug)]
pub struct Whole<K>(pub Api<K>);

/// Their metadata only: a Service may be large, and only its annotations matter.
#[derive(Debug)]
pub struct MetadataOf<K>(pub Api<K>);

impl<K> Feed for Whole<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    type Object = K;

    async fn list(&self, params: &ListParams) -> kube::Result<ObjectList<K>> {
        self.0.list(params).await
    }

    async fn watch(&self, params: &WatchParams, version: &str) -> kube::Result<Events<K>> {
        Ok(self.0.watch(params, version).await?.boxed())
    }

    fn version(object: &K) -> Option<String> {
        object.meta().resource_version.clone()
    }
}

impl<K> Feed for MetadataOf<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    type Object = PartialObjectMeta<K>;

    async fn list(&self, params: &ListParams) -> kube::Result<ObjectList<Self::Object>> {
        self.0.list_metadata(params).await
    }

    async fn watch(
        &self,
        params: &WatchParams,
        version: &str,
    ) -> kube::Result<Events<Self::Object>> {
        Ok(self.0.watch_metadata(params, version).await?.boxed())
    }

    fn version(object: &Self::Object) -> Option<String> {
        object.metadata.resource_version.clone()
    }
}

/// Follows `feed` for ever. Of each object only what `pick` takes is kept and passed on.
pub async fn follow<F: Feed, T>(
    feed: F,
    scope: Scope,
    pick: impl Fn(F::Object) -> T,
    mut seen: impl FnMut(Seen<T>),
) -> Infallible {
    let mut version = None;
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let round = round(&feed, &scope, &pick, &mut version, &mut seen).await;
        failures = match round {
            Ok(()) => 0,
            Err(error) => {
                tracing::warn!(what = scope.what, %error, "a watch failed; it is opened again");
                // Mostly 410: the version is too old, and only a new list helps.
                if matches!(error, ApiError::Answer(kube::Error::Api(_))) {
                    version = None;
                }
                failures + 1
            }
        };
        sleep(pause(failures).saturating_sub(began.elapsed())).await;
    }
}

/// Time between the beginnings of two rounds.
fn pause(failures: u32) -> Duration {
    PAUSE_MIN
        .saturating_mul(1 << failures.min(8))
        .min(PAUSE_MAX)
}

/// Lists if nothing is known, then watches until the watch ends.
async fn round<F: Feed, T>(
    feed: &F,
    scope: &Scope,
    pick: &impl Fn(F::Object) -> T,
    version: &mut Option<String>,
    seen: &mut impl FnMut(Seen<T>),
) -> Result<(), ApiError> {
    let from = match version {
        Some(version) => version.clone(),
        None => {
            let (all, listed) = list(feed, scope, pick).await?;
            seen(Seen::All(all));
            version.insert(listed).clone()
        }
    };
    let params = WatchParams {
        label_selector: scope.labels.clone(),
        field_selector: scope.fields.clone(),
        timeout: Some(WATCH_S),
        bookmarks: true,
        send_initial_events: false,
    };
    let mut events = within(REQUEST_DEADLINE, feed.watch(&params, &from)).await?;
    loop {
        let event = timeout(SILENCE_MAX, events.next()).await;
        let event = event.map_err(|_| ApiError::Deadline(SILENCE_MAX))?;
        let Some(event) = event else { return Ok(()) };
        match event? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                *version = F::version(&object).or_else(|| version.take());
                seen(Seen::Applied(pick(object)));
            }
            WatchEvent::Deleted(object) => {
                *version = F::version(&object).or_else(|| version.take());
                seen(Seen::Deleted(pick(object)));
            }
            WatchEvent::Bookmark(bookmark) => *version = Some(bookmark.metadata.resource_version),
            WatchEvent::Error(status) => return Err(kube::Error::Api(status).into()),
        }
    }
}

/// All pages of a list, and its version.
async fn list<F: Feed, T>(
    feed: &F,
    scope: &Scope,
    pick: &impl Fn(F::Object) -> T,
) -> Result<(Vec<T>, String), ApiError> {
    let mut params = ListParams {
        label_selector: scope.labels.clone(),
        field_selector: scope.fields.clone(),
        limit: Some(PAGE),
        ..ListParams::default()
    };
    let mut all = Vec::new();
    loop {
        let page = within(REQUEST_DEADLINE, feed.list(&params)).await?;
        all.extend(page.items.into_iter().map(pick));
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok((all, page.metadata.resource_version.unwrap_or_default()));
        }
    }
}

/// One object, as a watch sees it.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Single<K> {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// It does not exist.
    Absent,
    /// This is its last state.
    Present(Box<K>),
}

/// Follows one object, and keeps its last state in `state`.
pub async fn follow_one<F: Feed>(
    feed: F,
    scope: Scope,
    state: tokio::sync::watch::Sender<Single<F::Object>>,
) -> Infallible {
    let present = |object| Single::Present(Box::new(object));
    let keep = |seen| {
        state.send_replace(match seen {
            Seen::All(all) => all.into_iter().next().map_or(Single::Absent, present),
            Seen::Applied(object) => present(object),
            Seen::Deleted(_) => Single::Absent,
        });
    };
    follow(feed, scope, |object| object, keep).await
}

#[cfg(test)]
mod tests;
