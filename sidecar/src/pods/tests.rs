use super::*;
use crate::tests::config;
use common::objects::Meta;
use common::role::{Containers, RoleLabelNames};
use election::RoleLabel;
use election::Version;

fn names() -> RoleLabelNames {
    RoleLabelNames {
        key: contract::ROLE.to_owned(),
        active: "active".to_owned(),
        passive: Some("passive".to_owned()),
    }
}

fn running() -> Value {
    json!({
        "metadata": {
            "name": "web-5d9-x", "uid": "u-1", "resourceVersion": "12",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                contract::GROUP: "web", contract::ROLE: "active", contract::POD: "u-1",
                "pod-template-hash": "5d9",
            },
            "annotations": {contract::TERM: "3", contract::PRIORITY: "-2"},
            "ownerReferences": [
                {"kind": "ReplicaSet", "name": "web-5d9", "uid": "r", "controller": true}
            ],
        },
        "spec": {"containers": [{"name": "app", "image": "a"}, {"name": "log", "image": "b"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {"name": "app", "ready": true}, {"name": "log", "ready": false}
            ],
        },
    })
}

fn view(json: &Value) -> PodView {
    view_by(json, &Containers::All)
}

fn view_by(json: &Value, containers: &Containers) -> PodView {
    let pod: Pod = crate::object::read(json.to_string().as_bytes()).unwrap();
    let config = Config {
        containers: containers.clone(),
        ..config()
    };
    super::view(&pod, &config).unwrap()
}

#[test]
fn a_pod_without_the_label_of_the_group_is_not_of_it() {
    let is_of = |json: &Value| {
        let pod: Pod = serde_json::from_value(json.clone()).unwrap();
        config().members.has(&pod.metadata)
    };
    let mut json = running();
    assert!(is_of(&json));
    json["metadata"]["labels"][contract::GROUP] = json!("other");
    assert!(!is_of(&json));
    json["metadata"].as_object_mut().unwrap().remove("labels");
    assert!(!is_of(&json));
}

#[test]
fn reads_what_the_elector_needs() {
    assert_eq!(
        view(&running()),
        PodView {
            uid: "u-1".to_owned(),
            name: "web-5d9-x".to_owned(),
            version: Version(12),
            role: RoleLabel::Active,
            term: Some(3),
            started: true,
            ready: false,
            terminating: false,
            disrupted: false,
            priority: -2,
            revision: "5d9".to_owned(),
            created_s: 1_767_225_600,
            owner: Some("Deployment/web".to_owned()),
        }
    );
}

#[test]
fn a_pod_that_was_just_created_is_neither_started_nor_ready() {
    let view = view(&json!({"metadata": {"name": "a", "uid": "u", "resourceVersion": "1"}}));
    assert!(!view.started && !view.ready && !view.terminating);
    assert_eq!(
        (view.role, view.term, view.owner),
        (RoleLabel::Other, None, None)
    );
}

#[test]
fn the_chosen_containers_alone_make_it_ready() {
    let named = |name: &str| Containers::Named(vec![name.to_owned()]);
    assert!(view_by(&running(), &named("app")).ready);
    assert!(!view_by(&running(), &named("log")).ready);
    assert!(
        !view_by(&running(), &named("absent")).ready,
        "nothing counts, nothing is ready"
    );
}

#[test]
fn a_pod_on_a_lost_node_is_not_ready() {
    let mut pod = running();
    pod["status"]["containerStatuses"][1]["ready"] = json!(true);
    assert!(view(&pod).ready);
    pod["status"]["conditions"] = json!([
        {"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "True"}
    ]);
    assert!(!view(&pod).ready);
    pod["spec"]["readinessGates"] = json!([{"conditionType": "example.com/gate"}]);
    assert!(view(&pod).ready, "here it is the gate that is closed");
}

#[test]
fn deletion_end_and_eviction_are_seen() {
    let mut pod = running();
    pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
    assert!(view(&pod).terminating);
    let mut pod = running();
    pod["status"]["phase"] = json!("Failed");
    assert!(view(&pod).terminating);
    let mut pod = running();
    pod["status"]["conditions"] = json!([{"type": "DisruptionTarget", "status": "True"}]);
    assert!(view(&pod).disrupted);
}

#[test]
fn a_label_copied_from_another_pod_does_not_count_as_started() {
    let mut pod = running();
    pod["metadata"]["labels"][contract::POD] = json!("u-2");
    assert!(!view(&pod).started);
}

#[test]
fn no_label_is_passive_where_passive_means_no_label() {
    let bare = RoleLabelNames {
        passive: None,
        ..names()
    };
    let role = |label: Option<&str>, names: &RoleLabelNames| {
        let labels = label.map(|value| [(contract::ROLE.to_owned(), value.to_owned())].into());
        let pod = Meta {
            labels,
            ..Meta::default()
        };
        RoleLabel::of(&pod, names)
    };
    assert_eq!(role(None, &bare), RoleLabel::Passive);
    assert_eq!(role(Some("passive"), &bare), RoleLabel::Other);
    assert_eq!(role(None, &names()), RoleLabel::Other);
    assert_eq!(role(Some("ACTIVE"), &names()), RoleLabel::Other);
}

#[test]
fn a_patch_is_conditional_and_carries_the_term() {
    let write = PodWrite {
        name: "web-5d9-x".to_owned(),
        uid: "u-1".to_owned(),
        base: Version(12),
        role: Some((PodRole::Passive, 4)),
        own_label: false,
    };
    assert_eq!(
        patch(&write, &config()),
        json!({"metadata": {
            "uid": "u-1", "resourceVersion": "12",
            "labels": {contract::ROLE: "passive"},
            "annotations": {contract::TERM: "4"},
        }})
    );
    let mut bare = config();
    bare.role_label.passive = None;
    bare.params.customs.terms = false;
    let metadata = &patch(&write, &bare)["metadata"];
    assert_eq!(metadata["labels"], json!({contract::ROLE: null}));
    assert_eq!(metadata["annotations"], json!({}), "nobody reads terms");
    let own = PodWrite {
        role: None,
        own_label: true,
        ..write
    };
    let metadata = &patch(&own, &config())["metadata"];
    assert_eq!(metadata["labels"], json!({contract::POD: "u-1"}));
    assert_eq!(metadata["annotations"], json!({}));
}
