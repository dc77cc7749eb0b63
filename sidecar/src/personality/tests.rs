use super::*;
use crate::lease::Fence;
use crate::personality::begin::settings;
use common::pod::Pod;
use election::Giving;
use serde_json::json;

fn asked_for(arguments: &[&str], vars: &[(&str, &str)]) -> Result<Option<Asked>, Refused> {
    let lookup = |name: &str| {
        let mut vars = vars.iter();
        vars.find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    asked(arguments, &lookup)
}

fn pod(labels: &serde_json::Value) -> Pod {
    let pod = json!({"metadata": {
        "name": "apsc-test-1", "uid": "u-1", "resourceVersion": "7", "labels": labels,
    }});
    serde_json::from_value(pod).unwrap()
}

const POD: (&str, &str) = ("POD_NAME", "apsc-test-1");
const NAMESPACE: (&str, &str) = ("POD_NAMESPACE", "shop");

#[test]
fn nobody_is_taken_for_another_system_by_chance() {
    for vars in [
        &[][..],
        &[POD, NAMESPACE],
        &[
            POD,
            NAMESPACE,
            ("ACTIVE_PASSIVE_GROUP", "web"),
            ("LABEL_KEY", "a/b"),
        ],
    ] {
        assert_eq!(asked_for(&[], vars), Ok(None), "{vars:?}");
    }
    let refused = asked_for(&[], &[("ACTIVE_PASSIVE_PERSONALITY", "abc")]).unwrap_err();
    assert_eq!(refused.exit_code, 2);
    assert!(
        refused.message.contains("apsc, service-leader-election"),
        "{refused}"
    );
}

#[test]
fn apsc_is_known_by_its_own_variable_or_by_name() {
    let by_key = asked_for(&[], &[POD, NAMESPACE, ("LABEL_KEY", "example.com/state")]);
    assert_eq!(by_key.unwrap().unwrap().role_label.key, "example.com/state");
    let by_name = asked_for(
        &[],
        &[POD, NAMESPACE, ("ACTIVE_PASSIVE_PERSONALITY", "apsc")],
    );
    let role_label = by_name.unwrap().unwrap().role_label;
    assert_eq!(role_label.key, "apsc.knoppiks.de/state");
    assert_eq!(
        (role_label.active.as_str(), role_label.passive),
        ("active", None)
    );
}

#[test]
fn apsc_says_what_is_missing_in_its_own_words() {
    let personality = ("ACTIVE_PASSIVE_PERSONALITY", "apsc");
    for (vars, message) in [
        (&[personality, POD][..], "missing POD_NAMESPACE env var"),
        (&[personality, NAMESPACE], "missing POD_NAME env var"),
        (
            &[personality, NAMESPACE, ("POD_NAME", "")],
            "missing POD_NAME env var",
        ),
    ] {
        let refused = asked_for(&[], vars).unwrap_err();
        assert_eq!(
            (refused.message.as_str(), refused.exit_code),
            (message, 255)
        );
    }
}

#[test]
fn apsc_names_its_lease_after_two_labels() {
    let asked = asked_for(&[], &[POD, NAMESPACE, ("LABEL_KEY", "example.com/state")]);
    let asked = asked.unwrap().unwrap();
    let labels = json!({
        "app.kubernetes.io/name": "apsc-test", "app.kubernetes.io/component": "server",
    });
    let config = settings(&asked, &pod(&labels), |_| None).unwrap();
    assert_eq!(config.lease.name, "apsc-test-server");
    assert_eq!(config.lease.fence, Fence::Unsaid);
    assert_eq!(config.params.customs.giving, Giving::StrippedAndFreed);
    assert_eq!(config.params.identity.uid, "u-1");
    assert!(config.members.has(&pod(&labels).metadata));
    assert!(!config.members.has(&pod(&json!({})).metadata));
    let refused = settings(&asked, &pod(&json!({})), |_| None).unwrap_err();
    assert_eq!(refused.exit_code, 255);
    assert!(
        refused.message.contains("app.kubernetes.io/name"),
        "{refused}"
    );
}
