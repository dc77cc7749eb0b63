//! The planner, step by step and under every order of events.

use super::*;
use crate::service_mode::facts::Labels;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn name(name: &str) -> Name {
    Name {
        namespace: "shop".into(),
        name: name.into(),
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let sorted: BTreeMap<_, _> = pairs.iter().copied().collect();
    sorted
        .into_iter()
        .map(|(k, v)| (k.into(), v.into()))
        .collect()
}

fn pod(id: usize) -> PodFacts {
    PodFacts {
        name: name(&format!("web-{id}")),
        uid: format!("uid-{id}").into(),
        version: 1,
        created: format!("2026-11-21T20:00:00.{id:03}Z").into(),
        labels: labels(&[("app", "web")]),
        marked: false,
        ready: true,
        terminating: false,
        revision: "a".into(),
    }
}

fn service(id: usize, claim: Claim) -> ServiceFacts {
    ServiceFacts {
        name: name(&format!("web-{id}")),
        uid: format!("service-{id}").into(),
        version: 1,
        created: format!("2026-11-21T19:00:{id:02}Z").into(),
        claim,
        grouped: false,
        selector: labels(&[("app", "web")]),
        active: None,
        selected: None,
        compat_selected: false,
    }
}

const OWN: Claim = Claim {
    own: true,
    compat: false,
};
const COMPAT: Claim = Claim {
    own: false,
    compat: true,
};

/// What an API server holds, and does with writes.
#[derive(Debug, Clone)]
struct Api {
    pods: Vec<PodFacts>,
    services: Vec<ServiceFacts>,
    /// Whether the selector follows the annotation.
    derives: bool,
}

impl Api {
    fn new(pods: usize, claims: &[Claim]) -> Self {
        Self {
            pods: (0..pods).map(pod).collect(),
            services: claims
                .iter()
                .enumerate()
                .map(|(id, claim)| service(id, *claim))
                .collect(),
            derives: true,
        }
    }

    fn view(&self) -> UnitView<'_> {
        let mut pods: Vec<_> = self.pods.iter().collect();
        pods.sort_by_key(|pod| &pod.created);
        UnitView {
            services: self.services.iter().collect(),
            pods,
        }
    }

    /// `false`: it has changed since it was read.
    fn take(&mut self, write: &Write) -> bool {
        match write {
            Write::Pod(write) => {
                let found = self.pods.iter_mut().find(|pod| pod.uid == write.uid);
                let Some(pod) = found.filter(|pod| pod.version == write.version) else {
                    return false;
                };
                let mut map: BTreeMap<_, _> = pod.labels.iter().cloned().collect();
                for (key, value) in &write.labels {
                    match value {
                        Some(value) => map.insert((*key).into(), value.clone()),
                        None => map.remove(*key),
                    };
                }
                pod.labels = map.into_iter().collect();
                pod.marked = write.mark;
                pod.version += 1;
            }
            Write::Service(write) => {
                let found = self.services.iter_mut().find(|it| it.uid == write.uid);
                let Some(service) = found.filter(|it| it.version == write.version) else {
                    return false;
                };
                let uid = match &write.active {
                    Active::Pod { uid, .. } => Some(uid.clone()),
                    Active::Declined | Active::Removed => None,
                };
                if self.derives || write.selector.is_some() {
                    service.compat_selected = service.claim.compat && uid.is_some();
                    service.selected = uid.clone();
                }
                service.active = uid;
                service.version += 1;
            }
        }
        true
    }

    fn carriers(&self, key: &str) -> Vec<&str> {
        let pods = self.pods.iter().filter(|pod| pod.carries(key));
        pods.map(|pod| &*pod.name.name).collect()
    }

    fn settle(&mut self) -> Vec<Write> {
        let mut writes = Vec::new();
        while let Some(write) = next(&self.view()) {
            assert!(self.take(&write), "{write:?}");
            self.never_two();
            writes.push(write);
            assert!(writes.len() < 50, "no end: {writes:?}");
        }
        writes
    }

    fn never_two(&self) {
        for key in [contract::ROLE, contract::COMPAT_DESIGNATION] {
            assert!(self.carriers(key).len() <= 1, "{key}: {self:#?}");
        }
    }

    /// One ready pod is the one, and everything says so.
    fn is_settled_on(&self, uid: &str) {
        for service in &self.services {
            assert_eq!(service.active.as_deref(), Some(uid), "{self:#?}");
            assert_eq!(service.selected.as_deref(), Some(uid));
            assert_eq!(service.compat_selected, service.claim.compat);
        }
        let claims = self.services.iter().map(|service| service.claim);
        for key in claims.fold(Claim::default(), Claim::or).keys() {
            let pod = self.pods.iter().find(|pod| &*pod.uid == uid).unwrap();
            assert_eq!(self.carriers(key), [&*pod.name.name]);
        }
        let living = self.pods.iter().filter(|pod| !pod.terminating);
        assert!(living.clone().all(PodFacts::is_prepared), "{self:#?}");
    }
}

#[test]
fn a_first_pod_is_labelled_and_then_gets_the_traffic() {
    let mut api = Api::new(3, &[COMPAT]);
    let writes = api.settle();
    api.is_settled_on("uid-0");
    let Write::Pod(first) = &writes[0] else {
        unreachable!("{writes:?}")
    };
    assert_eq!(first.labels.len(), 2, "prepared and designated at once");
    assert!(matches!(&writes[1], Write::Service(_)), "{writes:?}");
    assert_eq!(writes.len(), 4, "two more pods are prepared: {writes:?}");
}

#[test]
fn traffic_moves_with_one_write_before_any_label() {
    let mut api = Api::new(2, &[OWN, OWN]);
    api.settle();
    api.pods[0].ready = false;
    let writes = api.settle();
    api.is_settled_on("uid-1");
    let services = writes
        .iter()
        .take(2)
        .filter(|it| matches!(it, Write::Service(_)));
    assert_eq!(services.count(), 2, "{writes:?}");
    assert_eq!(
        writes.len(),
        4,
        "then one label goes and one comes: {writes:?}"
    );
}

#[test]
fn where_the_label_is_selected_it_is_there_before_the_service_points() {
    let mut api = Api::new(2, &[COMPAT]);
    api.settle();
    api.pods[0].terminating = true;
    let writes = api.settle();
    api.is_settled_on("uid-1");
    assert!(
        matches!(writes.last(), Some(Write::Service(_))),
        "{writes:?}"
    );
}

/// The open bug of active-standby-controller.
#[test]
fn a_pod_that_flaps_does_not_take_the_role_back() {
    for claim in [OWN, COMPAT] {
        let mut api = Api::new(2, &[claim]);
        api.settle();
        api.pods[0].ready = false;
        api.settle();
        api.pods[0].ready = true;
        assert_eq!(api.settle(), [], "the role stays");
        api.is_settled_on("uid-1");
    }
}

#[test]
fn while_no_pod_is_ready_everything_stays() {
    let mut api = Api::new(2, &[OWN]);
    api.settle();
    for pod in &mut api.pods {
        pod.ready = false;
    }
    assert_eq!(api.settle(), []);
    api.is_settled_on("uid-0");
}

#[test]
fn what_another_controller_designated_is_kept_but_for_a_second_one() {
    let mut api = Api::new(3, &[COMPAT]);
    for id in [1, 2] {
        api.pods[id].labels = labels(&[("app", "web"), (contract::COMPAT_DESIGNATION, "active")]);
    }
    // It has left two behind; one of them goes at once.
    let first = next(&api.view()).unwrap();
    assert!(api.take(&first));
    while next(&api.view()).is_some_and(|write| api.take(&write)) {}
    api.never_two();
    api.is_settled_on("uid-1");
}

#[test]
fn a_rollout_moves_the_role_to_the_new_revision_at_once() {
    let mut api = Api::new(3, &[OWN]);
    api.pods[2].revision = "b".into();
    api.settle();
    api.is_settled_on("uid-2");
}

#[test]
fn a_label_that_nobody_asks_for_any_more_goes() {
    let mut api = Api::new(2, &[COMPAT]);
    api.settle();
    api.services[0].claim = OWN;
    api.settle();
    api.is_settled_on("uid-0");
    assert_eq!(api.carriers(contract::COMPAT_DESIGNATION), [""; 0]);
}

#[test]
fn where_nobody_derives_the_selector_it_is_written() {
    for claim in [OWN, COMPAT] {
        let mut api = Api::new(2, &[claim]);
        api.derives = false;
        api.settle();
        api.is_settled_on("uid-0");
        let write = give_back_service(&api.services[0], false).unwrap();
        assert!(api.take(&write));
        let service = &api.services[0];
        assert!(!service.is_routed() && !service.compat_selected);
    }
}

#[test]
fn what_is_given_back_carries_nothing_of_ours() {
    let mut api = Api::new(2, &[COMPAT]);
    api.settle();
    let strays: Vec<PodFacts> = api.pods.clone();
    let mut left = 0;
    for _ in 0..2 {
        let strays: Vec<_> = api.pods.iter().filter(|pod| pod.marked).collect();
        let write = give_back(&[], &strays).unwrap();
        assert!(api.take(&write));
        left += 1;
    }
    assert_eq!(left, strays.len());
    for pod in &api.pods {
        assert_eq!(pod.labels, labels(&[("app", "web")]));
    }
}

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A pod becomes ready or stops being it.
    Flap(usize),
    /// A pod begins to terminate.
    Terminate(usize),
    /// A pod is gone, and another one comes in its place.
    Replace(usize),
    /// The controller sees this place as it is.
    Hear(usize),
    /// The controller plans, and its write comes through if nothing has changed meanwhile.
    Act,
}

fn event() -> impl Strategy<Value = Event> {
    let pod = 0..3_usize;
    prop_oneof![
        1 => pod.clone().prop_map(Event::Flap),
        1 => pod.clone().prop_map(Event::Terminate),
        1 => pod.clone().prop_map(Event::Replace),
        4 => pod.prop_map(Event::Hear),
        4 => Just(Event::Act),
    ]
}

/// Plays events against a controller whose view of pods is late by as much as events say.
fn play(claims: &[Claim], events: &[Event]) -> Api {
    let mut api = Api::new(3, claims);
    let mut seen = api.clone();
    for (step, event) in events.iter().enumerate() {
        match *event {
            Event::Flap(at) => {
                api.pods[at].ready ^= true;
                api.pods[at].version += 1;
            }
            Event::Terminate(at) => {
                api.pods[at].terminating = true;
                api.pods[at].version += 1;
            }
            Event::Replace(at) => api.pods[at] = pod(10 + step),
            Event::Hear(at) => seen.pods[at] = api.pods[at].clone(),
            Event::Act => {
                if let Some(write) = next(&seen.view())
                    && api.take(&write)
                {
                    // The answer shows the object as it is now.
                    assert!(seen.take(&write));
                }
            }
        }
        api.never_two();
    }
    api
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_no_two_are_designated_and_in_the_end_one_is(
        compat: bool,
        two: bool,
        events in prop::collection::vec(event(), 0..60),
    ) {
        let claim = if compat { COMPAT } else { OWN };
        let claims = if two { vec![claim, OWN] } else { vec![claim] };
        let mut api = play(&claims, &events);
        api.settle();
        let eligible: Vec<_> = api.pods.iter().filter(|pod| pod.is_eligible()).collect();
        let active = api.services[0].active.clone();
        if let Some(active) = active.filter(|_| !eligible.is_empty()) {
            prop_assert!(eligible.iter().any(|pod| pod.uid == active));
            api.is_settled_on(&active);
        } else {
            prop_assert!(eligible.is_empty(), "nobody is designated: {:#?}", api);
        }
        prop_assert_eq!(next(&api.view()), None);
    }
}
