//! The rule, case by case; the chart's policy must say the same.

use super::*;
use serde_json::json;

fn service(annotations: Value, selector: Value) -> Value {
    json!({"metadata": {"name": "web", "annotations": annotations}, "spec": {"selector": selector}})
}

/// What a patched Service says: active, term, selector key.
#[track_caller]
fn check(
    service: &Value,
    old: Option<&Value>,
    expected: (Option<&str>, Option<&str>, Option<&str>),
) -> Value {
    let route = route(service, old);
    let patch: json_patch::Patch =
        serde_json::from_value(serde_json::to_value(&route.ops).unwrap()).unwrap();
    let mut patched = service.clone();
    json_patch::patch(&mut patched, &patch).unwrap();
    let key = selector(&patched).and_then(|selector| selector.get(contract::POD)?.as_str());
    let found = (
        annotation(&patched, contract::ACTIVE),
        annotation(&patched, contract::TERM),
        key,
    );
    assert_eq!(found, expected, "{service} was {old:?}");
    assert_eq!(super::route(&patched, old).ops, [], "a second time");
    patched
}

const GROUP: &str = contract::GROUP;
const ACTIVE: &str = contract::ACTIVE;
const TERM: &str = contract::TERM;
const POD: &str = contract::POD;

#[test]
fn a_new_service_waits_for_a_leader() {
    let new = service(json!({GROUP: "web"}), json!({"app": "web"}));
    check(&new, None, (Some("none"), None, Some("none")));
    let open = service(
        json!({GROUP: "web", "active-passive.dev/before-leader": "all"}),
        json!({"app": "web"}),
    );
    check(&open, None, (None, None, None));
}

#[test]
fn a_leader_moves_it_with_its_annotations() {
    let new = service(json!({GROUP: "web"}), json!({"app": "web"}));
    let old = check(&new, None, (Some("none"), None, Some("none")));
    let mut led = old.clone();
    led["metadata"]["annotations"][ACTIVE] = json!("uid-1");
    led["metadata"]["annotations"][TERM] = json!("1");
    check(&led, Some(&old), (Some("uid-1"), Some("1"), Some("uid-1")));
}

#[test]
fn whoever_applies_it_without_our_keys_keeps_them() {
    let old = service(
        json!({GROUP: "web", ACTIVE: "uid-1", TERM: "7"}),
        json!({"app": "web", POD: "uid-1"}),
    );
    let applied = service(json!({GROUP: "web"}), json!({"app": "web"}));
    check(
        &applied,
        Some(&old),
        (Some("uid-1"), Some("7"), Some("uid-1")),
    );
}

#[test]
fn without_the_group_it_is_given_back() {
    let old = service(
        json!({GROUP: "web", ACTIVE: "uid-1", TERM: "7"}),
        json!({"app": "web", POD: "uid-1"}),
    );
    let bare = service(json!({}), json!({"app": "web", POD: "uid-1"}));
    check(&bare, Some(&old), (None, None, None));
}

#[test]
fn another_group_starts_anew() {
    let old = service(
        json!({GROUP: "web", ACTIVE: "uid-1", TERM: "7"}),
        json!({"app": "web", POD: "uid-1"}),
    );
    let mut moved = old.clone();
    moved["metadata"]["annotations"][GROUP] = json!("shop");
    check(&moved, Some(&old), (Some("none"), Some("7"), Some("none")));
}

#[test]
fn other_services_are_left_alone() {
    for other in [
        service(json!({}), json!({"app": "web"})),
        json!({"metadata": {"annotations": {GROUP: "web"}}, "spec": {}}),
        json!({"metadata": {"annotations": {GROUP: "web"}}, "spec": {"selector": null}}),
        json!(null),
        json!([1]),
    ] {
        assert_eq!(route(&other, None), Route::default(), "{other}");
    }
}

#[test]
fn a_headless_service_gets_a_warning() {
    let mut headless = service(json!({GROUP: "web"}), json!({"app": "web"}));
    headless["spec"]["clusterIP"] = json!("None");
    let expected = "this Service is headless: only the active pod keeps its name in DNS";
    assert_eq!(route(&headless, None).warnings, [expected]);
}

const MODE: &str = contract::MODE;
const COMPAT: &str = contract::COMPAT_MODE;
const DESIGNATION: &str = contract::COMPAT_DESIGNATION;

#[test]
fn in_service_mode_the_selector_stands_until_a_pod_is_designated() {
    let new = service(json!({MODE: "active-passive"}), json!({"app": "web"}));
    check(&new, None, (None, None, None));
    let plain = service(json!({}), json!({"app": "web"}));
    check(&new, Some(&plain), (None, None, None));
    let mut pointed = new.clone();
    pointed["metadata"]["annotations"][ACTIVE] = json!("uid-1");
    let pointed = check(&pointed, Some(&new), (Some("uid-1"), None, Some("uid-1")));
    assert_eq!(
        pointed.pointer("/spec/selector").unwrap().get(DESIGNATION),
        None
    );
    // Applied again, without what we wrote.
    check(&new, Some(&pointed), (Some("uid-1"), None, Some("uid-1")));
}

#[test]
fn the_key_of_active_standby_controller_comes_and_goes_with_its_annotation() {
    let asks = json!({COMPAT: "active-standby"});
    let new = service(asks.clone(), json!({"app": "web"}));
    check(&new, None, (None, None, None));
    let mut pointed = new.clone();
    pointed["metadata"]["annotations"][ACTIVE] = json!("uid-1");
    let pointed = check(&pointed, Some(&new), (Some("uid-1"), None, Some("uid-1")));
    let both = json!({"app": "web", POD: "uid-1", DESIGNATION: "active"});
    assert_eq!(pointed["spec"]["selector"], both);
    // Declined: asked for, and not given.
    let mut declined = pointed.clone();
    declined["metadata"]["annotations"][ACTIVE] = json!("");
    let declined = check(&declined, Some(&pointed), (Some(""), None, None));
    assert_eq!(declined["spec"]["selector"], json!({"app": "web"}));
    // Not asked for any more.
    let mut bare = pointed.clone();
    bare["metadata"]["annotations"]
        .as_object_mut()
        .unwrap()
        .remove(COMPAT);
    let bare = check(&bare, Some(&pointed), (None, None, None));
    assert_eq!(bare["spec"]["selector"], json!({"app": "web"}));
}

/// While active-standby-controller routes by its key, or has until now, the key stays until a pod is
/// designated: without it the Service would serve all pods.
#[test]
fn the_key_that_active_standby_controller_wrote_stays_until_a_pod_is_designated() {
    let asks = service(json!({COMPAT: "active-standby"}), json!({"app": "web"}));
    let mut theirs = asks.clone();
    theirs["spec"]["selector"][DESIGNATION] = json!("active");
    let routed = check(&theirs, Some(&asks), (None, None, None));
    assert_eq!(routed["spec"]["selector"], theirs["spec"]["selector"]);
    let applied = check(&theirs, Some(&theirs), (None, None, None));
    assert_eq!(applied["spec"]["selector"], theirs["spec"]["selector"]);
    let mut pointed = theirs.clone();
    pointed["metadata"]["annotations"][ACTIVE] = json!("uid-1");
    let pointed = check(
        &pointed,
        Some(&theirs),
        (Some("uid-1"), None, Some("uid-1")),
    );
    assert_eq!(pointed["spec"]["selector"][DESIGNATION], "active");
    // Not asked for any more, before a pod was designated.
    let mut bare = theirs.clone();
    bare["metadata"]["annotations"] = json!({});
    let bare = check(&bare, Some(&theirs), (None, None, None));
    assert_eq!(bare["spec"]["selector"], json!({"app": "web"}));
}

#[test]
fn a_key_that_the_owner_wrote_is_no_business_of_ours() {
    let by_hand = service(json!({}), json!({"app": "web", DESIGNATION: "active"}));
    let same = check(&by_hand, Some(&by_hand), (None, None, None));
    assert_eq!(same, by_hand);
    let mut asks = by_hand.clone();
    asks["metadata"]["annotations"] = json!({COMPAT: "active-standby"});
    let asks = check(&asks, Some(&by_hand), (None, None, None));
    assert_eq!(asks["spec"]["selector"], by_hand["spec"]["selector"]);
}

#[test]
fn between_group_and_service_mode_nothing_is_carried_over() {
    let led = service(
        json!({GROUP: "web", ACTIVE: "uid-1", TERM: "7"}),
        json!({"app": "web", POD: "uid-1"}),
    );
    let mut mode = led.clone();
    mode["metadata"]["annotations"] = json!({MODE: "active-passive", ACTIVE: "uid-1", TERM: "7"});
    let mode = check(&mode, Some(&led), (None, None, None));
    let mut pointed = mode.clone();
    pointed["metadata"]["annotations"][ACTIVE] = json!("uid-2");
    let pointed = check(&pointed, Some(&mode), (Some("uid-2"), None, Some("uid-2")));
    let group = service(
        json!({GROUP: "web", MODE: "active-passive", ACTIVE: "uid-2"}),
        pointed["spec"]["selector"].clone(),
    );
    check(&group, Some(&pointed), (Some("none"), None, Some("none")));
}
