//! Decisions about one pod that is changed step by step, as other webhooks and the API server do.
//! Whole patches are in the golden folder.

use super::*;
use crate::reason::Reasons;
use serde_json::json;

fn settings() -> Settings {
    Settings {
        image: "sidecar:1".to_owned(),
        image_pull_policy: "IfNotPresent".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

fn pod() -> Value {
    json!({
        "metadata": {
            "labels": {"app": "web", "pod-template-hash": "5d9c"},
            "annotations": {"active-passive.dev/inject": "true"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5d9c", "controller": true}],
        },
        "spec": {
            "containers": [{"name": "app", "image": "app:1"}],
            "serviceAccountName": "default",
            "serviceAccount": "default",
        },
    })
}

const CREATE: RequestInfo<'static> = RequestInfo {
    namespace: "shop",
    is_create: true,
    account_missing: false,
};

#[track_caller]
fn injected(pod: &Value, request: RequestInfo<'_>) -> (Value, Injection) {
    let decision = decide(pod, &request, &settings());
    let Decision::Patch(injection) = decision else {
        panic!("{decision:?}")
    };
    let ops = serde_json::to_value(&injection.ops).unwrap();
    let patch: json_patch::Patch = serde_json::from_value(ops).unwrap();
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &patch).unwrap();
    (patched, *injection)
}

#[track_caller]
fn denied(pod: &Value) -> String {
    match decide(pod, &CREATE, &settings()) {
        Decision::Deny { reasons, .. } => reasons.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_teach() {
    let mut bad_value = pod();
    bad_value["metadata"]["annotations"]["active-passive.dev/lease-duration"] = json!("5");
    bad_value["metadata"]["annotations"]["active-passive.dev/handover"] = json!("fast");
    assert_eq!(
        denied(&bad_value),
        "active-passive.dev/lease-duration: \"5\" is no duration: write it like 15s, 1m30s or \
         500ms; active-passive.dev/handover: \"fast\" is not allowed: write \"seamless\" or \
         \"exclusive\""
    );

    let mut bare = pod();
    bare["metadata"]["ownerReferences"] = json!([]);
    assert_eq!(
        denied(&bare),
        "this pod has no controller to name its election group after: add the annotation \
         active-passive.dev/group: <name>"
    );

    let mut taken = pod();
    taken["spec"]["containers"][0]["name"] = json!("active-passive");
    assert_eq!(
        denied(&taken),
        "container \"active-passive\" is not the sidecar, which needs this name: rename it"
    );

    let mut unknown = pod();
    unknown["metadata"]["annotations"]["active-passive.dev/priorty"] = json!("1");
    assert_eq!(
        injected(&unknown, CREATE).1.warnings,
        [
            "active-passive.dev/priorty is unknown and ignored: did you mean \
          active-passive.dev/priority?"
        ]
    );

    let mut at_once = pod();
    at_once["spec"]["terminationGracePeriodSeconds"] = json!(0);
    assert_eq!(
        injected(&at_once, CREATE).1.warnings,
        [
            "terminationGracePeriodSeconds is 0: it stays, and leaves no time to drain; a planned \
          move of the role may lose requests"
        ]
    );
}

#[test]
fn only_creations_are_touched() {
    let update = RequestInfo {
        is_create: false,
        ..CREATE
    };
    assert_eq!(
        decide(&pod(), &update, &settings()),
        Decision::Skip(Reason::NotCreate)
    );
}

#[test]
fn the_account_is_the_groups_own() {
    let (patched, injection) = injected(&pod(), CREATE);
    assert_eq!(
        patched["spec"]["serviceAccountName"],
        "active-passive-group-web"
    );
    assert_eq!(
        patched["spec"]["serviceAccount"],
        "active-passive-group-web"
    );
    assert_eq!(injection.account.kind, AccountKind::Group);
}

#[test]
fn a_dry_run_keeps_its_account_while_the_groups_does_not_exist() {
    let request = RequestInfo {
        account_missing: true,
        ..CREATE
    };
    let (patched, injection) = injected(&pod(), request);
    assert_eq!(patched["spec"]["serviceAccountName"], "default");
    assert_eq!(
        injection.warnings,
        [
            "dry run: account active-passive-group-web does not exist yet and is not made now, so \
          this pod keeps its own"
        ]
    );

    let mut custom = pod();
    custom["spec"]["serviceAccountName"] = json!("shop");
    let (_, injection) = injected(&custom, request);
    assert!(
        injection.warnings.is_empty(),
        "a custom account is not made by us"
    );
}

#[test]
fn what_others_changed_in_between_is_kept() {
    let (mut patched, _) = injected(&pod(), CREATE);
    let sidecar = &mut patched["spec"]["initContainers"][0];
    sidecar["terminationMessagePath"] = json!("/dev/termination-log");
    sidecar["image"] = json!("mirror.example/sidecar:1");
    sidecar["resources"] = json!({"limits": {"cpu": "1"}});
    sidecar["livenessProbe"] =
        json!({"httpGet": {"path": "/app-health/active-passive/livez", "port": 15020}});
    sidecar["env"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"name": "HTTP_PROXY", "value": "x"}));
    sidecar["volumeMounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "x", "mountPath": "/x"}));
    sidecar["securityContext"]["runAsUser"] = json!(1_000_680_000);
    patched["spec"]["containers"][0]["lifecycle"]["preStop"] =
        json!({"httpGet": {"path": "/app-lifecycle"}});
    patched["spec"]["initContainers"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"name": "first"}));
    let decision = decide(&patched, &CREATE, &settings());
    assert_eq!(decision.code(), "unchanged", "{decision:?}");
    let Decision::Patch(injection) = decision else {
        panic!()
    };
    assert!(injection.warnings.is_empty(), "{:?}", injection.warnings);
}

#[test]
fn what_others_broke_in_between_is_put_right() {
    let (mut patched, _) = injected(&pod(), CREATE);
    let whole = patched.clone();
    patched["spec"]["initContainers"][0]
        .as_object_mut()
        .unwrap()
        .remove("restartPolicy");
    let (repaired, injection) = injected(&patched, CREATE);
    assert_eq!(repaired, whole);
    assert_eq!(injection.ops.len(), 1, "{:?}", injection.ops);
}

#[test]
fn a_port_that_is_taken_in_between_is_given_up() {
    let (mut patched, _) = injected(&pod(), CREATE);
    let late = json!({"name": "late", "image": "late:1", "ports": [{"containerPort": 4280}]});
    patched["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(late);
    let (repaired, _) = injected(&patched, CREATE);
    let sidecar = &repaired["spec"]["initContainers"][0];
    assert_eq!(sidecar["livenessProbe"]["httpGet"]["port"], 4281);
    assert_eq!(
        sidecar["ports"],
        json!([{"name": "active-passive", "containerPort": 4281, "protocol": "TCP"}])
    );
    for container in repaired["spec"]["containers"].as_array().unwrap() {
        assert_eq!(
            container["lifecycle"]["preStop"]["httpGet"]["port"], 4281,
            "{container}"
        );
    }
    assert_eq!(decide(&repaired, &CREATE, &settings()).code(), "unchanged");
}

#[test]
fn the_mark_names_the_version() {
    let (patched, _) = injected(&pod(), CREATE);
    let mark = patched["metadata"]["annotations"]["active-passive.dev/injected"]
        .as_str()
        .unwrap();
    let (version, hash) = mark.split_once('+').unwrap();
    assert_eq!((version, hash.len()), ("0.1.0", 16));
}

#[test]
fn reasons_have_codes_of_their_own() {
    let reasons = Reasons(vec![Reason::Windows, Reason::NoGroup]);
    assert_eq!(reasons.code(), "windows");
    let message = reasons.to_string();
    assert!(
        message.contains("; this pod has no controller"),
        "{message}"
    );
}
