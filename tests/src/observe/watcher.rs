//! Fills a [`Timeline`] from the watches of a live API server.

use super::signs::{Routing, Signs};
use super::timeline::{Change, Event, Timeline};
use common::contract;
use futures_util::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Pause before a watch that broke is opened again.
const REOPEN_MS: u64 = 50;
/// How long one watch request lasts, seconds.
const WATCH_S: u32 = 290;

/// Watches Lease, pods and Services of one group until dropped.
#[derive(Debug)]
pub struct Watcher {
    timeline: Arc<Mutex<Timeline>>,
    news: watch::Receiver<u64>,
    _tasks: JoinSet<()>,
}

struct Sink {
    timeline: Arc<Mutex<Timeline>>,
    news: watch::Sender<u64>,
    clock: fn() -> u64,
    /// The Service, where it selects the label of the active pod.
    label_routed: Option<String>,
}

impl Watcher {
    /// Starts to watch `group` in `namespace`. `clock` gives the harness' milliseconds.
    pub fn start(
        client: &Client,
        namespace: &str,
        group: &str,
        signs: &Signs,
        clock: fn() -> u64,
    ) -> Self {
        let timeline = Arc::new(Mutex::new(Timeline::default()));
        let (sender, news) = watch::channel(0);
        let sink = Arc::new(Sink {
            timeline: Arc::clone(&timeline),
            news: sender,
            clock,
            label_routed: (signs.routing == Routing::Label).then(|| group.to_owned()),
        });
        let mut tasks = JoinSet::new();
        let pods = WatchParams::default().labels(&signs.pods);
        let leases = WatchParams::default().fields(&format!("metadata.name={group}"));
        let active = signs.active.clone();
        let of_pod = move |pod: &Pod, deleted| pod_changes(pod, deleted, active.as_ref());
        let api = |client: &Client| client.clone();
        tasks.spawn(follow(
            Api::<Pod>::namespaced(api(client), namespace),
            pods,
            Arc::clone(&sink),
            of_pod,
        ));
        if signs.routing == Routing::Selector {
            tasks.spawn(follow(
                Api::<Service>::namespaced(api(client), namespace),
                WatchParams::default(),
                Arc::clone(&sink),
                service_changes,
            ));
        }
        tasks.spawn(follow(
            Api::<Lease>::namespaced(api(client), namespace),
            leases,
            sink,
            lease_changes,
        ));
        Self {
            timeline,
            news,
            _tasks: tasks,
        }
    }

    /// What was seen so far.
    pub fn timeline(&self) -> Timeline {
        self.timeline
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until `found` finds something in the timeline, at most `timeout_ms`.
    pub async fn until<T>(
        &mut self,
        timeout_ms: u64,
        found: impl Fn(&Timeline) -> Option<T>,
    ) -> Option<T> {
        let search = async {
            loop {
                // Marked as seen before the look, so that news after the look end the wait.
                self.news.borrow_and_update();
                let answer = found(&self.timeline.lock().unwrap_or_else(PoisonError::into_inner));
                if answer.is_some() || self.news.changed().await.is_err() {
                    return answer;
                }
            }
        };
        tokio::time::timeout(Duration::from_millis(timeout_ms), search)
            .await
            .ok()
            .flatten()
    }
}

impl Sink {
    fn push(&self, version: u64, changes: Vec<Change>) {
        let at_ms = (self.clock)();
        let mut timeline = self.timeline.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            timeline.push(Event {
                at_ms,
                version,
                change,
            });
        }
        if let Some(change) = self.label_routed.as_deref().and_then(|service| {
            let uid = label_route(&timeline, service)?;
            Some(route(service, uid))
        }) {
            timeline.push(Event {
                at_ms,
                version,
                change,
            });
        }
        drop(timeline);
        self.news.send_modify(|count| *count += 1);
    }
}

/// Where a Service that selects the label of the active pod leads now, if that has changed: the pod
/// that was labelled last counts.
fn label_route(timeline: &Timeline, service: &str) -> Option<Option<String>> {
    let labelled = timeline.labelled();
    let before = timeline.routed(service);
    let newest = labelled
        .iter()
        .max_by_key(|uid| timeline.role(uid).map(|(_, since_ms)| since_ms))
        .copied();
    (before != newest).then(|| newest.map(str::to_owned))
}

fn route(service: &str, uid: Option<String>) -> Change {
    Change::Route {
        service: service.to_owned(),
        uid,
    }
}

/// Lists, then watches, for ever; opened again where it breaks.
async fn follow<K>(
    api: Api<K>,
    params: WatchParams,
    sink: Arc<Sink>,
    changes: impl Fn(&K, bool) -> Vec<Change>,
) where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let params = params.timeout(WATCH_S);
    let list = ListParams {
        label_selector: params.label_selector.clone(),
        field_selector: params.field_selector.clone(),
        ..ListParams::default()
    };
    loop {
        if let Ok(listed) = api.list(&list).await {
            for object in &listed.items {
                sink.push(version(object), changes(object, false));
            }
            let mut from = listed.metadata.resource_version.unwrap_or_default();
            while let Ok(stream) = api.watch(&params, &from).await {
                match drain(stream.boxed(), &sink, &changes).await {
                    Some(last) => from = last,
                    None => break,
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(REOPEN_MS)).await;
    }
}

/// Reads one watch to its end. Returns where to go on; `None`: list anew.
async fn drain<K>(
    mut stream: impl Stream<Item = kube::Result<WatchEvent<K>>> + Unpin,
    sink: &Sink,
    changes: &impl Fn(&K, bool) -> Vec<Change>,
) -> Option<String>
where
    K: Resource + Clone,
{
    let mut last = None;
    while let Ok(Some(event)) = stream.try_next().await {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                last = object.resource_version();
                sink.push(version(&object), changes(&object, false));
            }
            WatchEvent::Deleted(object) => {
                last = object.resource_version();
                sink.push(version(&object), changes(&object, true));
            }
            WatchEvent::Bookmark(mark) => last = Some(mark.metadata.resource_version),
            WatchEvent::Error(_) => return None,
        }
    }
    last
}

fn version(object: &impl Resource) -> u64 {
    object
        .meta()
        .resource_version
        .as_deref()
        .and_then(|v| v.parse().ok())
        .unwrap_or(0)
}

fn pod_changes(pod: &Pod, deleted: bool, active: Option<&(String, String)>) -> Vec<Change> {
    let uid = pod.uid().unwrap_or_default();
    if deleted {
        return vec![Change::Gone { uid }];
    }
    let annotation = |key: &str| pod.annotations().get(key).cloned();
    let (key, value) = active.cloned().unwrap_or_else(|| {
        (
            annotation(contract::ROLE_LABEL).unwrap_or_else(|| contract::ROLE.to_owned()),
            annotation(contract::ACTIVE_VALUE)
                .unwrap_or_else(|| contract::default::ACTIVE_VALUE.to_owned()),
        )
    });
    let active = pod.labels().get(&key) == Some(&value);
    let mut changes = vec![
        Change::Label {
            uid: uid.clone(),
            pod: pod.name_any(),
            active,
        },
        Change::Ready {
            uid: uid.clone(),
            ready: is_ready(pod),
        },
    ];
    if pod.metadata.deletion_timestamp.is_some() {
        changes.push(Change::Terminating { uid });
    }
    changes
}

/// Whether the pod's Ready condition is true.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|c| c.type_ == "Ready" && c.status == "True"))
}

fn service_changes(service: &Service, deleted: bool) -> Vec<Change> {
    let selector = service
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.as_ref());
    let selected = selector.and_then(|selector| selector.get(contract::POD).cloned());
    let uid = selected.filter(|uid| !deleted && uid != contract::NO_POD);
    vec![route(&service.name_any(), uid)]
}

fn lease_changes(lease: &Lease, deleted: bool) -> Vec<Change> {
    let spec = lease.spec.as_ref().filter(|_| !deleted);
    let holder = spec
        .and_then(|spec| spec.holder_identity.clone())
        .filter(|h| !h.is_empty());
    let term = spec.and_then(|spec| spec.lease_transitions).unwrap_or(0);
    vec![Change::Holder {
        holder,
        term: u64::try_from(term).unwrap_or(0),
    }]
}
