//! Every version of every pod, Lease and Service of a namespace, in the order in which the API server
//! wrote them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, WatchEvent, WatchParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tests::clock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Pause before a watch that ended is opened again, milliseconds.
const REOPEN_MS: u64 = 50;
/// How long one watch lasts, seconds.
const WATCH_S: u32 = 290;

/// A kind of object that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Pod,
    Lease,
    Service,
}

/// One version of one object.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    /// resourceVersion, by which objects of all kinds are ordered.
    pub(crate) version: u64,
    /// When it was seen, milliseconds of the harness' clock.
    pub(crate) at_ms: u64,
    /// The object as it was; `None` if it is gone.
    pub(crate) object: Option<Value>,
}

/// What was seen, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entries(Vec<Entry>);

/// Watches a namespace until dropped.
pub(crate) struct Journal {
    entries: Arc<Mutex<Entries>>,
    news: watch::Receiver<u64>,
    _tasks: JoinSet<()>,
}

impl Journal {
    pub(crate) fn open(client: &Client, namespace: &str) -> Self {
        let entries = Arc::<Mutex<Entries>>::default();
        let (sender, news) = watch::channel(0);
        let sink = Sink {
            entries: entries.clone(),
            news: Arc::new(sender),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(
            Api::<Pod>::namespaced(client.clone(), namespace),
            Kind::Pod,
            sink.clone(),
        ));
        tasks.spawn(follow(
            Api::<Lease>::namespaced(client.clone(), namespace),
            Kind::Lease,
            sink.clone(),
        ));
        tasks.spawn(follow(
            Api::<Service>::namespaced(client.clone(), namespace),
            Kind::Service,
            sink,
        ));
        Self {
            entries,
            news,
            _tasks: tasks,
        }
    }

    /// What was seen so far, by version.
    pub(crate) fn entries(&self) -> Entries {
        let mut entries = self
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        entries.0.sort_by_key(|entry| entry.version);
        entries
    }

    /// Waits until `found` finds something, at most so long.
    pub(crate) async fn until<T>(
        &mut self,
        timeout_ms: u64,
        found: impl Fn(&Entries) -> Option<T>,
    ) -> Option<T> {
        let search = async {
            loop {
                // Marked as seen before the look, so that news after the look end the wait.
                self.news.borrow_and_update();
                let answer = found(&self.entries());
                if answer.is_some() || self.news.changed().await.is_err() {
                    return answer;
                }
            }
        };
        let search = timeout(Duration::from_millis(timeout_ms), search);
        search.await.ok().flatten()
    }
}

impl Entries {
    /// All of them.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.0.iter()
    }

    /// The objects of a kind that are there now.
    pub(crate) fn now(&self, kind: Kind) -> BTreeMap<&str, &Value> {
        self.at(kind, u64::MAX)
    }

    /// The objects of a kind that were there once `version` was written.
    pub(crate) fn at(&self, kind: Kind, version: u64) -> BTreeMap<&str, &Value> {
        let mut objects = BTreeMap::new();
        let entries = self.0.iter().filter(|entry| entry.kind == kind);
        for entry in entries.filter(|entry| entry.version <= version) {
            match &entry.object {
                Some(object) => objects.insert(entry.name.as_str(), object),
                None => objects.remove(entry.name.as_str()),
            };
        }
        objects
    }

    /// The first version of an object, after `version`, of which `is` holds.
    pub(crate) fn first(
        &self,
        (kind, name): (Kind, &str),
        after: u64,
        is: impl Fn(&Value) -> bool,
    ) -> Option<&Entry> {
        self.0.iter().find(|entry| {
            entry.kind == kind
                && entry.name == name
                && entry.version > after
                && entry.object.as_ref().is_some_and(&is)
        })
    }
}

#[derive(Clone)]
struct Sink {
    entries: Arc<Mutex<Entries>>,
    news: Arc<watch::Sender<u64>>,
}

impl Sink {
    fn push<K: Resource + Serialize>(&self, kind: Kind, object: &K, gone: bool) -> Option<String> {
        let text = object.resource_version()?;
        let entry = Entry {
            kind,
            name: object.name_any(),
            version: text.parse().ok()?,
            at_ms: clock::now_ms(),
            object: (!gone).then(|| serde_json::to_value(object).ok()).flatten(),
        };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.0.push(entry);
        drop(entries);
        self.news.send_modify(|count| *count += 1);
        Some(text)
    }
}

/// Watches, from the beginning, for ever; opened again where it ended.
async fn follow<K>(api: Api<K>, kind: Kind, sink: Sink)
where
    K: Resource + Clone + std::fmt::Debug + Serialize + DeserializeOwned + Send + 'static,
{
    let mut place = "0".to_owned();
    let params = WatchParams::default().timeout(WATCH_S);
    loop {
        if let Ok(events) = api.watch(&params, &place).await {
            let mut events = events.boxed();
            while let Ok(Some(event)) = events.try_next().await {
                let seen = match &event {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                        sink.push(kind, object, false)
                    }
                    WatchEvent::Deleted(object) => sink.push(kind, object, true),
                    WatchEvent::Bookmark(_) => None,
                    WatchEvent::Error(_) => break,
                };
                place = seen.unwrap_or(place);
            }
        }
        sleep(Duration::from_millis(REOPEN_MS)).await;
    }
}
