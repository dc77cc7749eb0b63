//! A switchover that is followed, on an API server whose leader does not answer.

use super::*;
use crate::exit;
use crate::tests::objects;
use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::{get, patch};
use kube::Client;
use serde_json::Value;
use std::sync::{Arc, Mutex};

type Lease = Arc<Mutex<Value>>;

/// One that keeps what is asked of the Lease.
fn cluster(lease: &Lease) -> Cluster {
    let list = |kind: &'static str| {
        let items = objects("settled").into_iter();
        let items: Vec<Value> = items.filter(|it| it["kind"] == kind).collect();
        get(async move || Json(json!({"metadata": {}, "items": items})))
    };
    let leases = get(async |State(lease): State<Lease>| {
        let lease = lease.lock().unwrap().clone();
        Json(json!({"metadata": {}, "items": [lease]}))
    });
    let ask = patch(async |State(lease): State<Lease>, body: String| {
        let asked: Value = serde_json::from_str(&body).unwrap();
        let mut lease = lease.lock().unwrap();
        let wish = &asked["metadata"]["annotations"][contract::SWITCHOVER];
        lease["metadata"]["annotations"][contract::SWITCHOVER] = wish.clone();
        Json(lease.clone())
    });
    let of_leases = "/apis/coordination.k8s.io/v1/namespaces/shop/leases";
    let router = Router::new()
        .route(of_leases, leases)
        .route(&format!("{of_leases}/web"), ask)
        .route("/api/v1/namespaces/shop/pods", list("Pod"))
        .route("/api/v1/namespaces/shop/services", list("Service"))
        .route("/api/v1/namespaces/shop/events", list("Event"))
        .with_state(lease.clone());
    Cluster::of(Client::new(router, "shop"))
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_hears_for_what_and_that_the_request_stands() {
    let mut object = objects("settled");
    object.retain(|it| it["kind"] == "Lease");
    let mut object = object.remove(0);
    object["spec"]["renewTime"] = json!(format!("{:.6}", Timestamp::now()));
    let lease = Lease::new(Mutex::new(object));
    let args = SwitchoverArgs {
        group: "web".to_owned(),
        to: Some("web-1".to_owned()),
        wait: true,
        timeout: Duration::from_secs(3),
    };
    let began = Instant::now();
    let failure = run(&cluster(&lease), &args).await.unwrap_err();
    assert_eq!(failure.exit_code(), exit::LATE);
    let told = "not done within 3 s: web-3 has not answered yet; the request stands, and \
                `kubectl active-passive status web` shows what became of it";
    assert_eq!(failure.to_string(), told);
    assert!(began.elapsed() < args.timeout + LOOK_EVERY * 2);
    let wish = lease.lock().unwrap()["metadata"]["annotations"][contract::SWITCHOVER].clone();
    assert_eq!(wish, "web-1");
}
