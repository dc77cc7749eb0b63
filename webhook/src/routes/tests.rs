//! The two servers, without a network: what comes in as a request, and what goes out.

use super::*;
use crate::connections::place;
use crate::fake_api::{FakeApi, failure};
use crate::policy::known::Known;
use crate::provision::{Bounds, ClusterRoles, Provisioner};
use crate::readiness::Part;
use axum::body::{Body, to_bytes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use inject::Settings;
use serde_json::{Value, json};
use tower::ServiceExt;

struct Server {
    admission: Admission,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
}

fn bounds() -> Bounds {
    Bounds {
        excluded_namespaces: vec!["kube-system".to_owned()],
        groups_max: 100,
    }
}

fn server(api: &FakeApi) -> Server {
    let metrics = Arc::new(Metrics::default());
    let roles = ClusterRoles {
        sidecar: "sidecar".to_owned(),
        router: "router".to_owned(),
    };
    let settings = Settings {
        image: "sidecar:1".to_owned(),
        image_pull_policy: "Never".to_owned(),
        version: "0.1.0".to_owned(),
    };
    let app = App {
        settings: Arc::new(settings),
        provisioner: Arc::new(Provisioner::new(
            api.client(),
            roles,
            bounds(),
            metrics.clone(),
        )),
        policies: Arc::new(Known::new(Vec::new())),
        metrics: metrics.clone(),
    };
    let readiness = Arc::new(Readiness::default());
    Server {
        admission: Admission::new(app, Load::new(64), readiness.clone()),
        readiness,
        metrics,
    }
}

impl Server {
    async fn post(&self, path: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let request = Request::post(path).header(CONTENT_TYPE, "application/json; charset=utf-8");
        let request = request.body(body.into()).unwrap();
        let response = self.admission.answer(request, &place()).await;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn review(&self, path: &str, review: &Value) -> Value {
        let (status, answer) = self.post(path, review.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        answer["response"].clone()
    }
}

/// A review as Kubernetes 1.36 sent it, of a pod of the Deployment `web`.
fn pod_review() -> Value {
    serde_json::from_str(include_str!("../../testdata/review-pod.json")).unwrap()
}

fn patch(response: &Value) -> Vec<Value> {
    let patch = STANDARD
        .decode(response["patch"].as_str().unwrap())
        .unwrap();
    serde_json::from_slice(&patch).unwrap()
}

#[tokio::test]
async fn a_pod_that_asks_is_injected_and_its_account_made() {
    let api = FakeApi::new();
    let server = server(&api);
    let response = server.review("/inject?timeout=5s", &pod_review()).await;
    assert_eq!(response["allowed"], true);
    assert_eq!(response["patchType"], "JSONPatch");
    let ops = patch(&response);
    let account = ops
        .iter()
        .find(|op| op["path"] == "/spec/serviceAccountName")
        .unwrap();
    assert_eq!(account["value"], "active-passive-group-web");
    assert!(
        api.get("/api/v1/namespaces/shop/serviceaccounts/active-passive-group-web")
            .is_some()
    );
    let page = server.metrics.page().unwrap();
    let labels = r#"{path="/inject",decision="injected",reason="none"}"#;
    let line = format!("active_passive_webhook_reviews_total{labels} 1");
    assert!(page.contains(&line), "{page}");
    for line in [
        "active_passive_webhook_reviews_in_flight 0\n",
        "active_passive_webhook_review_body_bytes_count{path=\"/inject\"} 1\n",
        "active_passive_webhook_review_seconds_count{path=\"/inject\"} 1\n",
    ] {
        assert!(page.contains(line), "no {line:?} in {page}");
    }
}

#[tokio::test]
async fn a_dry_run_makes_nothing() {
    let api = FakeApi::new();
    let mut review = pod_review();
    review["request"]["dryRun"] = json!(true);
    let response = server(&api).review("/inject", &review).await;
    assert_eq!(response["allowed"], true);
    let paths: Vec<Value> = patch(&response)
        .iter()
        .map(|op| op["path"].clone())
        .collect();
    assert!(
        !paths.contains(&json!("/spec/serviceAccountName")),
        "{paths:?}"
    );
    let expected = "dry run: account active-passive-group-web does not exist yet and is not made \
                    now, so this pod keeps its own";
    assert_eq!(response["warnings"], json!([expected]));
    assert!(
        api.requests()
            .iter()
            .all(|request| request.starts_with("GET "))
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_whose_account_is_not_ready_is_denied() {
    let api = FakeApi::new();
    api.hang("POST ");
    let response = server(&api).review("/inject", &pod_review()).await;
    assert_eq!(response["allowed"], false);
    let message = "the account of group web is not ready yet, retry";
    assert_eq!(response["status"]["message"], message);
    assert_eq!(response["auditAnnotations"]["reason"], "account-not-ready");
}

#[tokio::test]
async fn what_the_api_server_says_against_an_account_is_passed_on() {
    let api = FakeApi::new();
    let mut quota = failure(403, "Forbidden");
    quota["message"] = json!("serviceaccounts is forbidden: exceeded quota: accounts");
    api.refuse("POST /api/v1/namespaces/shop/serviceaccounts", quota);
    let response = server(&api).review("/inject", &pod_review()).await;
    assert_eq!(
        response["status"]["message"],
        "the account of group web cannot be made: cannot create account active-passive-group-web \
         in namespace shop: serviceaccounts is forbidden: exceeded quota: accounts"
    );
    assert_eq!(response["auditAnnotations"]["reason"], "account-refused");
}

#[tokio::test]
async fn nothing_is_made_in_an_excluded_namespace_whoever_asks() {
    let api = FakeApi::new();
    let mut forged = pod_review();
    forged["request"]["namespace"] = json!("kube-system");
    let response = server(&api).review("/inject", &forged).await;
    assert_eq!(response["allowed"], true);
    assert_eq!(response["auditAnnotations"]["reason"], "excluded-namespace");
    assert_eq!(api.requests(), [""; 0]);
}

#[tokio::test]
async fn a_wrong_pod_is_denied_with_everything_that_is_wrong() {
    let mut review = pod_review();
    review["request"]["object"]["metadata"]["annotations"]["active-passive.dev/lease-duration"] =
        json!("5");
    let response = server(&FakeApi::new()).review("/inject", &review).await;
    assert_eq!(response["allowed"], false);
    let message = "active-passive.dev/lease-duration: \"5\" is no duration: write it like 15s, \
                   1m30s or 500ms";
    assert_eq!(response["status"]["message"], message);
    assert!(response.get("patch").is_none());
}

#[tokio::test]
async fn a_service_is_routed() {
    let mut review = pod_review();
    review["request"]["kind"]["kind"] = json!("Service");
    review["request"]["object"] = json!({
        "metadata": {"annotations": {"active-passive.dev/group": "web"}},
        "spec": {"selector": {"app": "web"}},
    });
    let response = server(&FakeApi::new()).review("/route", &review).await;
    let ops = patch(&response);
    assert_eq!(
        ops.last().unwrap()["path"],
        "/spec/selector/active-passive.dev~1pod"
    );
}

#[tokio::test]
async fn what_is_no_review_is_no_answer() {
    let server = server(&FakeApi::new());
    for body in ["", "{", "{}", "null", r#"{"request": null}"#, "[1]"] {
        assert_eq!(
            server.post("/inject", body).await.0,
            StatusCode::BAD_REQUEST,
            "{body:?}"
        );
    }
    let pod = pod_review().to_string();
    assert_eq!(server.post("/route", pod).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(server.post("/other", "{}").await.0, StatusCode::NOT_FOUND);
    let get = Request::get("/inject").body(Body::empty()).unwrap();
    let status = server.admission.answer(get, &place()).await.status();
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_body_may_have_seven_mebibytes() {
    let server = server(&FakeApi::new());
    let mut review = pod_review();
    review["request"]["object"]["metadata"]["annotations"]["large"] =
        json!("x".repeat(BODY_BYTES_MAX - 10_000));
    assert_eq!(
        server.post("/inject", review.to_string()).await.0,
        StatusCode::OK
    );
    let too_large = vec![b' '; BODY_BYTES_MAX + 1];
    assert_eq!(
        server.post("/inject", too_large).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up() {
    let body = Body::from_stream(futures_util::stream::pending::<
        Result<String, std::io::Error>,
    >());
    let status = server(&FakeApi::new()).post("/inject", body).await.0;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn what_has_come_is_read_without_a_timer() {
    let read = |pieces: usize| async move {
        for _ in 0..pieces {
            tokio::task::yield_now().await;
        }
    };
    // A timer would be over at once.
    assert!(within(Duration::ZERO, read(TURNS_MAX)).await.is_ok());
    let nothing = std::future::pending::<()>();
    assert!(within(Duration::ZERO, nothing).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn bodies_that_trickle_take_no_room() {
    let server = server(&FakeApi::new());
    let trickle = || {
        let nothing = futures_util::stream::pending::<Result<String, std::io::Error>>();
        let request = Request::post("/inject").header(CONTENT_LENGTH, "1000");
        request.body(Body::from_stream(nothing)).unwrap()
    };
    for _ in 0..200 {
        let admission = server.admission.clone();
        tokio::spawn(async move { admission.answer(trickle(), &place()).await });
    }
    // The runtime polls some dozens of tasks before it comes back here.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let review = pod_review().to_string();
    let request = Request::post("/inject").header(CONTENT_LENGTH, review.len());
    let request = request.body(Body::from(review)).unwrap();
    let place = place();
    let answer = server.admission.answer(request, &place);
    let answer = timeout(Duration::from_secs(1), answer).await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_frees_its_room() {
    let guard = Guard {
        load: Load::new(1),
        readiness: Arc::default(),
    };
    for _ in 0..3 {
        let panics = |_| async { panic!("on purpose") };
        let response = guard
            .answer((&place(), Some(0)), Body::empty(), panics)
            .await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}

#[tokio::test]
async fn an_ending_program_asks_for_other_connections() {
    let server = server(&FakeApi::new());
    let connection = async || {
        let request = Request::post("/inject")
            .body(Body::from(pod_review().to_string()))
            .unwrap();
        let response = server.admission.answer(request, &place()).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.headers().get(CONNECTION).cloned()
    };
    assert_eq!(connection().await, None);
    server.readiness.end();
    assert_eq!(connection().await, Some(HeaderValue::from_static("close")));
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let readiness = Arc::new(Readiness::default());
    let router = admin(readiness.clone(), Arc::default());
    let get = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let (status, body) = get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("no valid certificate yet"), "{body}");
    for part in [
        Part::Certificate,
        Part::Configuration,
        Part::Handshake,
        Part::Policies,
        Part::Rights,
    ] {
        readiness.set(part, true);
    }
    assert_eq!(get("/readyz").await.0, StatusCode::OK);
    assert_eq!(get("/livez").await.0, StatusCode::OK);
    assert!(get("/metrics").await.1.ends_with("# EOF\n"));
}
