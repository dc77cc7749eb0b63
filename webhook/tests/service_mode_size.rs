//! Service mode in a large cluster: the program itself, beside an API server that holds 10,000 pods
//! and 1,000 Services. What it costs to begin with, and at rest.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "program/resident.rs"]
mod resident;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use common::contract;
use futures_util::stream;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::time::sleep;

const NAMESPACES: usize = 50;
/// Of each namespace.
const SERVICES: usize = 20;
/// Of each Service.
const PODS: usize = 10;
/// Memory of its own that the program may have, kB. The code of a debug build is not counted; that of
/// a release build is less than 8 MB.
const ANONYMOUS_KB_MAX: u64 = 32_000;
/// How long a debug build may take to begin with, on a machine that does much else.
const BEGINS: Duration = Duration::from_secs(120);
/// How long it is watched at rest.
const REST: Duration = Duration::from_secs(3);
/// CPU time that it may take in that time, milliseconds: its Lease.
const REST_CPU_MS_MAX: u64 = 100;
/// The kernel counts CPU time in hundredths of a second.
const TICK_MS: u64 = 10;

#[derive(Default)]
struct Store {
    version: u64,
    objects: BTreeMap<String, Value>,
    /// Requests that were answered, less those for the Lease and Events.
    requests: usize,
}

type Shared = Arc<Mutex<Store>>;

fn lock(store: &Shared) -> MutexGuard<'_, Store> {
    store.lock().unwrap()
}

/// A pod as a Deployment makes it, with what kubelet and managers write into it.
fn pod(namespace: usize, service: usize, index: usize) -> Value {
    let name = format!("checkout-{service}-5d8c7b9f6d-{index:05}");
    let env: Vec<Value> = (0..20)
        .map(|index| json!({"name": format!("SETTING_{index}"), "value": "a value of some length"}))
        .collect();
    let condition = |kind: &str| {
        let since = "2026-11-21T20:00:00Z";
        json!({"type": kind, "status": "True", "lastTransitionTime": since})
    };
    let conditions = ["Ready", "ContainersReady", "Initialized", "PodScheduled"].map(condition);
    let fields: Value = (0..40)
        .map(|index| (format!("f:field-{index}"), json!({})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({
        "metadata": {
            "name": name,
            "namespace": format!("team-{namespace}"),
            "uid": format!("7d3f1c52-9b1e-4a57-{namespace:04}-{service:04}{index:08}"),
            "creationTimestamp": "2026-11-21T20:00:00Z",
            "labels": {
                "app": format!("checkout-{service}"),
                "app.kubernetes.io/name": "checkout",
                "app.kubernetes.io/instance": format!("checkout-{service}"),
                "team": format!("team-{namespace}"),
                "pod-template-hash": "5d8c7b9f6d",
            },
            "annotations": {"example.com/checksum": "0123456789abcdef0123456789abcdef"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "checkout-5d8c7b9f6d", "controller": true}],
            "managedFields": [{"manager": "kubelet", "fieldsV1": fields}],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "env": env}]},
        "status": {
            "phase": "Running",
            "conditions": conditions,
            "containerStatuses": [{"name": "app", "ready": true, "image": "example.com/checkout:1"}],
        },
    })
}

fn service(namespace: usize, service: usize) -> Value {
    json!({
        "metadata": {
            "name": format!("checkout-{service}"),
            "namespace": format!("team-{namespace}"),
            "uid": format!("3b1e7d3f-9b1e-4a57-{namespace:04}-{service:012}"),
            "creationTimestamp": "2026-11-21T19:00:00Z",
            "annotations": {contract::MODE: "active-passive"},
        },
        "spec": {"selector": {"app": format!("checkout-{service}")}, "ports": [{"port": 80}]},
    })
}

/// What Service mode would have written before.
fn settle(pods: &mut [Value], service: &mut Value) {
    for pod in &mut *pods {
        let metadata = &mut pod["metadata"];
        metadata["labels"][contract::POD] = metadata["uid"].clone();
        metadata["annotations"][contract::MODE] = json!("active-passive");
    }
    let metadata = &mut pods[0]["metadata"];
    metadata["labels"][contract::ROLE] = json!("active");
    service["metadata"]["annotations"][contract::ACTIVE] = metadata["uid"].clone();
    service["spec"]["selector"][contract::POD] = metadata["uid"].clone();
}

impl Store {
    /// Only the first namespace is new to Service mode.
    fn full() -> Self {
        let mut store = Self::default();
        for namespace in 0..NAMESPACES {
            for index in 0..SERVICES {
                let mut pods: Vec<_> = (0..PODS).map(|it| pod(namespace, index, it)).collect();
                let mut service = service(namespace, index);
                if namespace > 0 {
                    settle(&mut pods, &mut service);
                }
                for pod in pods {
                    store.put("pods", pod);
                }
                store.put("services", service);
            }
        }
        store
    }

    fn put(&mut self, kind: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let part = |key: &str| object["metadata"][key].as_str().unwrap().to_owned();
        let path = format!("{kind}/{}/{}", part("namespace"), part("name"));
        self.objects.insert(path, object.clone());
        object
    }

    fn page(&self, kind: &str, query: &str) -> Value {
        let start = query.split("continue=").nth(1);
        let start: usize = start.map_or(0, |rest| rest.split('&').next().unwrap().parse().unwrap());
        let prefix = format!("{kind}/");
        let all = self
            .objects
            .iter()
            .filter(|(path, _)| path.starts_with(&prefix));
        let items: Vec<&Value> = all
            .skip(start)
            .take(500)
            .map(|(_, object)| object)
            .collect();
        let next = if items.len() == 500 {
            (start + 500).to_string()
        } else {
            String::new()
        };
        let metadata = json!({"resourceVersion": self.version.to_string(), "continue": next});
        json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items})
    }

    /// A merge patch of an object in this version; the selector follows from the annotation.
    fn patch(&mut self, path: &str, patch: &Value) -> Option<Value> {
        let mut object = self.objects.get(path)?.clone();
        let wanted = patch.pointer("/metadata/resourceVersion")?;
        if object.pointer("/metadata/resourceVersion") != Some(wanted) {
            return None;
        }
        json_patch::merge(&mut object, patch);
        let active = object["metadata"]["annotations"]
            .get(contract::ACTIVE)
            .cloned();
        let (kind, _) = path.split_once('/')?;
        if let Some(active) = active.filter(|_| kind == "services") {
            object["spec"]["selector"][contract::POD] = active;
        }
        Some(self.put(kind, object))
    }

    /// Services that point at a pod which carries the labels of the designated one.
    fn designated(&self) -> usize {
        let all = self.objects.iter();
        let services = all.filter(|(path, _)| path.starts_with("services/"));
        services
            .filter(|(_, it)| it["spec"]["selector"].get(contract::POD).is_some())
            .count()
    }
}

async fn answer(State(store): State<Shared>, method: Method, uri: Uri, body: Bytes) -> Response {
    let query = uri.query().unwrap_or_default();
    if query.contains("watch=true") {
        // Nothing happens that the answers to writes have not told.
        return Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())
            .into_response();
    }
    let mut store = lock(&store);
    let path = uri.path();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (&method, parts.as_slice()) {
        (&Method::GET, ["api", "v1", kind]) => {
            store.requests += 1;
            axum::Json(store.page(kind, query)).into_response()
        }
        (&Method::PATCH, ["api", "v1", "namespaces", namespace, kind, name, ..]) => {
            store.requests += 1;
            let patch = serde_json::from_slice(&body).unwrap();
            match store.patch(&format!("{kind}/{namespace}/{name}"), &patch) {
                Some(object) => axum::Json(object).into_response(),
                None => StatusCode::CONFLICT.into_response(),
            }
        }
        (&Method::GET, [.., "leases"]) => axum::Json(store.page("leases", query)).into_response(),
        (&Method::POST | &Method::PUT, [.., "leases"] | [.., "leases", _]) => {
            let mut lease: Value = serde_json::from_slice(&body).unwrap();
            lease["metadata"]["namespace"] = json!("system");
            axum::Json(store.put("leases", lease)).into_response()
        }
        _ => (StatusCode::CREATED, axum::Json(json!({"metadata": {}}))).into_response(),
    }
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).unwrap();
    }
}

impl Program {
    fn start(server: &str) -> Self {
        let kubeconfig = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("service-mode");
        let content = json!({
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        });
        std::fs::write(&kubeconfig, content.to_string()).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_active-passive-webhook"))
            .env("KUBECONFIG", &kubeconfig)
            .arg("service-mode")
            .args([
                "--namespace",
                "system",
                "--pod-name",
                "one",
                "--pod-uid",
                "uid-one",
            ])
            .args(["--admin-listen", "127.0.0.1:0"])
            .stdout(std::process::Stdio::null())
            .spawn();
        Self(process.unwrap())
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap()
    }

    fn anonymous_kb(&self) -> u64 {
        resident::anonymous_kb(self.0.id())
    }

    /// User and system time so far, milliseconds.
    fn cpu_ms(&self) -> u64 {
        let stat = self.read("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks = |index: usize| fields[index].parse::<u64>().unwrap();
        (ticks(11) + ticks(12)) * TICK_MS
    }
}

#[tokio::test]
async fn ten_thousand_pods_and_a_thousand_services_fit_and_cost_nothing_at_rest() {
    let store: Shared = Arc::new(Mutex::new(Store::full()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(store.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let began = Instant::now();
    let program = Program::start(&server);
    let all = NAMESPACES * SERVICES;
    // Of those that are new, every pod is prepared, every designated one labelled in the same write, every Service pointed.
    let writes = SERVICES * PODS + SERVICES;
    let lists = all * PODS / 500 + 1 + all / 500 + 1;
    while lock(&store).requests < writes + lists {
        assert!(
            began.elapsed() < BEGINS,
            "{} requests",
            lock(&store).requests
        );
        sleep(Duration::from_millis(50)).await;
    }
    let took = began.elapsed();
    assert_eq!(lock(&store).designated(), all);

    let (requests, cpu_ms) = (lock(&store).requests, program.cpu_ms());
    sleep(REST).await;
    let rest_ms = program.cpu_ms() - cpu_ms;
    let anonymous_kb = program.anonymous_kb();
    println!(
        "{SERVICES} new Services of {all} in {took:?}; at rest {anonymous_kb} kB, and {rest_ms} ms of CPU in {REST:?}"
    );
    assert_eq!(
        lock(&store).requests,
        requests,
        "at rest it asks for nothing"
    );
    assert!(
        rest_ms <= REST_CPU_MS_MAX,
        "{rest_ms} ms of CPU in {REST:?}"
    );
    assert!(anonymous_kb < ANONYMOUS_KB_MAX, "{anonymous_kb} kB");
}
