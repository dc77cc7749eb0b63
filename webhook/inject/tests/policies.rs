//! What holds for every pod under any policies.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{apply, decided, kept, request, settings};
use inject::Decision;
use inject::policy::{Policy, decide};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

/// Policies in the order of their names.
fn any_policies() -> impl Strategy<Value = Vec<Arc<Policy>>> {
    let default = prop::sample::select(vec![
        json!({}),
        json!({"active-passive.dev/handover": "exclusive"}),
        json!({"active-passive.dev/lease-duration": "9s", "active-passive.dev/role-label": "role"}),
        json!({"active-passive.dev/drain-timeout": "5m", "active-passive.dev/status-dir": "/run/role"}),
        json!({"active-passive.dev/containers": "nobody"}),
    ]);
    let selector = prop::sample::select(vec![
        json!({}),
        json!({"matchLabels": {"app": "web"}}),
        json!({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}),
    ]);
    let kinds = prop::sample::select(vec![json!([]), json!(["StatefulSet"]), json!(["Job"])]);
    let inject = prop::sample::select(vec!["OptIn", "Default"]);
    let spec =
        (default, selector, kinds, inject).prop_map(|(defaults, selector, kinds, inject)| {
            json!({
                "defaults": defaults,
                "workloadSelector": selector,
                "kinds": kinds,
                "inject": inject,
            })
        });
    prop::collection::vec(spec, 0..4).prop_map(|specs| {
        let policy = |(index, spec): (usize, Value)| {
            let object = json!({"metadata": {"name": format!("p{index}")}, "spec": spec});
            Arc::new(Policy::read(&object).unwrap())
        };
        specs.into_iter().enumerate().map(policy).collect()
    })
}

fn any_pod() -> impl Strategy<Value = Value> {
    let annotations = prop::sample::select(vec![
        Value::Null,
        json!(7),
        json!({}),
        json!({"active-passive.dev/inject": "true"}),
        json!({"active-passive.dev/inject": "false"}),
        json!({"active-passive.dev/inject": true}),
        json!({"active-passive.dev/inject": null}),
        json!({"active-passive.dev/inject": "true", "active-passive.dev/handover": "seamless"}),
        json!({"active-passive.dev/lease-duration": "1s"}),
    ]);
    let labels = prop::sample::select(vec![
        Value::Null,
        json!({"app": "web", "pod-template-hash": "5d9c"}),
        json!({"role": "active"}),
        json!("none"),
    ]);
    let owners = prop::sample::select(vec![
        Value::Null,
        json!("nobody"),
        json!([{"kind": "ReplicaSet", "name": "web-5d9c", "controller": true}]),
        json!([{"kind": "StatefulSet", "name": "web", "controller": true}]),
        json!([{"kind": "Job", "name": "No Label", "controller": true}]),
    ]);
    (annotations, labels, owners, any::<bool>()).prop_map(|(annotations, labels, owners, whole)| {
        let metadata = json!({
            "annotations": annotations, "labels": labels, "ownerReferences": owners,
        });
        let spec = json!({"containers": [{"name": "app", "image": "app:1"}]});
        match whole {
            true => json!({"metadata": metadata, "spec": spec}),
            false => json!({"metadata": metadata}),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 768,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_pod_is_injected_once_loses_nothing_and_needs_no_policy_any_more(
        pod in any_pod(),
        policies in any_policies(),
    ) {
        let decision = decide(&pod, &request(), &settings(), &policies);
        let says = &pod["metadata"]["annotations"]["active-passive.dev/inject"];
        if says.is_null() {
            let silent = matches!(decision, Decision::Patch(_) | Decision::Skip(_));
            prop_assert!(silent, "a pod that did not ask is refused: {decision:?}");
        } else if says != "true" || policies.is_empty() {
            prop_assert_eq!(&decision, &decided(&pod));
        }
        let Decision::Patch(injection) = &decision else {
            return Ok(());
        };
        let patched = apply(&pod, injection);
        if let Err(lost) = kept(&pod, &patched, "") {
            return Err(TestCaseError::fail(format!("lost {lost}")));
        }
        let again = decide(&patched, &request(), &settings(), &policies);
        prop_assert_eq!(again.code(), "unchanged", "{:?}", again);
        let without = decided(&patched);
        prop_assert_eq!(without.code(), "unchanged", "{:?}", without);
    }
}
