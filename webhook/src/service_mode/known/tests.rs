//! Which pods belong to which Services, while both come and go.

use super::*;
use common::contract;
use common::pod::Pod;
use common::service::Service;
use serde_json::{Value, json};

fn pod(name: &str, version: u64, labels: &Value, annotations: &Value) -> PodFacts {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {
            "namespace": "shop", "name": name, "uid": format!("uid-{name}"),
            "resourceVersion": version.to_string(), "labels": labels,
            "annotations": annotations,
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }))
    .unwrap();
    PodFacts::of(&pod).unwrap()
}

fn web(name: &str) -> PodFacts {
    pod(name, 1, &json!({"app": "web"}), &json!({}))
}

fn service(name: &str, created_s: u32, selector: &Value) -> ServiceFacts {
    annotated(
        name,
        created_s,
        selector,
        &json!({contract::MODE: "active-passive"}),
    )
    .unwrap()
}

fn annotated(
    name: &str,
    created_s: u32,
    selector: &Value,
    annotations: &Value,
) -> Option<ServiceFacts> {
    let service: Service = serde_json::from_value(json!({
        "metadata": {
            "namespace": "shop", "name": name, "uid": format!("uid-{name}"),
            "resourceVersion": (10 + created_s).to_string(),
            "creationTimestamp": format!("2026-11-21T20:00:{created_s:02}Z"),
            "annotations": annotations,
        },
        "spec": {"selector": selector},
    }))
    .unwrap();
    ServiceFacts::of(&service)
}

/// What is due, until nothing is.
fn due(known: &mut Known) -> Vec<Work> {
    std::iter::from_fn(|| known.next(|_| false)).collect()
}

fn members(known: &Known, service: &ServiceFacts) -> Vec<String> {
    let unit = known.unit("shop", &service.selector);
    let pods = unit.map(|unit| unit.pods).unwrap_or_default();
    pods.iter().map(|pod| pod.name.name.to_string()).collect()
}

#[test]
fn pods_belong_to_services_whichever_comes_first() {
    let mut known = Known::default();
    let shop = service("shop", 1, &json!({"app": "web"}));
    known.see_pod(web("a"));
    known.see_service(shop.clone());
    known.see_pod(web("b"));
    known.see_pod(pod("other", 1, &json!({"app": "cron"}), &json!({})));
    assert_eq!(members(&known, &shop), ["a", "b"]);
    due(&mut known);
    known.see_pod(pod("b", 2, &json!({"app": "cron"}), &json!({})));
    assert_eq!(members(&known, &shop), ["a"], "its labels have changed");
    assert_eq!(due(&mut known).len(), 1);
    known.see_pod(web("b"));
    assert_eq!(members(&known, &shop), ["a"], "that was an older version");
    known.lose_pod("shop", "uid-a");
    assert_eq!(members(&known, &shop), [""; 0]);
}

#[test]
fn an_answer_does_not_bring_back_what_is_gone() {
    let mut known = Known::default();
    let shop = service("shop", 1, &json!({"app": "web"}));
    known.see_service(shop.clone());
    known.see_pod(web("a"));
    known.lose_pod("shop", "uid-a");
    known.answer_pod(web("a"));
    assert_eq!(members(&known, &shop), [""; 0]);
    known.lose_service(&shop.name);
    known.answer_service(shop);
    assert_eq!(known.services(), 0);
}

#[test]
fn a_list_takes_away_what_it_does_not_name() {
    let mut known = Known::default();
    let shop = service("shop", 1, &json!({"app": "web"}));
    known.list_services(vec![shop.clone()]);
    known.list_pods(vec![web("a"), web("b")]);
    known.list_pods(vec![web("b")]);
    assert_eq!(members(&known, &shop), ["b"]);
    known.list_services(Vec::new());
    assert_eq!(known.services(), 0);
}

#[test]
fn services_that_select_the_same_share_one_pod() {
    let mut known = Known::default();
    let (shop, headless) = (
        service("shop", 1, &json!({"app": "web"})),
        service(
            "headless",
            2,
            &json!({"app": "web", contract::POD: "uid-a"}),
        ),
    );
    known.see_service(headless);
    known.see_service(shop.clone());
    let unit = known.unit("shop", &shop.selector).unwrap();
    let names: Vec<_> = unit.services.iter().map(|it| &*it.name.name).collect();
    assert_eq!(names, ["shop", "headless"], "the older one first");
    assert_eq!(known.declined("shop", &shop.selector), None);
}

#[test]
fn of_services_that_share_some_pods_the_younger_is_declined() {
    let mut known = Known::default();
    let old = service("old", 1, &json!({"app": "web"}));
    let new = service("new", 2, &json!({"tier": "front"}));
    known.see_service(new.clone());
    known.see_service(old.clone());
    known.see_pod(pod(
        "a",
        1,
        &json!({"app": "web", "tier": "front"}),
        &json!({}),
    ));
    assert_eq!(known.declined("shop", &old.selector), None);
    let declined = known.declined("shop", &new.selector);
    assert_eq!(declined, Some(Decline::Shared("old".into())));
    known.lose_service(&old.name);
    assert!(due(&mut known).contains(&Work::Unit("shop".into(), new.selector.clone())));
    assert_eq!(known.declined("shop", &new.selector), None);
}

#[test]
fn pods_with_a_sidecar_are_left_to_their_leader() {
    let mut known = Known::default();
    let shop = service("shop", 1, &json!({"app": "web"}));
    known.see_service(shop.clone());
    let labels = json!({"app": "web", contract::GROUP: "web"});
    known.see_pod(pod("a", 1, &labels, &json!({})));
    let declined = known.declined("shop", &shop.selector);
    assert_eq!(declined, Some(Decline::Sidecar("a".into())));
}

#[test]
fn what_has_no_unit_is_explained() {
    let mut known = Known::new(vec!["kube-system".to_owned()]);
    known.see_service(service("bare", 1, &json!({})));
    let group = json!({contract::GROUP: "web", contract::COMPAT_MODE: "active-standby"});
    known.see_service(annotated("grouped", 2, &json!({"app": "web"}), &group).unwrap());
    let loose: Vec<_> = known.loose_services("shop");
    let reasons: Vec<_> = loose.iter().map(|(_, reason)| reason.clone()).collect();
    assert_eq!(reasons, [Some(Decline::NoSelector), Some(Decline::Group)]);
    let mut system = service("dns", 1, &json!({"app": "dns"}));
    system.name.namespace = "kube-system".into();
    known.see_service(system);
    let loose = known.loose_services("kube-system");
    assert_eq!(loose[0].1, Some(Decline::Namespace));
}

#[test]
fn a_service_of_nobody_is_not_kept() {
    let selector = json!({"app": "web"});
    assert_eq!(annotated("plain", 1, &selector, &json!({})), None);
    let other = json!({contract::MODE: "something"});
    assert_eq!(annotated("other", 1, &selector, &other), None);
    let group = json!({contract::GROUP: "web", contract::ACTIVE: "uid-a"});
    assert_eq!(annotated("led", 1, &selector, &group), None);
    let left = json!({contract::ACTIVE: "uid-a"});
    assert!(annotated("left", 1, &selector, &left).is_some());
}

#[test]
fn marked_pods_without_a_service_are_strays() {
    let mut known = Known::default();
    let shop = service("shop", 1, &json!({"app": "web"}));
    known.see_service(shop.clone());
    let mark = json!({contract::MODE: "active-passive"});
    known.see_pod(pod("a", 1, &json!({"app": "web"}), &mark));
    known.see_pod(web("b"));
    assert!(known.strays("shop").is_empty());
    due(&mut known);
    known.lose_service(&shop.name);
    assert_eq!(due(&mut known), [Work::Leftovers("shop".into())]);
    let strays = known.strays("shop");
    assert_eq!(strays.len(), 1);
    assert_eq!(&*strays[0].name.name, "a");
}

#[test]
fn what_is_being_worked_on_waits() {
    let mut known = Known::default();
    known.see_service(service("shop", 1, &json!({"app": "web"})));
    let work = known.next(|_| false).unwrap();
    known.again(work.clone());
    let busy = |it: &Work| *it == work;
    assert_eq!(known.next(busy), Some(Work::Leftovers("shop".into())));
    assert_eq!(known.next(busy), None);
    assert_eq!(known.next(|_| false), Some(work));
}
