use super::*;
use inject::policy::Policy;

fn found(status: Value, policy: Result<Arc<Policy>, Vec<String>>) -> Found {
    Found {
        version: "7".to_owned(),
        generation: 3,
        status,
        policy,
    }
}

fn sound() -> Result<Arc<Policy>, Vec<String>> {
    Policy::new("p", Default::default()).map(Arc::new)
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

#[test]
fn equal_counts_make_an_equal_status_and_a_condition_keeps_its_time() {
    let tally = Tally {
        namespaces: 1,
        matched: 2,
        injected: 1,
        not_yet: 1,
        ..Tally::default()
    };
    let first = status(
        &found(Value::Null, sound()),
        Some(&tally),
        at("2026-01-01T00:00:00Z"),
    );
    let again = status(
        &found(first.clone(), sound()),
        Some(&tally),
        at("2026-01-02T00:00:00Z"),
    );
    assert_eq!(again, first, "which is not written again");

    let done = Tally {
        injected: 2,
        not_yet: 0,
        ..tally
    };
    let then = status(
        &found(first.clone(), sound()),
        Some(&done),
        at("2026-01-03T00:00:00Z"),
    );
    let condition = |status: &Value, name: &str| {
        let all = status["conditions"].as_array().unwrap();
        let one = all.iter().find(|it| it["type"] == name).unwrap();
        (one["status"].clone(), one["lastTransitionTime"].clone())
    };
    let (status_then, since) = condition(&then, "RolledOut");
    assert_eq!(
        (status_then, since),
        (json!("True"), json!("2026-01-03T00:00:00Z"))
    );
    assert_eq!(condition(&then, "InForce"), condition(&first, "InForce"));
    assert_eq!(
        (&then["matched"], &then["observedGeneration"]),
        (&json!(2), &json!(3))
    );
}

#[test]
fn a_policy_without_effect_says_why_and_keeps_no_counts() {
    let tally = Tally {
        matched: 2,
        ..Tally::default()
    };
    let now = at("2026-01-01T00:00:00Z");
    let before = status(&found(Value::Null, sound()), Some(&tally), now);
    let wrong = found(before.clone(), Err(vec!["spec.defaults: no".to_owned()]));
    let after = status(&wrong, None, now);
    let condition = &after["conditions"][0];
    assert_eq!(
        (&condition["status"], &condition["reason"]),
        (&json!("False"), &json!("Invalid"))
    );
    assert_eq!(condition["message"], "spec.defaults: no");
    assert!(after["matched"].is_null());
    assert!(replacing(&before, &after).as_object().unwrap()["matched"].is_null());
    assert!(
        replacing(&before, &after)
            .as_object()
            .unwrap()
            .contains_key("matched")
    );

    let late = status(&found(Value::Null, sound()), None, now);
    assert_eq!(late["conditions"][0]["reason"], "TooMany");
}
