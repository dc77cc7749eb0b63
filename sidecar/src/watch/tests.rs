mod services;

use super::*;
use crate::facts::Facts;
use crate::watched::{GroupPods, TheLease};
use bytes::Bytes;
use election::{Input, Version};
use futures_util::stream;
use futures_util::{StreamExt, TryStreamExt};
use http::Request;
use http_body_util::StreamBody;
use hyper::body::Frame;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Mutex;
use tokio::time::Instant;

/// One answer of the scripted server.
struct Scripted {
    /// Part of the URL that must ask for it.
    asked: &'static str,
    /// 0: the connection is refused.
    status: u16,
    body: Vec<u8>,
    /// Size of the chunks that it comes in.
    chunk_bytes: usize,
    /// Whether the connection then stays open, in silence.
    stays_open: bool,
    /// Retry-After, seconds; 0: none.
    retry_after_s: u64,
}

fn answer(asked: &'static str, status: u16, body: &Value) -> Scripted {
    let body = body.to_string().into_bytes();
    Scripted {
        asked,
        status,
        body,
        chunk_bytes: usize::MAX,
        stays_open: false,
        retry_after_s: 0,
    }
}

fn events(asked: &'static str, events: &[Value]) -> Scripted {
    let body = events
        .iter()
        .flat_map(|event| format!("{event}\n").into_bytes())
        .collect();
    Scripted {
        asked,
        status: 200,
        body,
        chunk_bytes: usize::MAX,
        stays_open: false,
        retry_after_s: 0,
    }
}

/// The news that a watch gives while the server follows the script; then the server is silent.
struct Scene {
    news: mpsc::Receiver<News>,
    asked: Arc<Mutex<Vec<String>>>,
    contact: Arc<Contact>,
}

fn scene<W: Watched>(watched: W, script: Vec<Scripted>) -> Scene {
    let script = Arc::new(Mutex::new(VecDeque::from(script)));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let url = request.uri().to_string();
        log.lock().unwrap().push(url.clone());
        let next = script.lock().unwrap().pop_front();
        async move {
            let Some(next) = next else {
                return std::future::pending().await;
            };
            assert!(url.contains(next.asked), "{url} instead of {}", next.asked);
            if next.status == 0 {
                return Err(std::io::Error::other("refused"));
            }
            let chunk_bytes = next.chunk_bytes.min(next.body.len().max(1));
            let chunks: Vec<Bytes> = next
                .body
                .chunks(chunk_bytes)
                .map(Bytes::copy_from_slice)
                .collect();
            let rest = if next.stays_open {
                stream::pending().left_stream()
            } else {
                stream::empty().right_stream()
            };
            let body = stream::iter(chunks).chain(rest).map(Ok::<_, Infallible>);
            let body = StreamBody::new(body.map_ok(Frame::data));
            let mut response = http::Response::builder().status(next.status);
            if next.retry_after_s > 0 {
                response = response.header("retry-after", next.retry_after_s);
            }
            Ok(response.body(body).unwrap())
        }
    });
    let (sender, news) = mpsc::channel(8);
    let client = Client::new(service, "shop");
    let contact = Arc::new(Contact::default());
    tokio::spawn(Watch::new(client, watched, Arc::default(), contact.clone(), sender).run());
    Scene {
        news,
        asked,
        contact,
    }
}

impl Scene {
    async fn input(&mut self) -> Input {
        match self.news.recv().await.unwrap() {
            News::Lease(lease) => Input::LeaseSeen(lease.view),
            News::Input(input) => input,
        }
    }

    /// The pod of the next news, and its version.
    async fn pod(&mut self) -> (String, u64) {
        match self.input().await {
            Input::PodSeen(pod) => (pod.uid, pod.version.0),
            other => panic!("{other:?} is no pod"),
        }
    }

    async fn listed_pods(&mut self) -> Vec<String> {
        match self.input().await {
            Input::PodsListed(pods) => pods.into_iter().map(|pod| pod.uid).collect(),
            other => panic!("{other:?} is no list"),
        }
    }

    fn lists(&self) -> usize {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|url| !url.contains("watch=true"))
            .count()
    }
}

fn config() -> Arc<crate::Config> {
    Arc::new(crate::tests::config())
}

fn pods() -> GroupPods {
    GroupPods::new(config(), Facts::default())
}

fn pod(uid: &str, version: u64) -> Value {
    json!({"metadata": {"name": uid, "uid": uid, "resourceVersion": version.to_string()}})
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}

fn list(version: u64, items: &[Value]) -> Value {
    json!({"metadata": {"resourceVersion": version.to_string()}, "items": items})
}

const LIST: &str =
    "/api/v1/namespaces/shop/pods?limit=64&labelSelector=active-passive.dev%2Fgroup%3Dweb";

#[tokio::test(start_paused = true)]
async fn a_list_is_followed_from_its_version_however_its_bytes_arrive() {
    let changes = [
        event("MODIFIED", pod("a", 11)),
        event(
            "BOOKMARK",
            json!({"kind": "Pod", "metadata": {"resourceVersion": "15"}}),
        ),
        event("DELETED", pod("b", 16)),
    ];
    for chunk_bytes in [1, 7, 64] {
        let mut scene = scene(
            pods(),
            vec![
                answer(LIST, 200, &list(10, &[pod("a", 5), pod("b", 6)])),
                Scripted {
                    chunk_bytes,
                    ..events("resourceVersion=10", &changes)
                },
                events("resourceVersion=16", &[event("ADDED", pod("c", 17))]),
            ],
        );
        assert_eq!(scene.listed_pods().await, ["a", "b"]);
        assert_eq!(scene.pod().await, ("a".to_owned(), 11));
        assert_eq!(scene.input().await, Input::PodGone("b".to_owned()));
        assert_eq!(scene.pod().await, ("c".to_owned(), 17));
        assert_eq!(scene.lists(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn long_lists_come_in_pages() {
    let mut first = list(0, &[pod("a", 5)]);
    first["metadata"]["continue"] = json!("abc");
    let pages = vec![
        answer("limit=64", 200, &first),
        answer("continue=abc", 200, &list(10, &[pod("b", 6)])),
    ];
    assert_eq!(scene(pods(), pages).listed_pods().await, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn pages_that_are_too_long_become_shorter() {
    let too_long = Scripted {
        body: vec![b' '; client::ANSWER_BYTES_MAX + 1],
        ..answer("limit=64", 200, &json!({}))
    };
    let script = vec![too_long, answer("limit=16", 200, &list(10, &[pod("a", 5)]))];
    assert_eq!(scene(pods(), script).listed_pods().await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_place_leads_to_a_new_list() {
    let gone = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
    for refusal in [
        events("resourceVersion=10", &[event("ERROR", gone.clone())]),
        answer("resourceVersion=10", 410, &gone),
    ] {
        let script = vec![
            answer(LIST, 200, &list(10, &[pod("a", 5)])),
            refusal,
            answer(LIST, 200, &list(30, &[pod("b", 25)])),
        ];
        let mut scene = scene(pods(), script);
        assert_eq!(scene.listed_pods().await, ["a"]);
        assert_eq!(scene.listed_pods().await, ["b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_watch_is_resumed_without_a_list() {
    let half = br#"{"type":"MODIFIED","object":{"metad"#.to_vec();
    let mut scene = scene(
        pods(),
        vec![
            answer(LIST, 200, &list(10, &[])),
            Scripted {
                body: half,
                ..events("resourceVersion=10", &[])
            },
            answer("resourceVersion=10", 503, &json!({"message": "starting"})),
            events("resourceVersion=10", &[event("ADDED", pod("a", 12))]),
        ],
    );
    assert!(scene.listed_pods().await.is_empty());
    assert_eq!(scene.pod().await, ("a".to_owned(), 12));
    assert_eq!(scene.lists(), 1);
}

/// All pods listing at once is not what an API server needs that has just come back.
#[tokio::test(start_paused = true)]
async fn an_api_server_that_was_away_is_not_asked_for_lists() {
    let script: Vec<Scripted> = [answer(LIST, 200, &list(10, &[]))]
        .into_iter()
        .chain((0..20).map(|_| answer("resourceVersion=10", 0, &json!({}))))
        .chain((0..5).map(|_| answer("resourceVersion=10", 503, &json!({}))))
        .chain([events(
            "resourceVersion=10",
            &[event("ADDED", pod("a", 12))],
        )])
        .collect();
    let mut scene = scene(pods(), script);
    assert!(scene.listed_pods().await.is_empty());
    assert_eq!(scene.pod().await, ("a".to_owned(), 12));
    assert_eq!(scene.lists(), 1);
}

/// An API server that sheds load says when to come back; one that says "in an hour" is not obeyed.
#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_time_gets_it_up_to_a_bound() {
    for (asked_s, waited_s) in [(3, 3), (3_600, RETRY_AFTER_MS_MAX / 1_000)] {
        let busy = Scripted {
            retry_after_s: asked_s,
            ..answer("resourceVersion=10", 429, &json!({"message": "busy"}))
        };
        let mut scene = scene(
            pods(),
            vec![
                answer(LIST, 200, &list(10, &[])),
                busy,
                events("resourceVersion=10", &[event("ADDED", pod("a", 12))]),
            ],
        );
        assert!(scene.listed_pods().await.is_empty());
        let began = Instant::now();
        assert_eq!(scene.pod().await, ("a".to_owned(), 12));
        let waited = began.elapsed();
        let expected = Duration::from_secs(waited_s);
        let latest = expected + Duration::from_millis(RETRY_MS);
        assert!((expected..=latest).contains(&waited), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_opened_again() {
    let mut scene = scene(
        pods(),
        vec![
            answer(LIST, 200, &list(10, &[])),
            Scripted {
                stays_open: true,
                ..events("resourceVersion=10", &[])
            },
            events("resourceVersion=10", &[event("ADDED", pod("a", 12))]),
        ],
    );
    assert!(scene.listed_pods().await.is_empty());
    let began = Instant::now();
    assert_eq!(scene.pod().await, ("a".to_owned(), 12));
    let waited_ms = u64::try_from(began.elapsed().as_millis()).unwrap();
    assert!(
        (SILENCE_MS_MAX..SILENCE_MS_MAX + RETRY_MS_MAX).contains(&waited_ms),
        "{waited_ms}"
    );
}

/// A server that ends each watch at once must not be asked in a tight loop.
#[tokio::test(start_paused = true)]
async fn watches_that_end_at_once_are_opened_ever_more_slowly() {
    let script: Vec<Scripted> = std::iter::once(answer(LIST, 200, &list(10, &[])))
        .chain((0..6).map(|_| events("resourceVersion=10", &[])))
        .chain([answer(LIST, 200, &list(20, &[pod("b", 15)]))])
        .collect();
    let mut scene = scene(pods(), script);
    assert!(scene.listed_pods().await.is_empty());
    let began = Instant::now();
    assert_eq!(
        scene.listed_pods().await,
        ["b"],
        "after some failures the place is given up"
    );
    assert!(
        began.elapsed() > Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn an_absent_lease_is_told_with_the_version_of_the_list() {
    let lease = json!({
        "metadata": {"name": "web", "resourceVersion": "12"},
        "spec": {"holderIdentity": "web-1_u-1", "leaseTransitions": 1},
    });
    let mut removed = lease.clone();
    removed["metadata"]["resourceVersion"] = json!("20");
    let mut scene = scene(
        TheLease(config()),
        vec![
            answer(
                "leases?limit=64&fieldSelector=metadata.name%3Dweb",
                200,
                &list(10, &[]),
            ),
            events(
                "watch=true",
                &[event("ADDED", lease), event("DELETED", removed)],
            ),
        ],
    );
    assert_eq!(scene.input().await, Input::LeaseAbsent(Version(10)));
    let Input::LeaseSeen(view) = scene.input().await else {
        panic!("no Lease")
    };
    assert_eq!(view.record.holder.as_deref(), Some("web-1_u-1"));
    assert_eq!(scene.input().await, Input::LeaseAbsent(Version(20)));
}

impl Scene {
    /// Waits until so many requests have been sent.
    async fn asked(&self, requests: usize) {
        let enough = async {
            while self.asked.lock().unwrap().len() < requests {
                sleep(Duration::from_millis(5)).await;
            }
        };
        within(60_000, enough).await.unwrap();
    }
}

/// After a partition the first connection that works ends the waits of the others.
#[tokio::test(start_paused = true)]
async fn a_watch_is_tried_again_at_once_when_the_server_answers_others() {
    let refused = || answer(LIST, 0, &json!({}));
    let mut script: Vec<Scripted> = (0..6).map(|_| refused()).collect();
    script.push(answer(LIST, 200, &list(10, &[pod("a", 5)])));
    let mut scene = scene(pods(), script);
    scene.asked(6).await;
    sleep(Duration::from_millis(5)).await;
    let began = Instant::now();
    scene.contact.made();
    assert_eq!(scene.listed_pods().await, ["a"]);
    assert!(began.elapsed() <= Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_is_sent_anew_when_the_server_answers_others() {
    let scene = scene(pods(), Vec::new());
    scene.asked(1).await;
    let began = Instant::now();
    scene.contact.lost();
    scene.contact.made();
    scene.asked(2).await;
    assert!(began.elapsed() <= Duration::from_millis(HANGS_MS + 110));
    // Not again and again: on a slow road this one may need its time.
    scene.contact.lost();
    scene.contact.made();
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(scene.asked.lock().unwrap().len(), 2);
}
