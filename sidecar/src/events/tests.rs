use super::*;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use std::convert::Infallible;
use std::sync::Mutex;
use tokio::time::Instant;

fn moved(note: &str) -> Event {
    Event {
        regarding: Reference {
            api_version: "v1",
            kind: "Service",
            name: "web".to_owned(),
            uid: "s-1".to_owned(),
        },
        reason: Reason::TrafficMoved,
        note: note.to_owned(),
    }
}

/// What an API server with these answers is sent, and when; 0: no answer.
struct Scene {
    outbox: Outbox,
    metrics: Arc<Metrics>,
    sent: Arc<Mutex<Vec<(Value, Instant)>>>,
    delivery: tokio::task::JoinHandle<()>,
}

fn scene(answers: &'static [u16]) -> Scene {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let log = sent.clone();
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let log = log.clone();
        async move {
            assert_eq!(
                request.uri().path(),
                "/apis/events.k8s.io/v1/namespaces/shop/events"
            );
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let event = serde_json::from_slice(&body).unwrap();
            let count = {
                let mut log = log.lock().unwrap();
                log.push((event, Instant::now()));
                log.len()
            };
            let status = answers.get(count - 1).copied().unwrap_or(201);
            if status == 0 {
                std::future::pending::<()>().await;
            }
            let body = Full::new(Bytes::from_static(b"{\"message\":\"said\"}"));
            let response = http::Response::builder().status(status).body(body);
            Ok::<_, Infallible>(response.unwrap())
        }
    });
    let metrics: Arc<Metrics> = Arc::default();
    let (outbox, events) = Outbox::new(metrics.clone());
    let delivery = Delivery {
        client: Client::new(service, "shop"),
        clock: Clock::tokio(),
        config: Arc::new(crate::tests::config()),
        metrics: metrics.clone(),
    };
    Scene {
        outbox,
        metrics,
        sent,
        delivery: tokio::spawn(delivery.run(events)),
    }
}

impl Scene {
    /// The notes of what was sent until nothing more is put in.
    async fn notes(self) -> Vec<String> {
        drop(self.outbox);
        self.delivery.await.unwrap();
        let sent = self.sent.lock().unwrap();
        let note = |(event, _): &(Value, Instant)| event["note"].as_str().unwrap().to_owned();
        sent.iter().map(note).collect()
    }
}

#[test]
fn an_event_is_what_the_api_takes() {
    let config = crate::tests::config();
    let mut event = moved(&"ü".repeat(1_000));
    event.regarding.name = "a".repeat(253);
    let json = json(&event, &config, Mono::ZERO);
    let note = json["note"].as_str().unwrap();
    assert!(note.len() <= NOTE_BYTES_MAX && note.len() > NOTE_BYTES_MAX - 2);
    assert_eq!(json["metadata"]["name"].as_str().unwrap().len(), 253);
    let regarding = json!({
        "apiVersion": "v1", "kind": "Service", "namespace": "shop", "name": "a".repeat(253),
        "uid": "s-1",
    });
    assert_eq!(json["regarding"], regarding);
    let texts = [
        "type",
        "reason",
        "action",
        "reportingController",
        "reportingInstance",
    ];
    assert_eq!(
        texts.map(|key| json[key].as_str().unwrap().to_owned()),
        [
            "Normal",
            "TrafficMoved",
            "Route",
            "active-passive-sidecar",
            "web-1"
        ]
    );
    let other = super::json(&event, &config, Mono::from_ms(1));
    assert_ne!(json["metadata"]["name"], other["metadata"]["name"]);
}

#[tokio::test(start_paused = true)]
async fn a_right_that_comes_late_is_waited_for_once() {
    let scene = scene(&[403, 201]);
    scene.outbox.put(moved("a"));
    scene.outbox.put(moved("b"));
    let sent = scene.sent.clone();
    assert_eq!(scene.notes().await, ["a", "a", "b"]);
    let sent = sent.lock().unwrap();
    let waited = sent[1].1 - sent[0].1;
    assert!(waited >= Duration::from_millis(GRANT_MS), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn without_the_right_nothing_is_sent_any_more() {
    let scene = scene(&[403, 403]);
    for note in ["a", "b", "c"] {
        scene.outbox.put(moved(note));
    }
    assert_eq!(scene.notes().await, ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_without_answer_is_lost_and_the_next_is_sent() {
    let scene = scene(&[0, 500, 201]);
    let began = Instant::now();
    for note in ["a", "b", "c"] {
        scene.outbox.put(moved(note));
    }
    let metrics = scene.metrics.clone();
    assert_eq!(scene.notes().await, ["a", "b", "c"]);
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap();
    assert!(
        (POST_MS_MAX..POST_MS_MAX + 10).contains(&took_ms),
        "{took_ms}"
    );
    assert_eq!(metrics.events("failed"), 2);
    assert_eq!(metrics.events("sent"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_flaps_is_told_of_slowly() {
    let scene = scene(&[]);
    let (sent, metrics) = (scene.sent.clone(), scene.metrics.clone());
    for round in 0..10 {
        for event in 0..4 {
            scene.outbox.put(moved(&format!("{round}.{event}")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(sent.lock().unwrap().len() as u64, BURST_MAX);
    assert_eq!(metrics.events("dropped"), 40 - BURST_MAX);
    tokio::time::sleep(Duration::from_millis(REFILL_MS)).await;
    scene.outbox.put(moved("later"));
    assert_eq!(scene.notes().await.last().unwrap(), "later");
}

#[test]
fn a_full_queue_does_not_hold_anybody_up() {
    let metrics: Arc<Metrics> = Arc::default();
    let (outbox, _events) = Outbox::new(metrics.clone());
    for _ in 0..WAITING_MAX + 3 {
        outbox.put(moved("a"));
    }
    assert_eq!(metrics.events("dropped"), 3);
}
