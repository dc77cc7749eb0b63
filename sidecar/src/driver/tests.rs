mod day;

use super::*;
use crate::events::{Event, Outbox};
use crate::facts::Facts;
use crate::http::App;
use crate::linger::Leaving;
use crate::published::Published;
use crate::watched::{GroupPods, TheLease};
use crate::{Clock, Config};
use bytes::Bytes;
use common::contract;
use election::Role;
use futures_util::stream;
use futures_util::{StreamExt, TryStreamExt};
use http::{Method, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// Just enough of an API server for one pod: its Lease, the pod, and no events.
#[derive(Default)]
struct Server {
    version: u64,
    lease: Option<Value>,
    pod: Value,
    /// Answers nothing more, as if cut off.
    silent: bool,
    /// Answers 503 to each request, and to come back after an hour.
    overloaded: bool,
    /// Refuses writes through the status subresource.
    no_status_right: bool,
    writes: Vec<String>,
}

impl Server {
    fn new() -> Self {
        let pod = json!({
            "metadata": {
                "name": "web-1", "uid": "u-1", "resourceVersion": "1",
                "labels": {contract::GROUP: "web"},
            },
            "spec": {"containers": [{"name": "app"}]},
            "status": {"containerStatuses": [{"name": "app", "ready": true}]},
        });
        Self {
            version: 1,
            pod,
            ..Self::default()
        }
    }

    /// Status and body; `None`: no answer.
    fn answer(&mut self, method: &Method, url: &str, body: &[u8]) -> Option<(u16, Value)> {
        if self.silent || url.contains("watch=true") {
            return None;
        }
        if self.overloaded {
            self.writes.push(format!("503 {method} {url}"));
            return Some((503, json!({"message": "overloaded"})));
        }
        if method != Method::GET {
            self.version += 1;
            self.writes.push(format!("{method} {url}"));
        }
        let version = json!(self.version.to_string());
        let metadata = json!({"resourceVersion": version});
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        Some(match (method.as_str(), url.split('?').next().unwrap()) {
            ("GET", path) if path.ends_with("/leases") => (
                200,
                json!({"metadata": metadata, "items": Vec::from_iter(&self.lease)}),
            ),
            ("GET", path) if path.ends_with("/leases/web") => match &self.lease {
                Some(lease) => (200, lease.clone()),
                None => (404, json!({"message": "no Lease"})),
            },
            ("GET", path) if path.ends_with("/pods") => {
                (200, json!({"metadata": metadata, "items": [self.pod]}))
            }
            ("POST" | "PUT", path) if path.contains("/leases") => {
                let mut lease = sent;
                lease["metadata"]["resourceVersion"] = version;
                self.lease = Some(lease.clone());
                (201, lease)
            }
            ("POST", path) if path.ends_with("/selfsubjectaccessreviews") => {
                let resource = &sent["spec"]["resourceAttributes"];
                (
                    201,
                    json!({"status": {"allowed": resource["subresource"] == ""}}),
                )
            }
            ("PATCH", path) if self.no_status_right && path.ends_with("/status") => {
                (403, json!({"message": "pods/status is forbidden"}))
            }
            ("PATCH", path) if path.contains("/pods/web-1") => {
                for section in ["labels", "annotations"] {
                    let changes = sent["metadata"][section].as_object().unwrap().clone();
                    for (key, value) in changes {
                        self.pod["metadata"][section][key] = value;
                    }
                }
                self.pod["metadata"]["resourceVersion"] = version;
                (200, self.pod.clone())
            }
            _ => (404, json!({"message": url})),
        })
    }
}

fn client(server: Arc<Mutex<Server>>) -> Client {
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let server = server.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let answer = server
                .lock()
                .unwrap()
                .answer(&head.method, &head.uri.to_string(), &body);
            let (status, answer) = match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            };
            let chunk = Bytes::from(answer.to_string());
            let body = StreamBody::new(
                stream::iter([chunk])
                    .map(Ok::<_, Infallible>)
                    .map_ok(Frame::data),
            );
            let mut response = Response::builder().status(status);
            if status == 503 {
                response = response.header("retry-after", 3_600);
            }
            Ok::<_, Infallible>(response.body(body).unwrap())
        }
    });
    Client::new(service, "shop")
}

struct Running {
    server: Arc<Mutex<Server>>,
    states: watch::Receiver<Published>,
    terminate: oneshot::Sender<()>,
    driver: JoinHandle<()>,
    app: App,
    events: mpsc::Receiver<Event>,
}

fn start() -> Running {
    start_with(Server::new())
}

fn start_with(server: Server) -> Running {
    let server = Arc::new(Mutex::new(server));
    let client = client(server.clone());
    let config: Arc<Config> = Arc::new(crate::tests::config());
    let (metrics, publisher) = (Arc::default(), Publisher::new(15_000));
    let states = publisher.subscribe();
    let app = App::new(
        config.clone(),
        states.clone(),
        Clock::tokio(),
        Arc::clone(&metrics),
    );
    let (sender, news) = mpsc::channel(8);
    let lease = TheLease(config.clone());
    let facts = Facts::default();
    let pods = GroupPods::new(config.clone(), facts.clone());
    let watch = crate::watch::Watch::new(
        client.clone(),
        lease,
        metrics.clone(),
        Arc::default(),
        sender.clone(),
    );
    tokio::spawn(watch.run());
    tokio::spawn(
        crate::watch::Watch::new(
            client.clone(),
            pods,
            metrics.clone(),
            Arc::default(),
            sender,
        )
        .run(),
    );
    let (outbox, events) = Outbox::new(Arc::clone(&metrics));
    let driver = Driver {
        elector: Elector::new(config.params.clone()),
        clock: Clock::tokio(),
        story: Story::new(config.clone(), facts, Arc::clone(&metrics), outbox),
        api: Api::new(client, config, metrics, Arc::default()),
        publisher,
        last_cycle: app.last_cycle.clone(),
        last_lease: LastLease::default(),
        reach: Reach::default(),
        leaving: Leaving::default(),
    };
    let (terminate, terminated) = oneshot::channel();
    let terminated = async {
        if terminated.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    Running {
        server,
        states,
        terminate,
        driver: tokio::spawn(driver.run(news, terminated)),
        app,
        events,
    }
}

impl Running {
    async fn until(&mut self, condition: impl FnMut(&Published) -> bool) -> Published {
        self.states.wait_for(condition).await.unwrap().clone()
    }

    /// Kinds of the objects that Events were told about so far.
    fn told(&mut self) -> Vec<&'static str> {
        std::iter::from_fn(|| self.events.try_recv().ok())
            .map(|event| event.regarding.kind)
            .collect()
    }

    fn label(&self) -> Value {
        self.server.lock().unwrap().pod["metadata"]["labels"][contract::ROLE].clone()
    }
}

fn active(published: &Published) -> bool {
    published.standing.role == Role::Leader && published.standing.holds_traffic
}

#[tokio::test(start_paused = true)]
async fn a_lone_pod_becomes_active_and_leaves_nothing_behind() {
    let mut running = start();
    let published = running.until(active).await;
    assert_eq!(published.standing.term, 1);
    assert_eq!(published.holder.as_deref(), Some("web-1_u-1"));
    assert_eq!(running.label(), "active");

    running.terminate.send(()).unwrap();
    let began = tokio::time::Instant::now();
    running.driver.await.unwrap();
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
    let server = running.server.lock().unwrap();
    assert_eq!(server.pod["metadata"]["labels"][contract::ROLE], "passive");
    assert_eq!(server.lease.as_ref().unwrap()["spec"]["holderIdentity"], "");
    let release = server.writes.last().unwrap();
    assert!(
        release.starts_with("PUT "),
        "the Lease is freed last: {:?}",
        server.writes
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_stops_leading_in_time_and_goes_on_running() {
    let mut running = start();
    let published = running.until(active).await;
    let valid_until = published.standing.valid_until;
    running.server.lock().unwrap().silent = true;
    let passive = running
        .until(|published| !published.standing.role.leads())
        .await;
    let clock = running.app.clock;
    assert!(
        (valid_until..valid_until + 5).contains(&clock.now()),
        "at the instant it was told"
    );
    assert_eq!(passive.transitions, 2);
    // Every lost request was given up at its deadline, and none was left hanging.
    let page = running
        .app
        .metrics
        .page(&passive, clock, &running.app.config.params);
    let lost = page.lines().filter_map(|line| {
        let (name, count) = line.rsplit_once(' ')?;
        name.ends_with(r#"code="0"}"#)
            .then(|| count.parse::<u32>().unwrap())
    });
    // The first renewal and what was tried after it: time is left for more than one more.
    let lost: u32 = lost.sum();
    assert!((3..20).contains(&lost), "{page}");

    running.server.lock().unwrap().silent = false;
    running.until(active).await;
    assert!(!running.driver.is_finished());
}

/// An API server that sheds load is asked again while there is time, whatever it says, and not more
/// often than it must be.
#[tokio::test(start_paused = true)]
async fn an_overloaded_api_server_costs_the_role_only_when_its_time_is_over() {
    let mut running = start();
    running.until(active).await;
    running.server.lock().unwrap().overloaded = true;
    sleep(Duration::from_secs(11)).await;
    running.server.lock().unwrap().overloaded = false;
    sleep(Duration::from_secs(60)).await;
    let published = running.states.borrow().clone();
    assert_eq!((published.transitions, published.standing.term), (1, 1));
    let server = running.server.lock().unwrap();
    let refused = server.writes.iter().filter(|w| w.starts_with("503 PUT"));
    let refused = refused.count();
    assert!((1..=5).contains(&refused), "{:?}", server.writes);
}

#[tokio::test(start_paused = true)]
async fn a_move_is_told_once_and_a_quiet_group_says_nothing() {
    let mut running = start();
    running.until(active).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(running.told(), ["Lease", "Pod"]);
    sleep(Duration::from_secs(600)).await;
    assert!(running.told().is_empty());
    running.terminate.send(()).unwrap();
    running.driver.await.unwrap();
    let last = running.events.recv().await.unwrap();
    assert_eq!(last.note, "passive: it freed the Lease");
}

#[tokio::test(start_paused = true)]
async fn the_end_comes_in_time_even_if_nobody_answers() {
    let mut running = start();
    running.until(active).await;
    running.server.lock().unwrap().silent = true;
    running.terminate.send(()).unwrap();
    let began = tokio::time::Instant::now();
    running.driver.await.unwrap();
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap();
    assert!(
        (LAST_MS_MAX..LAST_MS_MAX + 10).contains(&took_ms),
        "{took_ms} ms"
    );
}

#[tokio::test(start_paused = true)]
async fn where_the_status_may_not_be_written_the_pod_is() {
    let mut running = start_with(Server {
        no_status_right: true,
        ..Server::new()
    });
    running.until(active).await;
    assert_eq!(running.label(), "active");
    let server = running.server.lock().unwrap();
    let refused = server.writes.iter().filter(|w| w.ends_with("/status"));
    assert_eq!(refused.count(), 1, "tried once: {:?}", server.writes);
}
