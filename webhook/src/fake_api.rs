//! An API server for tests: objects by path, versions, conflicts, lists and watches. As strict as
//! the real one where this crate could get it wrong, and no richer than it needs.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use kube::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::broadcast;

/// The server; clones are the same one.
#[derive(Clone)]
pub(crate) struct FakeApi {
    store: Arc<Mutex<Store>>,
    live: broadcast::Sender<Event>,
}

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Value>,
    log: Vec<Event>,
    requests: Vec<String>,
    hangs: Option<String>,
    refuses: Option<(String, Value)>,
    /// Verbs and resources.
    denied: Vec<(String, String)>,
}

/// Counts requests.
#[derive(Default)]
pub(crate) struct Counts {
    all: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Counts {
    /// All so far.
    pub(crate) fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// Most at once.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Event {
    version: usize,
    collection: String,
    line: Value,
}

impl FakeApi {
    /// An empty server.
    pub(crate) fn new() -> Self {
        Self {
            store: Arc::default(),
            live: broadcast::channel(1024).0,
        }
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.router(), "default")
    }

    /// A client of it whose requests take a moment and are counted.
    pub(crate) fn counted(&self) -> (Client, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        let counting = counts.clone();
        let count = from_fn(move |request: Request, next: Next| {
            let counts = counting.clone();
            async move {
                counts.all.fetch_add(1, Ordering::Relaxed);
                let now = counts.now.fetch_add(1, Ordering::Relaxed) + 1;
                counts.most.fetch_max(now, Ordering::Relaxed);
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                let response = next.run(request).await;
                counts.now.fetch_sub(1, Ordering::Relaxed);
                response
            }
        });
        (Client::new(self.router().layer(count), "default"), counts)
    }

    /// What answers.
    pub(crate) fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    /// What is at a path.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.lock().objects.get(path).cloned()
    }

    /// Puts an object at a path, as somebody else would.
    pub(crate) fn put(&self, path: &str, object: Value) {
        let kind = if self.get(path).is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        self.write(path, object, kind);
    }

    /// Takes an object away.
    pub(crate) fn delete(&self, path: &str) {
        let object = self.lock().objects.get(path).cloned().unwrap();
        self.write(path, object, "DELETED");
    }

    /// Requests so far, as `METHOD path`, less lists and watches.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    /// From now on, requests whose `METHOD path` begins with this are never answered.
    pub(crate) fn hang(&self, request: &str) {
        self.lock().hangs = Some(request.to_owned());
    }

    /// From now on, requests whose `METHOD path` begins with this get this Status.
    pub(crate) fn refuse(&self, request: &str, status: Value) {
        self.lock().refuses = Some((request.to_owned(), status));
    }

    /// Nothing is refused any more.
    pub(crate) fn refuse_nothing(&self) {
        self.lock().refuses = None;
    }

    /// From now on the client has no right to do this.
    pub(crate) fn deny(&self, verb: &str, resource: &str) {
        let denied = (verb.to_owned(), resource.to_owned());
        self.lock().denied.push(denied);
    }

    /// The client has every right again.
    pub(crate) fn deny_nothing(&self) {
        self.lock().denied.clear();
    }

    /// Waits until an object is at this path and `holds`; fails after a minute.
    pub(crate) async fn wait_for(&self, path: &str, holds: impl Fn(Option<&Value>) -> bool) {
        let mut live = self.live.subscribe();
        let found = tokio::time::timeout(std::time::Duration::from_secs(60), async {
            while !holds(self.get(path).as_ref()) {
                live.recv().await.unwrap();
            }
        });
        assert!(found.await.is_ok(), "{path} is {:?}", self.get(path));
    }

    fn write(&self, path: &str, mut object: Value, kind: &str) {
        let mut store = self.lock();
        let version = store.log.len() + 1;
        let (collection, namespace, name) = split(path);
        object["metadata"]["name"] = json!(name);
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = json!(namespace);
        }
        let line = json!({"type": kind, "object": object});
        if kind == "DELETED" {
            store.objects.remove(path);
        } else {
            store.objects.insert(path.to_owned(), object);
        }
        let event = Event {
            version,
            collection,
            line,
        };
        store.log.push(event.clone());
        drop(store);
        // Nobody may be watching.
        self.live.send(event).ok();
    }

    fn list(&self, collection: &str, query: &str) -> Response {
        let store = self.lock();
        let of = |(path, _): &(&String, &Value)| split(path).0 == collection;
        let objects = store.objects.iter().filter(of).map(|(_, object)| object);
        let mut items: Vec<&Value> = objects.filter(|object| selected(object, query)).collect();
        let number = |key| parameter(query, key).map(|value| value.parse::<usize>().unwrap());
        let start = number("continue").unwrap_or(0);
        let end = number("limit").map_or(items.len(), |limit| items.len().min(start + limit));
        let next = (end < items.len()).then(|| end.to_string());
        items = items[start..end].to_vec();
        let version = store.log.len().to_string();
        axum::Json(json!({
            "kind": "List", "apiVersion": "v1",
            "metadata": {"resourceVersion": version, "continue": next}, "items": items,
        }))
        .into_response()
    }

    fn watch(&self, collection: &str, query: &str) -> Response {
        let after: usize = parameter(query, "resourceVersion")
            .unwrap()
            .parse()
            .unwrap();
        let live = self.live.subscribe();
        let past = self.lock().log.clone();
        let seen = past.len();
        let live = stream::unfold(live, async |mut live| Some((live.recv().await.ok()?, live)));
        let (collection, query) = (collection.to_owned(), query.to_owned());
        let events = stream::iter(past)
            .chain(live.filter(move |event| std::future::ready(event.version > seen)))
            .filter(move |event| {
                let new = event.version > after && event.collection == collection;
                std::future::ready(new && selected(&event.line["object"], &query))
            })
            .map(|event| Ok::<_, Infallible>(Bytes::from(format!("{}\n", event.line))));
        Response::new(Body::from_stream(events))
    }

    fn review_access(&self, mut review: Value) -> Response {
        let asked = &review["spec"]["resourceAttributes"];
        let denied = |(verb, resource): &(String, String)| {
            asked["verb"] == json!(verb) && asked["resource"] == json!(resource)
        };
        let allowed = !self.lock().denied.iter().any(denied);
        review["status"] = json!({"allowed": allowed});
        axum::Json(review).into_response()
    }

    fn create(&self, collection_path: &str, object: Value) -> Response {
        if collection_path.ends_with("/selfsubjectaccessreviews") {
            return self.review_access(object);
        }
        let path = format!(
            "{collection_path}/{}",
            object["metadata"]["name"].as_str().unwrap()
        );
        if self.get(&path).is_some() {
            return status(409, "AlreadyExists");
        }
        self.write(&path, object, "ADDED");
        axum::Json(self.get(&path)).into_response()
    }

    fn change(&self, path: &str, method: &Method, sent: Value) -> Response {
        let Some(mut object) = self.get(path) else {
            return status(404, "NotFound");
        };
        if method == Method::PUT {
            if sent["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
                return status(409, "Conflict");
            }
            object = sent;
        } else {
            let patch: json_patch::Patch = serde_json::from_value(sent).unwrap();
            if json_patch::patch(&mut object, &patch).is_err() {
                return status(422, "Invalid");
            }
        }
        self.write(path, object, "MODIFIED");
        axum::Json(self.get(path)).into_response()
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }
}

async fn answer(State(api): State<FakeApi>, method: Method, uri: Uri, body: Bytes) -> Response {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let (collection, _, name) = split(path);
    if method == Method::GET && name.is_empty() {
        return match parameter(query, "watch") {
            Some(_) => api.watch(&collection, query),
            None => api.list(&collection, query),
        };
    }
    let request = format!("{method} {path}");
    let (hangs, refuses) = {
        let mut store = api.lock();
        store.requests.push(request.clone());
        (store.hangs.clone(), store.refuses.clone())
    };
    if hangs.is_some_and(|prefix| request.starts_with(&prefix)) {
        std::future::pending::<()>().await;
    }
    if let Some((_, answer)) = refuses.filter(|(prefix, _)| request.starts_with(prefix)) {
        let code = u16::try_from(answer["code"].as_u64().unwrap()).unwrap();
        return (StatusCode::from_u16(code).unwrap(), axum::Json(answer)).into_response();
    }
    let sent = || serde_json::from_slice(&body).unwrap();
    match method {
        Method::GET => api.get(path).map_or_else(
            || status(404, "NotFound"),
            |object| axum::Json(object).into_response(),
        ),
        Method::POST => api.create(path, sent()),
        method => api.change(path, &method, sent()),
    }
}

/// A failure as the API server words it.
pub(crate) fn failure(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": reason, "reason": reason, "code": code,
    })
}

fn status(code: u16, reason: &str) -> Response {
    (
        StatusCode::from_u16(code).unwrap(),
        axum::Json(failure(code, reason)),
    )
        .into_response()
}

/// A path as its collection without namespace, the namespace, and the name, which may be empty.
fn split(path: &str) -> (String, Option<String>, String) {
    let mut steps: Vec<&str> = path.trim_matches('/').split('/').collect();
    let head = if steps[0] == "api" { 2 } else { 3 };
    let mut namespace = None;
    if steps.get(head) == Some(&"namespaces") && steps.len() > head + 2 {
        namespace = Some(steps[head + 1].to_owned());
        steps.drain(head..head + 2);
    }
    let name = steps.get(head + 1).copied().unwrap_or_default().to_owned();
    (steps[..=head].join("/"), namespace, name)
}

fn parameter(query: &str, key: &str) -> Option<String> {
    let pair = query
        .split('&')
        .find_map(|pair| pair.strip_prefix(&format!("{key}=")))?;
    Some(pair.replace("%2F", "/").replace("%3D", "="))
}

/// Selectors of one equation each.
fn selected(object: &Value, query: &str) -> bool {
    let equation = |key| {
        let selector = parameter(query, key)?;
        let (left, right) = selector.split_once('=')?;
        Some((left.to_owned(), right.to_owned()))
    };
    let label = equation("labelSelector")
        .is_none_or(|(key, value)| object["metadata"]["labels"][key] == json!(value));
    let field =
        equation("fieldSelector").is_none_or(|(_, name)| object["metadata"]["name"] == json!(name));
    label && field
}
