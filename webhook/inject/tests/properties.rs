//! What holds for every pod, and for every JSON that is none.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{apply, decided, kept};
use inject::{Decision, route};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Any JSON, with the keys that this crate looks for among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        4 => prop::sample::select(vec![
            "metadata", "spec", "labels", "annotations", "containers", "initContainers", "volumes",
            "name", "env", "lifecycle", "preStop", "volumeMounts", "ownerReferences", "kind",
            "controller", "securityContext", "ports", "containerPort", "selector", "projected",
            "active-passive.dev/inject", "active-passive.dev/group", "hostNetwork",
        ]).prop_map(str::to_owned),
        1 => ".*",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "true",
            "web",
            "active-passive",
            "active-passive-token"
        ])
        .prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A pod that asks, with anything in the places that an injection goes through.
fn any_asking_pod() -> impl Strategy<Value = Value> {
    (any_json(), any_json(), any_json(), any_json(), any_json()).prop_map(
        |(labels, containers, init, volumes, lifecycle)| {
            json!({
                "metadata": {
                    "labels": labels,
                    "annotations": {
                        "active-passive.dev/inject": "true",
                        "active-passive.dev/group": "web",
                    },
                },
                "spec": {
                    "containers": [{"name": "app", "lifecycle": lifecycle}, containers],
                    "initContainers": init,
                    "volumes": volumes,
                },
            })
        },
    )
}

fn any_container() -> impl Strategy<Value = Value> {
    let lifecycle = prop_oneof![
        3 => Just(Value::Null),
        1 => Just(json!({})),
        1 => Just(json!({"preStop": {"exec": {"command": ["true"]}}})),
        1 => Just(json!({"preStop": {"httpGet": {"path": "/drain", "port": 4280}}})),
    ];
    let mounts = prop_oneof![
        3 => Just(Value::Null),
        1 => Just(json!([])),
        1 => Just(json!([{"name": "data", "mountPath": "/data"}])),
    ];
    ("[a-z]{1,5}", 4279_u16..4284, lifecycle, mounts).prop_map(|(name, port, lifecycle, mounts)| {
        json!({
            "name": name,
            "image": "app:1",
            "ports": [{"containerPort": port}],
            "lifecycle": lifecycle,
            "volumeMounts": mounts,
        })
    })
}

/// Annotations, most of which parse.
fn any_annotations() -> impl Strategy<Value = Map<String, Value>> {
    let pair = prop::sample::select(vec![
        ("group", "web"),
        ("group", "No Label"),
        ("lease-duration", "30s"),
        ("lease-duration", "1s"),
        ("handover", "exclusive"),
        ("handover", "seamless"),
        ("drain-timeout", "0s"),
        ("drain-timeout", "5m"),
        ("hold-app", "false"),
        ("passive-value", ""),
        ("role-label", "role"),
        ("active-value", "leader"),
        ("service-account", "keep"),
        ("status-dir", "/run/role"),
        ("status-dir", "/data"),
        ("injected", "0.0.9+0"),
        ("term", "7"),
        ("nonsense", "x"),
    ]);
    prop::collection::vec(pair, 0..5).prop_map(|pairs| {
        let ours = pairs
            .into_iter()
            .map(|(key, value)| (format!("active-passive.dev/{key}"), json!(value)));
        [("active-passive.dev/inject".to_owned(), json!("true"))]
            .into_iter()
            .chain(ours)
            .collect()
    })
}

/// A pod as the API server could send it.
fn any_pod() -> impl Strategy<Value = Value> {
    let labels = prop::sample::select(vec![
        Value::Null,
        json!({"app": "web"}),
        json!({"app": "web", "pod-template-hash": "5d9c"}),
        json!({"role": "active"}),
        json!({"active-passive.dev/role": "active", "active-passive.dev/pod": "0b1c"}),
    ]);
    let account = prop::sample::select(vec![
        json!({}),
        json!({"serviceAccountName": "default"}),
        json!({"serviceAccountName": "default", "serviceAccount": "default"}),
        json!({"serviceAccountName": "shop", "serviceAccount": "shop"}),
    ]);
    let lists = prop::sample::select(vec![Value::Null, json!([])]);
    let init = prop::option::of(prop::collection::vec(any_container(), 0..3));
    (
        any_annotations(),
        labels,
        prop::collection::vec(any_container(), 1..4),
        init,
        lists,
        account,
        prop::option::of(-1_i64..10_000),
        any::<bool>(),
    )
        .prop_map(
            |(annotations, labels, containers, init, volumes, account, grace, host)| {
                let mut pod = json!({
                    "metadata": {
                        "annotations": annotations,
                        "labels": labels,
                        "ownerReferences": [
                            {"kind": "ReplicaSet", "name": "web-5d9c", "controller": true},
                        ],
                    },
                    "spec": account,
                });
                pod["spec"]["containers"] = json!(containers);
                pod["spec"]["initContainers"] = json!(init);
                pod["spec"]["volumes"] = volumes;
                pod["spec"]["terminationGracePeriodSeconds"] = json!(grace);
                pod["spec"]["hostNetwork"] = json!(host);
                pod
            },
        )
}

fn check(pod: &Value) -> Result<(), TestCaseError> {
    let Decision::Patch(injection) = decided(pod) else {
        return Ok(());
    };
    let patched = apply(pod, &injection);
    if let Err(lost) = kept(pod, &patched, "") {
        return Err(TestCaseError::fail(format!("lost {lost}")));
    }
    let sidecars = patched["spec"]["initContainers"]
        .as_array()
        .into_iter()
        .flatten();
    let sidecars: Vec<&Value> = sidecars.filter(|c| c["name"] == "active-passive").collect();
    prop_assert_eq!(sidecars.len(), 1);
    prop_assert_eq!(&sidecars[0]["restartPolicy"], "Always");
    prop_assert!(sidecars[0]["livenessProbe"].is_object());
    let again = decided(&patched);
    prop_assert_eq!(again.code(), "unchanged", "{:?}", again);
    Ok(())
}

/// What another webhook may do to an injected pod.
fn meddle(pod: &mut Value, what: &str) {
    let sidecar = &mut pod["spec"]["initContainers"][0];
    match what {
        "drop the policy" => {
            sidecar
                .as_object_mut()
                .and_then(|all| all.remove("restartPolicy"));
        }
        "rewrite the probe" => {
            sidecar["livenessProbe"] = json!({"httpGet": {"path": "/agent", "port": 15020}});
        }
        "rewrite the hook" => {
            let hook = json!({"preStop": {"httpGet": {"path": "/agent", "port": 15020}}});
            pod["spec"]["containers"][0]["lifecycle"] = hook;
        }
        "add a variable" => {
            let var = json!({"name": "PROXY", "value": "x"});
            sidecar["env"].as_array_mut().unwrap().insert(0, var);
        }
        "add a container" => {
            let late = json!({"name": "late", "ports": [{"containerPort": 4280}]});
            pod["spec"]["containers"].as_array_mut().unwrap().push(late);
        }
        "come first" => {
            let first = json!({"name": "first", "restartPolicy": "Always"});
            let containers = pod["spec"]["initContainers"].as_array_mut().unwrap();
            containers.insert(0, first);
        }
        "limit every container" => {
            for container in pod["spec"]["containers"].as_array_mut().unwrap() {
                container["resources"] = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
            }
        }
        "drop the volumes" => {
            pod["spec"].as_object_mut().unwrap().remove("volumes");
        }
        "drop the label" => {
            let labels = pod["metadata"]["labels"].as_object_mut();
            labels.unwrap().remove("active-passive.dev/group");
        }
        "drop the environment" => sidecar["env"].as_array_mut().unwrap().truncate(6),
        what => panic!("{what}"),
    }
}

const MEDDLING: [&str; 10] = [
    "drop the policy",
    "rewrite the probe",
    "rewrite the hook",
    "add a variable",
    "add a container",
    "come first",
    "limit every container",
    "drop the volumes",
    "drop the label",
    "drop the environment",
];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 384,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_json_gets_an_answer(json in any_json()) {
        check(&json)?;
        let _answered = route::route(&json, Some(&json));
    }

    #[test]
    fn a_pod_that_asks_gets_an_answer_whatever_it_holds(pod in any_asking_pod()) {
        check(&pod)?;
    }

    #[test]
    fn a_pod_is_injected_once_and_loses_nothing(pod in any_pod()) {
        check(&pod)?;
    }

    #[test]
    fn what_others_do_in_between_is_repaired_or_kept(
        pod in any_pod(),
        what in prop::sample::subsequence(&MEDDLING[..], 1..4),
    ) {
        let Decision::Patch(injection) = decided(&pod) else {
            return Ok(());
        };
        let mut meddled = apply(&pod, &injection);
        for what in what {
            // One that comes first must not be taken for the sidecar by what follows.
            if meddled["spec"]["initContainers"][0]["name"] == "active-passive" {
                meddle(&mut meddled, what);
            }
        }
        let again = decided(&meddled);
        prop_assert!(matches!(again, Decision::Patch(_)), "{:?}", again);
        check(&meddled)?;
    }
}
