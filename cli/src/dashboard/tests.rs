//! The page's server, asked as browsers, other pages and other programs ask it.

use super::*;
use crate::live::{Contact, Shown, Snapshot};
use crate::tests::{groups_of, now, objects};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use frames::{Scope, Told};
use guard::KEY_HEADER;
use http_body_util::BodyExt;
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::watch;
use tower::ServiceExt;

const PORT: u16 = 4_711;
const HOST: &str = "127.0.0.1:4711";
const KEY: &str = "00ff";

fn snapshot() -> Snapshot {
    let groups = groups_of(&objects("settled")).into_iter().map(|group| {
        let face = json!({"id": format!("{}/{}", group.namespace, group.name)}).to_string();
        Arc::new(Shown {
            group,
            tracks: Vec::new(),
            face,
            version: 1,
            leaderless: false,
        })
    });
    Snapshot {
        complete: true,
        groups: groups.collect(),
        ..Snapshot::default()
    }
}

/// The server, on a cluster that does not answer.
async fn server() -> (Router, watch::Sender<Arc<Snapshot>>) {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let name = format!("kubeconfig-page-{}-{number}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let kubeconfig = json!({
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "SECRET"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    });
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let common = crate::args::Common {
        namespace: None,
        context: None,
        kubeconfig: Some(file.clone()),
        impersonate: None,
        impersonate_groups: Vec::new(),
        request_timeout: std::time::Duration::from_secs(1),
    };
    let cluster = Arc::new(crate::connect::connect(&common).await.unwrap());
    std::fs::remove_file(file).unwrap();
    let (sender, snapshots) = watch::channel(Arc::new(snapshot()));
    let app = App::new(cluster, None, snapshots);
    let router = routes::router(app, Guard::new(PORT, Key::of(KEY)));
    (router, sender)
}

fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, HOST)
}

async fn status(request: Request<Body>) -> StatusCode {
    let (router, _sender) = server().await;
    router.oneshot(request).await.unwrap().status()
}

fn empty(request: axum::http::request::Builder) -> Request<Body> {
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn the_page_is_strict_about_what_it_may_load() {
    let (router, _sender) = server().await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
    ] {
        let answer = router
            .clone()
            .oneshot(empty(request("GET", path)))
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), kind);
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'; script-src 'self'; style-src 'self'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cache-control"), "no-store");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body);
        // Code that stands in the page would not run, and addresses of others would be asked.
        for banned in [
            "<script>", "onclick=", "style=\"", "https://", "SECRET", KEY,
        ] {
            assert!(!text.contains(banned), "{path} has {banned}");
        }
    }
}

#[tokio::test]
async fn a_name_that_points_at_this_machine_is_not_this_server() {
    for (host, expected) in [
        (HOST, StatusCode::OK),
        ("localhost:4711", StatusCode::OK),
        ("localhost", StatusCode::MISDIRECTED_REQUEST),
        ("evil.example:4711", StatusCode::MISDIRECTED_REQUEST),
        (
            "127.0.0.1:4711.evil.example",
            StatusCode::MISDIRECTED_REQUEST,
        ),
    ] {
        let asked = Request::builder().uri("/").header(header::HOST, host);
        assert_eq!(status(empty(asked)).await, expected, "{host}");
    }
    let without = Request::builder().uri("/");
    assert_eq!(
        status(empty(without)).await,
        StatusCode::MISDIRECTED_REQUEST
    );
}

#[tokio::test]
async fn without_the_key_nothing_is_told_and_nothing_done() {
    for (method, path) in [
        ("GET", "/api/live"),
        ("POST", "/api/switchover"),
        ("POST", "/api/pause"),
    ] {
        for key in [None, Some("00fe"), Some("00f"), Some("")] {
            let mut asked = request(method, path);
            if let Some(key) = key {
                asked = asked.header(KEY_HEADER, key);
            }
            let status = status(empty(asked)).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path} {key:?}");
        }
    }
}

#[tokio::test]
async fn another_page_may_not_ask_even_with_the_key() {
    for (name, value, expected) in [
        ("origin", "http://evil.example", StatusCode::FORBIDDEN),
        ("origin", "null", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "cross-site", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "same-site", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "same-origin", StatusCode::OK),
        ("origin", "http://127.0.0.1:4711", StatusCode::OK),
    ] {
        let asked = request("GET", "/api/live")
            .header(KEY_HEADER, KEY)
            .header(name, value);
        assert_eq!(status(empty(asked)).await, expected, "{name}: {value}");
    }
}

#[tokio::test]
async fn what_changes_something_is_posted_as_json_of_bounded_length() {
    let wish = json!({"namespace": "shop", "group": "web", "to": null}).to_string();
    let asked = |method, body: String| {
        let asked = request(method, "/api/switchover").header(KEY_HEADER, KEY);
        asked
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .unwrap()
    };
    let get = status(asked("GET", String::new())).await;
    assert_eq!(get, StatusCode::METHOD_NOT_ALLOWED);
    let form = request("POST", "/api/switchover").header(KEY_HEADER, KEY);
    let form = form
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from(wish))
        .unwrap();
    assert_eq!(status(form).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let long = json!({"namespace": "s".repeat(5_000), "group": "web", "to": null}).to_string();
    assert_eq!(
        status(asked("POST", long)).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let unknown = json!({"namespace": "shop", "group": "wbe", "to": null}).to_string();
    assert_eq!(status(asked("POST", unknown)).await, StatusCode::NOT_FOUND);
    // The Lease of the case has long expired: nobody can be asked.
    let wish = json!({"namespace": "shop", "group": "web", "to": "web-1"}).to_string();
    assert_eq!(status(asked("POST", wish)).await, StatusCode::CONFLICT);
}

#[tokio::test]
async fn events_are_the_groups_and_then_what_changes() {
    let (router, sender) = server().await;
    let asked = empty(request("GET", "/api/live").header(KEY_HEADER, KEY));
    let answer = router.oneshot(asked).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = answer.into_body();
    let mut next = async || -> Value {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = String::from_utf8(frame.to_vec()).unwrap();
        assert!(!text.contains("SECRET"), "{text}");
        let data = text
            .strip_prefix("data: ")
            .and_then(|it| it.strip_suffix("\n\n"));
        serde_json::from_str(data.unwrap()).unwrap()
    };
    let first = next().await;
    assert_eq!(
        (&first["all"], &first["groups"][0]["id"]),
        (&json!(true), &json!("shop/web"))
    );
    assert!(first["renewed_ms"]["shop/web"].is_i64());
    sender.send_modify(|snapshot| {
        *snapshot = Arc::new(Snapshot {
            complete: true,
            ..Snapshot::default()
        });
    });
    let second = next().await;
    assert_eq!(
        (&second["all"], &second["gone"]),
        (&json!(false), &json!(["shop/web"]))
    );
}

#[tokio::test]
async fn pages_are_bounded() {
    let (router, _sender) = server().await;
    let asked = || empty(request("GET", "/api/live").header(KEY_HEADER, KEY));
    let mut open = Vec::new();
    for _ in 0..16 {
        let answer = router.clone().oneshot(asked()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        open.push(answer);
    }
    let more = router.clone().oneshot(asked()).await.unwrap();
    assert_eq!(more.status(), StatusCode::SERVICE_UNAVAILABLE);
    open.pop();
    let again = router.oneshot(asked()).await.unwrap();
    assert_eq!(again.status(), StatusCode::OK);
}

#[test]
fn a_page_is_told_what_is_new_to_it() {
    let mut told = Told::default();
    let scope = Scope {
        namespace: Some("shop"),
        cluster: "10.0.0.1:6443",
    };
    let mut next = |snapshot: &Snapshot, beat| -> Option<Value> {
        let frame = told.next(snapshot, scope, now(), beat)?;
        Some(serde_json::from_str(&frame).unwrap())
    };
    let first = next(&snapshot(), false).unwrap();
    assert_eq!(first["namespace"], "shop");
    assert_eq!(first["groups"].as_array().unwrap().len(), 1);
    assert_eq!(next(&snapshot(), false), None);
    let beat = next(&snapshot(), true).unwrap();
    assert_eq!(
        (&beat["groups"], &beat["renewed_ms"]),
        (&json!([]), &json!({}))
    );
    let mut cut = snapshot();
    cut.contact = Contact {
        lost: Some("refused".to_owned()),
        ..Contact::default()
    };
    assert_eq!(next(&cut, false).unwrap()["contact"]["lost"], "refused");
    let none = Snapshot {
        complete: true,
        ..Snapshot::default()
    };
    assert_eq!(next(&none, false).unwrap()["gone"], json!(["shop/web"]));
}

/// The file that led a browser here goes then, and not before.
#[tokio::test]
async fn a_page_that_was_opened_is_noticed() {
    let guard = Guard::new(PORT, Key::of(KEY));
    let used = guard.used();
    let asked = |key: &str| {
        let asked = request("GET", "/api/live").header(KEY_HEADER, key);
        guard.check("/api/live", empty(asked).headers()).is_ok()
    };
    assert!(!asked("00fe"));
    guard
        .check("/", empty(request("GET", "/")).headers())
        .unwrap();
    let noticed = async || {
        let brief = std::time::Duration::from_millis(1);
        tokio::time::timeout(brief, used.notified()).await.is_ok()
    };
    assert!(!noticed().await);
    assert!(asked(KEY));
    assert!(noticed().await);
}

#[test]
fn keys_are_random_and_compared_whole() {
    let [one, other] = [(); 2].map(|()| Key::random().unwrap());
    assert_eq!(one.text().len(), 48);
    assert_ne!(one.text(), other.text());
}
