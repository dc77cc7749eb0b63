//! Follows one kind of object: a list, then a watch from there, resumed where it ended.

use super::Key;
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::gather::{Listed, list_all};
use crate::lease::Lease;
use common::contract;
use common::objects::Meta;
use common::pod::Pod;
use common::service::Service;
use futures_util::StreamExt;
use kube::core::WatchEvent;
use serde::de::DeserializeOwned;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// How long the API server keeps a watch open, seconds.
const WATCH_S: u64 = 270;
/// A watch without an event and without a bookmark, which comes about once a minute, is taken for
/// dead after this time.
const SILENCE_MAX: Duration = Duration::from_secs(100);
/// First and longest wait after a failure.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(3);
/// Wait before a list that was refused is tried again: somebody may have granted the right.
const FORBIDDEN_WAIT: Duration = Duration::from_secs(30);
/// Time between two lists where there is a right to list and none to watch.
const LIST_EVERY: Duration = Duration::from_secs(5);
/// What the API server answers once it has forgotten a version.
const GONE: u16 = 410;

/// Where news come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Leases,
    Pods,
    Services,
    /// Whether the API server answers at all.
    Pulse,
}

/// What was seen.
#[derive(Debug)]
pub(crate) enum News {
    /// All objects of a kind.
    Listed(Source, Vec<Object>),
    /// An object is new, or another than before.
    Changed(Box<Object>),
    Deleted(Source, Key),
    /// A kind may not be listed.
    Refused(Source, String),
    /// A kind was listed, and may not be watched: what changes is seen with the next list.
    Unwatched(Source),
    /// A source answers.
    Heard(Source),
    /// A source does not answer.
    Lost(Source, String),
}

/// An object of one of the kinds.
#[derive(Debug)]
pub(crate) enum Object {
    Lease(Lease),
    Pod(Pod),
    Service(Service),
}

/// A kind of object that is followed.
pub(crate) trait Followed: DeserializeOwned + Clone + Send + Sync + 'static {
    const SOURCE: Source;
    /// Completes "you may not ".
    const WHAT: &'static str;
    const GROUP: &'static str;
    const PLURAL: &'static str;

    /// A part of the query that begins with `&`, or nothing.
    fn selector() -> String {
        String::new()
    }

    fn meta(&self) -> &Meta;

    fn object(self) -> Object;
}

impl Followed for Lease {
    const SOURCE: Source = Source::Leases;
    const WHAT: &'static str = "list leases";
    const GROUP: &'static str = "/apis/coordination.k8s.io/v1";
    const PLURAL: &'static str = "leases";

    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn object(self) -> Object {
        Object::Lease(self)
    }
}

impl Followed for Pod {
    const SOURCE: Source = Source::Pods;
    const WHAT: &'static str = "list pods";
    const GROUP: &'static str = "/api/v1";
    const PLURAL: &'static str = "pods";

    fn selector() -> String {
        format!("&labelSelector={}", contract::GROUP.replace('/', "%2F"))
    }

    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn object(self) -> Object {
        Object::Pod(self)
    }
}

impl Followed for Service {
    const SOURCE: Source = Source::Services;
    const WHAT: &'static str = "list services";
    const GROUP: &'static str = "/api/v1";
    const PLURAL: &'static str = "services";

    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn object(self) -> Object {
        Object::Service(self)
    }
}

/// Why a round ended.
enum Ended {
    /// Nobody takes the news.
    Unheard,
    /// As watches end.
    Over,
    /// The place is forgotten: list again.
    Expired,
    /// There is no right to list.
    Refused(String),
    /// There is no right to watch.
    Unwatched,
    Failed(String),
}

/// Follows a kind until nobody takes the news. `called` says that the API server is back.
pub(crate) async fn follow<K: Followed>(
    cluster: Arc<Cluster>,
    namespace: Option<String>,
    news: mpsc::Sender<News>,
    mut called: watch::Receiver<()>,
) {
    let place = namespace.map_or_else(String::new, |name| format!("/namespaces/{name}"));
    let path = format!("{}{place}/{}", K::GROUP, K::PLURAL);
    let mut version = None;
    let mut retry = RETRY;
    loop {
        called.mark_unchanged();
        let round = round::<K>(&cluster, &path, &mut version, &news);
        let ended = tokio::select! {
            ended = round => ended,
            // What hangs on a connection of before would not notice for long.
            _ = called.changed() => Ended::Over,
        };
        let wait = match ended {
            Ended::Unheard => return,
            Ended::Over => {
                retry = RETRY;
                RETRY
            }
            Ended::Expired => {
                version = None;
                retry
            }
            Ended::Unwatched => {
                version = None;
                if news.send(News::Unwatched(K::SOURCE)).await.is_err() {
                    return;
                }
                LIST_EVERY
            }
            Ended::Refused(why) => {
                version = None;
                if news.send(News::Refused(K::SOURCE, why)).await.is_err() {
                    return;
                }
                FORBIDDEN_WAIT
            }
            Ended::Failed(why) => {
                if news.send(News::Lost(K::SOURCE, why)).await.is_err() {
                    return;
                }
                let wait = retry;
                retry = (retry * 2).min(RETRY_MAX);
                wait
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            _ = called.changed() => {}
            () = news.closed() => return,
        }
    }
}

/// One list, if there is no place to go on from, and one watch.
async fn round<K: Followed>(
    cluster: &Cluster,
    path: &str,
    version: &mut Option<String>,
    news: &mpsc::Sender<News>,
) -> Ended {
    let from = match version.clone() {
        Some(from) => from,
        None => match list::<K>(cluster, path, news).await {
            Ok(from) => version.insert(from).clone(),
            Err(ended) => return ended,
        },
    };
    let url = format!(
        "{path}?watch=true&allowWatchBookmarks=true&resourceVersion={from}\
         &timeoutSeconds={WATCH_S}{}",
        K::selector()
    );
    let events = match cluster.events::<K>(K::WHAT, &url).await {
        Ok(events) => events,
        Err(Failure::Forbidden { .. }) => return Ended::Unwatched,
        Err(Failure::Api { source, .. }) if is_gone(&source) => return Ended::Expired,
        Err(failure) => return Ended::Failed(failure.to_string()),
    };
    if news.send(News::Heard(K::SOURCE)).await.is_err() {
        return Ended::Unheard;
    }
    let mut events = pin!(events);
    loop {
        let event = match timeout(SILENCE_MAX, events.next()).await {
            Ok(Some(Ok(event))) => event,
            // Whether it is more than an end shows when it is begun anew.
            Ok(Some(Err(_)) | None) | Err(_) => return Ended::Over,
        };
        let (told, place) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let place = object.meta().resource_version.clone();
                (News::Changed(Box::new(object.object())), place)
            }
            WatchEvent::Deleted(object) => {
                let meta = object.meta();
                let place = meta.resource_version.clone();
                (News::Deleted(K::SOURCE, key(meta)), place)
            }
            WatchEvent::Bookmark(mark) => (News::Heard(K::SOURCE), mark.metadata.resource_version),
            WatchEvent::Error(_) => return Ended::Expired,
        };
        if news.send(told).await.is_err() {
            return Ended::Unheard;
        }
        *version = Some(place);
    }
}

/// Lists a kind and returns the version from which a watch goes on.
async fn list<K: Followed>(
    cluster: &Cluster,
    path: &str,
    news: &mpsc::Sender<News>,
) -> Result<String, Ended> {
    let listed = list_all::<K>(cluster, K::WHAT, path, &K::selector()).await;
    let Listed { objects, version } = match listed {
        Ok(listed) => listed,
        Err(Failure::Forbidden { what, message }) => {
            return Err(Ended::Refused(format!("you may not {what}: {message}")));
        }
        Err(failure) => return Err(Ended::Failed(failure.to_string())),
    };
    let objects = objects.into_iter().map(Followed::object).collect();
    let listed = News::Listed(K::SOURCE, objects);
    news.send(listed).await.map_err(|_| Ended::Unheard)?;
    Ok(version)
}

/// What an object is kept under.
pub(super) fn key(meta: &Meta) -> Key {
    (meta.namespace.clone(), meta.name.clone())
}

fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == GONE)
}

#[cfg(test)]
mod tests;
