use super::*;
use crate::published::tests::leading;
use axum::body::Body;
use axum::http::Request;
use election::Peer;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

struct Fixture {
    app: App,
    states: watch::Sender<Published>,
}

fn fixture(published: Published) -> Fixture {
    let states = watch::Sender::new(published);
    let config = Arc::new(crate::tests::config());
    let app = App::new(config, states.subscribe(), Clock::tokio(), Arc::default());
    Fixture { app, states }
}

/// Where the kubelet asks from.
const NODE: [u8; 4] = [10, 0, 0, 1];

fn from(source: [u8; 4], path: &str) -> Request<Body> {
    let mut request = Request::get(path).body(Body::empty()).unwrap();
    let peer = SocketAddr::from((source, 40_000));
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// A leader for the next `ms` milliseconds.
fn leading_for(ms: u64) -> Published {
    leading(Clock::tokio().now().as_ms() + ms)
}

fn standby() -> Published {
    let mut published = Published::nothing();
    published.standing.role = Role::Standby;
    published
}

impl Fixture {
    async fn get(&self, path: &str) -> (u16, String) {
        let request = from(NODE, path);
        let response = self.app.clone().router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn code(&self, path: &str) -> u16 {
        self.get(path).await.0
    }
}

#[tokio::test(start_paused = true)]
async fn leader_and_replica_are_opposites_at_every_instant() {
    let fixture = fixture(leading_for(5_000));
    assert_eq!(
        (
            fixture.code("/leader").await,
            fixture.code("/replica").await
        ),
        (200, 503)
    );
    // Nobody has published anything since: the time alone ends the role.
    tokio::time::advance(std::time::Duration::from_millis(5_000)).await;
    assert_eq!(
        (
            fixture.code("/leader").await,
            fixture.code("/replica").await
        ),
        (503, 200)
    );
    fixture.states.send_replace(standby());
    assert_eq!(
        (
            fixture.code("/leader").await,
            fixture.code("/replica").await
        ),
        (503, 200)
    );
}

#[tokio::test(start_paused = true)]
async fn ready_once_it_can_take_part_and_live_while_it_cycles() {
    let fixture = fixture(Published::nothing());
    assert_eq!(fixture.code("/readyz").await, 503);
    fixture.states.send_replace(standby());
    assert_eq!(fixture.code("/readyz").await, 200);

    assert_eq!(fixture.code("/livez").await, 200);
    tokio::time::advance(std::time::Duration::from_millis(30_001)).await;
    assert_eq!(
        fixture.code("/livez").await,
        503,
        "two lease durations without a cycle"
    );
    fixture.app.last_cycle.set(fixture.app.clock.now());
    assert_eq!(fixture.code("/livez").await, 200);
}

#[tokio::test(start_paused = true)]
async fn status_says_what_is_known() {
    let mut published = leading_for(5_000);
    published.holder = Some("web-1_u-1".to_owned());
    published.observed_since = Some(Clock::tokio().now());
    published.peers = vec![Peer {
        name: "web-2".to_owned(),
        uid: "u-2".to_owned(),
        role: election::RoleLabel::Passive,
        ready: false,
        ineligible: Some(election::Ineligible::NotReady),
    }];
    let fixture = fixture(published);
    let (code, body) = fixture.get("/status").await;
    assert_eq!(code, 200);
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({
            "group": "web", "pod": "web-1", "role": "active", "term": 3,
            "holder": "web-1_u-1", "valid_for_ms": 5_000, "observed_age_ms": 0,
            "peers": [{
                "pod": "web-2", "uid": "u-2", "role": "passive", "ready": false,
                "eligible": false, "reason": "its app is not ready",
            }],
        })
    );
    assert_eq!(
        fixture.get("/").await,
        (200, r#"{"name":"web-1"}"#.to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn metrics_are_in_the_text_format() {
    let fixture = fixture(leading_for(14_000));
    let metrics = &fixture.app.metrics;
    metrics.pending("write_lease").ended(Some(200));
    metrics.renewed(7);
    metrics.moved(election::MoveKind::Expired, 14_300);
    metrics.event("sent");
    let (code, page) = fixture.get("/metrics").await;
    assert_eq!(code, 200);
    for line in [
        "# TYPE active_passive_role gauge",
        "active_passive_role 1",
        "active_passive_term 3",
        "active_passive_transitions_total 0",
        "active_passive_renew_age_seconds 0.250",
        "# TYPE active_passive_leaderless_seconds_total counter",
        "active_passive_leaderless_seconds_total 0.000",
        "# TYPE active_passive_renew_duration_seconds histogram",
        "active_passive_renew_duration_seconds_bucket{le=\"0.01\"} 1",
        "active_passive_handover_duration_seconds_bucket{kind=\"expired\",le=\"10\"} 0",
        "active_passive_handover_duration_seconds_bucket{kind=\"expired\",le=\"20\"} 1",
        "active_passive_events_total{result=\"sent\"} 1",
        "active_passive_api_requests_total{request=\"write_lease\",code=\"200\"} 1",
    ] {
        assert!(
            page.lines().any(|l| l == line),
            "{line} is missing in\n{page}"
        );
    }
    assert_eq!(
        page.matches("# TYPE").count(),
        page.matches("# HELP").count()
    );
}

#[tokio::test(start_paused = true)]
async fn drain_returns_at_once_on_a_standby() {
    let began = Clock::tokio().now();
    assert_eq!(fixture(standby()).code("/drain").await, 200);
    assert_eq!(Clock::tokio().now(), began);
}

#[tokio::test(start_paused = true)]
async fn events_tell_changes_and_not_renewals() {
    let fixture = fixture(standby());
    let request = from(NODE, "/events");
    let response = fixture.app.clone().router().oneshot(request).await.unwrap();
    let mut body = response.into_body();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(frame.to_vec()).unwrap()
    };
    assert!(next().await.contains(r#""role":"passive","term":0"#));
    fixture.states.send_replace(leading_for(5_000));
    assert!(next().await.contains(r#"event: role"#));
    fixture.states.send_replace(leading_for(9_000));
    let last = next().await;
    assert!(last.contains(r#""role":"passive","term":3"#), "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_names_each_leader_once() {
    let fixture = fixture(standby());
    let request = from(NODE, "/sse");
    let response = fixture.app.clone().router().oneshot(request).await.unwrap();
    let mut body = response.into_body();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        String::from_utf8(frame.to_vec()).unwrap()
    };
    let held_by = |holder: &str| Published {
        holder: Some(holder.to_owned()),
        ..standby()
    };
    next().await;
    fixture.states.send_replace(held_by("web-2_u-2"));
    assert_eq!(next().await, "data: {\"name\":\"web-2\"}\n\n");
    fixture.states.send_replace(held_by("web-2_u-2"));
    tokio::task::yield_now().await;
    fixture.states.send_replace(held_by("web-1_u-1"));
    assert_eq!(next().await, "data: {\"name\":\"web-1\"}\n\n");
}

#[tokio::test(start_paused = true)]
async fn held_requests_are_bounded() {
    let fixture = fixture(leading_for(1_000_000));
    let elsewhere = [10, 0, 0, 2];
    let begin = |source| {
        let router = fixture.app.clone().router();
        let request = from(source, "/drain");
        tokio::spawn(async move { router.oneshot(request).await.unwrap().status() })
    };
    // Another pod takes what one may, and keeps none from the node's kubelet.
    let mut held: Vec<_> = (0..DRAINS.one_max).map(|_| begin(elsewhere)).collect();
    tokio::task::yield_now().await;
    assert_eq!(begin(elsewhere).await.unwrap().as_u16(), 503);
    held.extend((0..DRAINS.one_max).map(|_| begin(NODE)));
    tokio::task::yield_now().await;
    assert_eq!(fixture.code("/drain").await, 503);
    assert_eq!(fixture.code("/livez").await, 200);
    for drain in held {
        assert_eq!(drain.await.unwrap().as_u16(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn another_systems_paths_are_answered_in_its_words() {
    let seed = &common::seeds::SERVICE_LEADER_ELECTION;
    let with_routes = |published| {
        let mut fixture = fixture(published);
        let routes = seed.routes;
        fixture.app.config = Arc::new(Config {
            routes,
            ..crate::tests::config()
        });
        fixture
    };
    let standby = with_routes(standby());
    let answer = |code: u16, text: &str| (code, text.to_owned());
    assert_eq!(standby.get("/ready").await, answer(503, "wait for master"));
    let unready = answer(500, "primary container is not ready");
    assert_eq!(standby.get("/healthz").await, unready);
    assert_eq!(standby.get("/debug").await, answer(200, "web-1"));
    let mut published = leading_for(5_000);
    published.peers = vec![Peer {
        name: "web-1".to_owned(),
        uid: "u-1".to_owned(),
        role: election::RoleLabel::Active,
        ready: true,
        ineligible: None,
    }];
    let leader = with_routes(published);
    assert_eq!(leader.get("/ready").await, answer(200, "is master"));
    assert_eq!(leader.get("/healthz").await, answer(200, "live"));
}
