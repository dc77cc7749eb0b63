use super::*;
use crate::tests::{groups_of, now, objects};
use common::contract;
use serde_json::{Value, json};

/// The settled group: web-3 is active, web-1 can follow, web-2 is not ready.
fn settled(change: impl Fn(&mut Vec<Value>)) -> Group {
    let mut objects = objects("settled");
    change(&mut objects);
    groups_of(&objects).remove(0)
}

/// The object of this kind and name.
fn find<'a>(objects: &'a mut [Value], kind: &str, name: &str) -> &'a mut Value {
    let mut found = objects.iter_mut();
    found
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .unwrap()
}

/// Sets an annotation of the Lease; null takes it away.
fn annotate(objects: &mut [Value], key: &str, value: Value) {
    let annotations = &mut find(objects, "Lease", "web")["metadata"]["annotations"];
    let annotations = annotations.as_object_mut().unwrap();
    match value {
        Value::Null => drop(annotations.remove(key)),
        value => drop(annotations.insert(key.to_owned(), value)),
    }
}

fn refused(group: &Group, to: Option<&str>) -> String {
    plan(group, to, now()).unwrap_err()
}

#[test]
fn a_wish_that_can_be_met_is_asked_for() {
    let from = Before {
        pod: "web-3".to_owned(),
        uid: "u-3".to_owned(),
        term: 3,
    };
    for (to, wanted) in [(None, "any"), (Some("web-1"), "web-1")] {
        let wanted = wanted.to_owned();
        let from = from.clone();
        assert_eq!(
            plan(&settled(|_| {}), to, now()),
            Ok(Plan::Ask { wanted, from })
        );
    }
}

#[test]
fn who_is_active_already_is_not_asked_for_again() {
    let plan = plan(&settled(|_| {}), Some("web-3"), now());
    assert_eq!(
        plan,
        Ok(Plan::Nothing("web-3 is active already\n".to_owned()))
    );
}

#[test]
fn a_wish_that_cannot_be_met_is_refused_with_the_reason() {
    let group = settled(|_| {});
    assert_eq!(
        refused(&group, Some("web-2")),
        "web-2 cannot become active: its app is not ready; these can: web-1"
    );
    assert_eq!(
        refused(&group, Some("web-9")),
        "group web has no pod web-9; these can: web-1"
    );
    let alone = settled(|objects| {
        find(objects, "Pod", "web-1")["metadata"]["deletionTimestamp"] =
            json!("2026-02-03T04:09:59Z");
    });
    assert_eq!(
        refused(&alone, None),
        "no other pod can become active (web-1: it is terminating; web-2: its app is not ready)"
    );
    let paused = settled(|objects| annotate(objects, contract::PAUSED, json!("true")));
    assert!(refused(&paused, None).contains("`kubectl active-passive resume web` first"));
    let pending = settled(|objects| annotate(objects, contract::SWITCHOVER, json!("web-1")));
    assert_eq!(
        refused(&pending, None),
        "a switchover to web-1 is not answered yet"
    );
    let expired = settled(|objects| {
        find(objects, "Lease", "web")["spec"]["renewTime"] = json!("2026-02-03T04:09:00.000000Z");
    });
    assert!(refused(&expired, None).contains("the Lease of web-3 expired 45s ago"));
}

/// A planned move as the objects show it, step by step.
#[test]
fn a_switchover_is_done_once_role_label_and_services_have_moved() {
    let before = Before {
        pod: "web-3".to_owned(),
        uid: "u-3".to_owned(),
        term: 3,
    };
    let mut objects = objects("settled");
    let mut step = |change: &dyn Fn(&mut Vec<Value>)| {
        change(&mut objects);
        progress(&groups_of(&objects).remove(0), &before, Some("web-1"))
    };
    let waiting = |text: &str| Progress::Waiting(text.to_owned());
    let asked = step(&|objects| annotate(objects, contract::SWITCHOVER, json!("any")));
    assert_eq!(asked, waiting("web-3 has not answered yet"));

    let directed = step(&|objects| {
        annotate(objects, contract::SWITCHOVER, Value::Null);
        let history = r#"[{"term":4,"pod":"web-1","at":"x","kind":"switchover"}]"#;
        annotate(objects, contract::HISTORY, json!(history));
        let spec = &mut find(objects, "Lease", "web")["spec"];
        (spec["holderIdentity"], spec["leaseTransitions"]) = (json!("web-1_u-1"), json!(4));
    });
    assert_eq!(directed, waiting("web-1 has not confirmed yet"));

    let confirmed = step(&|objects| {
        let history = r#"[{"term":4,"pod":"web-1","at":"x","kind":"switchover","duration_ms":9}]"#;
        annotate(objects, contract::HISTORY, json!(history));
    });
    assert_eq!(confirmed, waiting("web-1 is not labelled active yet"));

    let labelled = step(&|objects| {
        find(objects, "Pod", "web-1")["metadata"]["labels"][contract::ROLE] = json!("active");
    });
    assert_eq!(
        labelled,
        waiting("Service web still sends traffic to web-3")
    );

    let routed = step(&|objects| {
        find(objects, "Service", "web")["spec"]["selector"][contract::POD] = json!("u-1");
    });
    assert_eq!(routed, Progress::Moved("web-1".to_owned()));
}

#[test]
fn a_request_that_is_gone_while_the_holder_stays_was_refused() {
    let before = Before {
        pod: "web-3".to_owned(),
        uid: "u-3".to_owned(),
        term: 3,
    };
    let stays = settled(|_| {});
    assert_eq!(progress(&stays, &before, None), Progress::Refused);
}

#[test]
fn a_role_that_went_to_another_pod_than_the_one_asked_for_is_not_done() {
    let before = Before {
        pod: "web-1".to_owned(),
        uid: "u-1".to_owned(),
        term: 2,
    };
    let group = settled(|_| {});
    let there = "web-3".to_owned();
    let elsewhere = Progress::Elsewhere(there.clone());
    assert_eq!(progress(&group, &before, Some("web-2")), elsewhere);
    for to in [None, Some("web-3")] {
        assert_eq!(
            progress(&group, &before, to),
            Progress::Moved(there.clone())
        );
    }
}
