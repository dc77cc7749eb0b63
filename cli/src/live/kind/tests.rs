//! Kinds followed on an API server that can refuse watches, in time that passes by itself.

use crate::connect::Cluster;
use crate::live::{self, Snapshot};
use crate::tests::objects;
use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use kube::Client;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Longest time until something is seen.
const SEEN_MAX: Duration = Duration::from_secs(60);

/// What the API server has, and what it was asked.
#[derive(Default)]
struct Api {
    objects: Mutex<Vec<Value>>,
    may_watch: AtomicBool,
    lists: AtomicUsize,
    watches: AtomicUsize,
}

impl Api {
    /// Gives the Lease to another pod.
    fn move_to(&self, pod: &str, holder: &str) -> Value {
        let mut objects = self.objects.lock().unwrap();
        let lease = objects.iter_mut().find(|it| it["kind"] == "Lease").unwrap();
        lease["spec"]["holderIdentity"] = json!(format!("{pod}_{holder}"));
        lease.clone()
    }

    fn list(&self, kind: &str) -> Response {
        self.lists.fetch_add(1, Ordering::Relaxed);
        let objects = self.objects.lock().unwrap();
        let items: Vec<&Value> = objects.iter().filter(|it| it["kind"] == kind).collect();
        let version = json!({"resourceVersion": "7"});
        Json(json!({"metadata": version, "items": items})).into_response()
    }

    /// A watch on which the Lease moves once more, and nothing after that.
    fn watch(&self, kind: &str) -> Response {
        self.watches.fetch_add(1, Ordering::Relaxed);
        if !self.may_watch.load(Ordering::Relaxed) {
            let told = json!({"kind": "Status", "status": "Failure", "code": 403,
                              "message": "User \"jane\" cannot watch it"});
            return (StatusCode::FORBIDDEN, Json(told)).into_response();
        }
        let event = json!({"type": "MODIFIED", "object": self.move_to("web-2", "u-2")});
        let lines = match kind {
            "Lease" => vec![Ok::<_, Infallible>(format!("{event}\n"))],
            _ => Vec::new(),
        };
        let lines = stream::iter(lines).chain(stream::pending());
        Body::from_stream(lines).into_response()
    }
}

type Asked = (RawQuery, State<Arc<Api>>);

fn of(kind: &'static str, (RawQuery(query), State(api)): Asked) -> Response {
    match query.unwrap_or_default().contains("watch=true") {
        true => api.watch(kind),
        false => api.list(kind),
    }
}

fn cluster(api: &Arc<Api>) -> Arc<Cluster> {
    let leases = "/apis/coordination.k8s.io/v1/namespaces/shop/leases";
    let router = Router::new()
        .route(leases, get(async |query, api| of("Lease", (query, api))))
        .route(
            "/api/v1/namespaces/shop/pods",
            get(async |query, api| of("Pod", (query, api))),
        )
        .route(
            "/api/v1/namespaces/shop/services",
            get(async |query, api| of("Service", (query, api))),
        )
        .route("/version", get(async || Json(json!({}))))
        .with_state(api.clone());
    Arc::new(Cluster::of(Client::new(router, "shop")))
}

/// Waits for a snapshot.
async fn until(
    live: &mut watch::Receiver<Arc<Snapshot>>,
    fits: impl Fn(&Snapshot) -> bool,
) -> Arc<Snapshot> {
    let seen = timeout(SEEN_MAX, live.wait_for(|snapshot| fits(snapshot))).await;
    seen.expect("it is seen in time").unwrap().clone()
}

fn leader(snapshot: &Snapshot) -> Option<String> {
    snapshot.groups.first()?.group.leader()
}

#[tokio::test(start_paused = true)]
async fn where_watches_are_refused_lists_show_what_changes() {
    let api = Arc::new(Api::default());
    *api.objects.lock().unwrap() = objects("settled");
    let mut live = live::start(&cluster(&api), Some("shop"));
    let first = until(&mut live, |it| leader(it).as_deref() == Some("web-3")).await;
    assert_eq!(first.unseen, Vec::<String>::new());

    api.move_to("web-1", "u-1");
    let began = Instant::now();
    let moved = until(&mut live, |it| leader(it).as_deref() == Some("web-1")).await;
    let took = began.elapsed();
    assert!(
        took <= super::LIST_EVERY + Duration::from_secs(1),
        "{took:?}"
    );
    // Nothing is missing and nothing broken; of Leases it is known of when they are.
    assert_eq!((&moved.contact.lost, moved.unseen.len()), (&None, 0));
    assert!(moved.listed_at.is_some());

    // Of each kind one list every so often, and one question whether it may be watched by now.
    let asked = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let before = (asked(&api.lists), asked(&api.watches));
    sleep(super::LIST_EVERY * 10).await;
    let (lists, watches) = (asked(&api.lists) - before.0, asked(&api.watches) - before.1);
    assert!((27..=33).contains(&lists), "{lists} lists");
    assert!((27..=33).contains(&watches), "{watches} watches");

    // Once somebody grants the right, changes come by themselves.
    api.may_watch.store(true, Ordering::Relaxed);
    let granted = until(&mut live, |it| leader(it).as_deref() == Some("web-2")).await;
    assert_eq!(granted.listed_at, None);
    let lists = asked(&api.lists);
    sleep(super::LIST_EVERY * 10).await;
    assert_eq!(asked(&api.lists), lists);
}
