use super::*;
use crate::client;
use crate::facts::Facts;
use crate::watch::Watch;
use crate::watched::{GroupPods, News};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use kube::Client;
use kube::client::Body;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;
use tokio::time::sleep;

/// After a cut that lasted for a minute, whatever was under way is lost; what is sent later is
/// answered after this time, milliseconds.
const ROUND_TRIP_MS: u64 = 20;

/// An API server behind a network that swallows everything while it is cut.
#[derive(Clone, Default)]
struct Road {
    healed: Arc<AtomicBool>,
    looked: Arc<Mutex<Vec<Instant>>>,
}

impl Road {
    fn client(&self) -> Client {
        let healed = self.healed.clone();
        let service = tower::service_fn(move |_: Request<Body>| {
            let passes = healed.load(Ordering::Relaxed);
            async move {
                if !passes {
                    return std::future::pending().await;
                }
                sleep(Duration::from_millis(ROUND_TRIP_MS)).await;
                let list = json!({"metadata": {"resourceVersion": "7"}, "items": []});
                let body = Full::new(Bytes::from(list.to_string()));
                Ok::<_, Infallible>(http::Response::new(body))
            }
        });
        Client::new(service, "shop")
    }

    fn look(&self) -> impl Future<Output = bool> + Send + use<> {
        self.looked.lock().unwrap().push(Instant::now());
        let client = self.client();
        async move {
            let read = client::request(Method::GET, "/lease", None);
            client::call(&client, read).await.is_ok()
        }
    }
}

/// Neither the wait of a watch nor a request of before that hangs keeps it, whenever the cut ends.
#[tokio::test(start_paused = true)]
async fn a_watch_is_back_within_a_second_after_a_cut() {
    for phase_ms in (0..2_500).step_by(50) {
        let (road, contact) = (Road::default(), Arc::new(Contact::default()));
        let (sender, mut news) = mpsc::channel(8);
        let config = Arc::new(crate::tests::config());
        let pods = GroupPods::new(config, Facts::default());
        let watch = Watch::new(road.client(), pods, Arc::default(), contact.clone(), sender);
        let watch = tokio::spawn(watch.run());
        let looks = road.clone();
        let lookout = tokio::spawn(keep(contact.clone(), phase_ms, move || looks.look()));
        contact.lost();
        sleep(Duration::from_millis(60_000 + phase_ms)).await;
        let healed_at = Instant::now();
        road.healed.store(true, Ordering::Relaxed);
        let News::Input(_) = news.recv().await.unwrap() else {
            panic!("no list")
        };
        let took = healed_at.elapsed();
        assert!(took < Duration::from_millis(900), "{phase_ms}: {took:?}");
        watch.abort();
        lookout.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn it_looks_twice_a_second_while_nobody_answers_and_then_no_more() {
    let (road, contact) = (Road::default(), Arc::new(Contact::default()));
    let looks = road.clone();
    tokio::spawn(keep(contact.clone(), 1, move || looks.look()));
    let looked = || road.looked.lock().unwrap().len();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(looked(), 0, "nothing is lost");
    contact.lost();
    sleep(Duration::from_secs(10)).await;
    assert!((19..=20).contains(&looked()), "{}", looked());
    road.healed.store(true, Ordering::Relaxed);
    sleep(Duration::from_secs(1)).await;
    assert!(!contact.is_lost());
    let enough = looked();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(looked(), enough);
}
