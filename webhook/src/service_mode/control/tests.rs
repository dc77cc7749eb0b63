//! What a namespace with very many Services costs, and that the others are served meanwhile.

use super::*;
use crate::fake_api::FakeApi;
use crate::service_mode::facts::{Claim, Labels, PodFacts};
use crate::service_mode::plan::UNITS_MAX;
use common::contract;

const PODS: usize = 200;
const SERVICES: usize = 1000;

fn name(namespace: &str, name: &str) -> Name {
    Name {
        namespace: namespace.into(),
        name: name.into(),
    }
}

fn selector(index: usize) -> Labels {
    [(format!("key-{index:04}").into(), "yes".into())].into()
}

/// Selects all pods, by a label of its own.
fn service(namespace: &str, index: usize) -> ServiceFacts {
    ServiceFacts {
        name: name(namespace, &format!("service-{index:04}")),
        uid: format!("uid-{namespace}-{index}").into(),
        version: 1,
        created: format!("2026-11-21T20:{:02}:{:02}Z", index / 60, index % 60).into(),
        claim: Claim {
            own: true,
            compat: false,
        },
        grouped: false,
        selector: selector(index),
        active: None,
        selected: None,
        compat_selected: false,
    }
}

/// Marked as Service mode marks them, and selected by each of that many Services.
fn pod(namespace: &str, index: usize, services: usize) -> PodFacts {
    let uid: Box<str> = format!("uid-{namespace}-{index}").into();
    let own = (contract::POD.into(), uid.clone());
    let keys = (0..services).flat_map(selector);
    PodFacts {
        name: name(namespace, &format!("pod-{index}")),
        uid,
        version: 1,
        created: "2026-11-21T20:00:00Z".into(),
        labels: std::iter::once(own).chain(keys).collect(),
        marked: true,
        ready: true,
        terminating: false,
        revision: "".into(),
    }
}

fn is_of(work: &Work, namespace: &str) -> bool {
    match work {
        Work::Unit(of, _) | Work::Leftovers(of) => **of == *namespace,
    }
}

#[tokio::test]
async fn a_namespace_with_very_many_services_takes_its_turn_only() {
    let mut known = Known::default();
    let services = (0..SERVICES).map(|index| service("crowd", index));
    known.list_services(services.chain([service("shop", 0)]).collect());
    let pods = (0..PODS).map(|index| pod("crowd", index, SERVICES));
    known.list_pods(pods.chain([pod("shop", 0, 1)]).collect());
    let reason = |index| known.declined("crowd", &selector(index));
    assert_eq!(reason(0), None);
    let shared = Decline::Shared("service-0000".into());
    assert_eq!(reason(UNITS_MAX - 1), Some(shared));
    assert_eq!(reason(UNITS_MAX), Some(Decline::Crowded));

    let shared = Arc::new(Shared::new(known));
    let client = FakeApi::new().client();
    let mut controller = Controller::new(client, shared.clone(), Arc::default());
    let until = Mono::from_ms(now().as_ms() + 60_000);
    let began = std::time::Instant::now();
    assert!(controller.work(until), "the first go does not do all");
    assert!(
        controller.busy.iter().any(|work| is_of(work, "shop")),
        "the other namespace is served in it: {:?}",
        controller.busy
    );
    let mut goes = 1;
    while controller.work(until) {
        goes += 1;
        assert!(goes < 2 * SERVICES / PLANS_MAX, "{goes} goes");
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(controller.declined.len(), SERVICES - 1, "each is told of");
    let strays = shared.lock().strays("crowd").len();
    assert_eq!(strays, 0, "the oldest Service keeps its pods");
}

#[test]
fn the_next_oldest_takes_the_place_of_one_that_goes() {
    let mut known = Known::default();
    known.list_pods(vec![pod("crowd", 0, UNITS_MAX + 1)]);
    let services = (0..=UNITS_MAX).map(|index| service("crowd", index));
    known.list_services(services.collect());
    let youngest = selector(UNITS_MAX);
    let reason = |known: &Known| known.declined("crowd", &youngest);
    assert_eq!(reason(&known), Some(Decline::Crowded));
    known.lose_service(&name("crowd", "service-0000"));
    let older = Decline::Shared("service-0001".into());
    assert_eq!(reason(&known), Some(older));
}
