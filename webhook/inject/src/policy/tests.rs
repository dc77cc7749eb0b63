use super::*;
use crate::decision::{Decision, RequestInfo, Settings};
use crate::reason::Reason;
use common::contract;
use serde_json::json;

fn policy(name: &str, spec: Value) -> Arc<Policy> {
    let object = json!({"metadata": {"name": name}, "spec": spec});
    Arc::new(Policy::read(&object).unwrap_or_else(|problems| panic!("{problems:#?}")))
}

fn problems(name: &str, spec: Value) -> Vec<String> {
    Policy::read(&json!({"metadata": {"name": name}, "spec": spec})).unwrap_err()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// A pod of the Deployment web.
fn pod(annotations: Value) -> Value {
    json!({
        "metadata": {
            "labels": {"app": "web", "pod-template-hash": "5d9"},
            "annotations": annotations,
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5d9", "controller": true}],
        },
        "spec": {"containers": [{"name": "app"}]},
    })
}

fn decided(pod: &Value, policies: &[Arc<Policy>]) -> Decision {
    let request = RequestInfo {
        namespace: "shop",
        is_create: true,
        account_missing: false,
    };
    let settings = Settings {
        image: "sidecar:1".to_owned(),
        image_pull_policy: "IfNotPresent".to_owned(),
        version: "1".to_owned(),
    };
    decide(pod, &request, &settings, policies)
}

/// Annotations of a pod after its injection; none if it is not injected.
fn annotations(pod: &Value, policies: &[Arc<Policy>]) -> Option<Value> {
    let Decision::Patch(injection) = decided(pod, policies) else {
        return None;
    };
    let mut patched = pod.clone();
    let ops = serde_json::to_value(&injection.ops).unwrap();
    let patch: json_patch::Patch = serde_json::from_value(ops).unwrap();
    json_patch::patch(&mut patched, &patch).unwrap();
    let again = decided(&patched, policies);
    assert_eq!(again.code(), "unchanged", "a second time");
    assert_eq!(
        decided(&patched, &[]).code(),
        "unchanged",
        "without policies"
    );
    Some(patched["metadata"]["annotations"].clone())
}

const LEASE: &str = contract::LEASE_DURATION;
const HANDOVER: &str = contract::HANDOVER;

#[test]
fn a_pod_that_asks_gets_the_defaults_that_it_does_not_name_itself() {
    let policies = [policy(
        "usual",
        json!({"namespaceSelector": {}, "defaults": {LEASE: "9s", HANDOVER: "exclusive"}}),
    )];
    let asking = pod(json!({contract::INJECT: "true", LEASE: "30s"}));
    let found = annotations(&asking, &policies).unwrap();
    assert_eq!(
        (&found[LEASE], &found[HANDOVER]),
        (&json!("30s"), &json!("exclusive"))
    );
    assert!(found[contract::INJECTED_BY].is_null());
    // What a policy says reaches the sidecar.
    let Decision::Patch(injection) = decided(&asking, &policies) else {
        panic!("not injected");
    };
    let text = serde_json::to_string(&injection.ops).unwrap();
    assert!(
        text.contains(r#""name":"ACTIVE_PASSIVE_HANDOVER","value":"exclusive""#),
        "{text}"
    );

    for silent in [json!({}), json!(null), json!({contract::INJECT: "false"})] {
        assert_eq!(annotations(&pod(silent), &policies), None);
    }
}

#[test]
fn of_two_policies_the_first_by_name_counts() {
    let seven = json!({"inject": "Default", "defaults": {LEASE: "7s"}});
    let nine = json!({"defaults": {LEASE: "9s", HANDOVER: "exclusive"}});
    // In the order of their names, as whoever keeps them hands them over.
    let policies = [policy("10-team", nine), policy("20-all", seven)];
    let found = annotations(&pod(json!({})), &policies).unwrap();
    assert_eq!(found[LEASE], "9s");
    assert_eq!(found[HANDOVER], "exclusive");
    assert_eq!(found[contract::INJECTED_BY], "20-all");
    assert_eq!(found[contract::INJECT], "true");
}

#[test]
fn a_policy_that_injects_by_default_asks_for_its_workloads_and_no_others() {
    let spec = |more: Value| {
        let mut spec = json!({"inject": "Default"});
        let more = more.as_object().unwrap().clone();
        spec.as_object_mut().unwrap().extend(more);
        [policy("default", spec)]
    };
    let silent = pod(json!(null));
    for (more, injected) in [
        (json!({}), true),
        (json!({"kinds": ["Deployment"]}), true),
        (json!({"kinds": ["StatefulSet"]}), false),
        (
            json!({"workloadSelector": {"matchLabels": {"app": "web"}}}),
            true,
        ),
        (
            json!({"workloadSelector": {"matchLabels": {"app": "db"}}}),
            false,
        ),
    ] {
        let found = annotations(&silent, &spec(more.clone()));
        assert_eq!(found.is_some(), injected, "{more}");
    }
    let refusing = pod(json!({contract::INJECT: "false"}));
    assert_eq!(annotations(&refusing, &spec(json!({}))), None, "false wins");
    let mut bare = silent.clone();
    bare["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("ownerReferences");
    assert_eq!(annotations(&bare, &spec(json!({}))), None, "nobody's pod");
}

#[test]
fn a_pod_that_did_not_ask_is_never_refused() {
    let policies = [policy("default", json!({"inject": "Default"}))];
    let mut windows = pod(json!({}));
    windows["spec"]["os"] = json!({"name": "windows"});
    let Decision::Skip(reason) = decided(&windows, &policies) else {
        panic!("not left alone");
    };
    assert_eq!(reason.code(), "not-for-this-pod");
    assert!(
        matches!(&reason, Reason::NotForThisPod { policy, why }
            if policy == "default" && why.contains("Windows")),
        "{reason}"
    );
    windows["metadata"]["annotations"] = json!({contract::INJECT: "true"});
    assert_eq!(decided(&windows, &policies).code(), "denied");
}

fn deployment(replicas: u64, annotations: Value) -> Value {
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "template": {
                "metadata": {"labels": {"app": "web"}, "annotations": annotations},
                "spec": {"containers": [{"name": "app"}]},
            },
        },
    })
}

/// What stands against a workload, with two Services beside it.
fn against(spec: &Value, workload: &Value) -> Vec<String> {
    let policies = [policy("rules", spec.clone())];
    let workload = Workload::read(WorkloadKind::Deployment, workload).unwrap();
    let services = [
        ServiceRoute {
            group: Some("shop".to_owned()),
            selector: labels(&[("app", "shop")]),
        },
        ServiceRoute {
            group: None,
            selector: labels(&[("app", "by-label"), (contract::ROLE, "active")]),
        },
    ];
    let beside = Beside {
        services: Some(&services),
        rivals: None,
    };
    let verdict = evaluate(&policies, &Labels::new(), &workload, beside);
    verdict.violations.into_iter().map(|it| it.what).collect()
}

#[test]
fn each_constraint_names_what_it_found_what_it_wants_and_where_to_write_it() {
    let web = |more: Value| {
        let mut annotations = json!({contract::INJECT: "true"});
        let more = more.as_object().unwrap().clone();
        annotations.as_object_mut().unwrap().extend(more);
        deployment(2, annotations)
    };
    let of_shop = json!({contract::GROUP: "shop"});
    for (constraints, good, bad, said) in [
        (
            json!({"requireSidecar": true}),
            web(json!({})),
            deployment(2, json!({})),
            "the sidecar is required: add active-passive.dev/inject: \"true\"",
        ),
        (
            json!({"requireSidecar": true}),
            web(json!({})),
            deployment(2, json!({contract::INJECT: "false"})),
            "refuses it: remove active-passive.dev/inject: \"false\"",
        ),
        (
            json!({"requireSidecar": true}),
            web(json!({})),
            web(json!({LEASE: "1s"})),
            "cannot be added: active-passive.dev/lease-duration",
        ),
        (
            json!({"minLeaseDuration": "10s"}),
            web(json!({LEASE: "10s"})),
            web(json!({LEASE: "9s"})),
            "the lease-duration is 9s, and at least 10s is required",
        ),
        (
            json!({"allowedHandovers": ["exclusive"]}),
            web(json!({HANDOVER: "exclusive"})),
            web(json!({})),
            "the handover is seamless, and exclusive is required",
        ),
        (
            json!({"allowedProfiles": ["apsc"]}),
            deployment(2, json!({})),
            web(json!({})),
            "the profile is default, and apsc is required",
        ),
        (
            json!({"groupPattern": "s*p"}),
            web(of_shop.clone()),
            web(json!({})),
            "the group is web, and a name like s*p is required",
        ),
        (
            json!({"minReplicas": 2}),
            web(json!({})),
            deployment(1, json!({contract::INJECT: "true"})),
            "spec.replicas is 1, and at least 2 are required",
        ),
        (
            json!({"minReplicas": 2}),
            deployment(0, json!({contract::INJECT: "true"})),
            deployment(1, json!({contract::INJECT: "true"})),
            "spec.replicas is 1",
        ),
        (
            json!({"requireRoutedService": true}),
            web(of_shop),
            web(json!({})),
            "annotate one with active-passive.dev/group: web, and apply it first",
        ),
    ] {
        let spec = json!({"constraints": constraints});
        assert_eq!(against(&spec, &good), [""; 0], "{spec} of {good}");
        let found = against(&spec, &bad);
        assert!(
            found.len() == 1 && found[0].contains(said),
            "{spec}: {found:#?}"
        );
        assert!(
            found[0].len() < 200,
            "a warning has 256 characters: {}",
            found[0]
        );
        let other = json!({"constraints": spec["constraints"],
            "workloadSelector": {"matchLabels": {"app": "other"}}});
        assert_eq!(against(&other, &bad), [""; 0], "another workload's policy");
    }
}

#[test]
fn defaults_count_when_constraints_are_held_against_a_workload() {
    let workload = deployment(2, json!({contract::INJECT: "true"}));
    let constraints = json!({"minLeaseDuration": "20s"});
    assert_eq!(
        against(&json!({"constraints": constraints}), &workload).len(),
        1
    );
    let with_default = json!({"constraints": constraints, "defaults": {LEASE: "20s"}});
    assert_eq!(against(&with_default, &workload), [""; 0]);
}

#[test]
fn a_service_may_route_by_the_label_of_the_role() {
    let mut workload = deployment(2, json!({contract::INJECT: "true"}));
    let spec = json!({"constraints": {"requireRoutedService": true}});
    assert_eq!(against(&spec, &workload).len(), 1);
    workload["spec"]["template"]["metadata"]["labels"] = json!({"app": "by-label"});
    assert_eq!(against(&spec, &workload), [""; 0]);
}

#[test]
fn of_what_another_object_keeps_only_runs_of_cron_jobs_are_looked_at_in_its_place() {
    let mut job = deployment(1, json!({}));
    let is_run = |kind, object: &Value| Workload::is_run(kind, object);
    assert!(!is_run(WorkloadKind::Job, &job));
    job["metadata"]["ownerReferences"] = json!([{"kind": "CronJob", "controller": true}]);
    assert!(is_run(WorkloadKind::Job, &job));
    assert!(
        !is_run(WorkloadKind::Deployment, &job),
        "nobody makes these"
    );
    job["metadata"]["ownerReferences"] = json!([{"kind": "Operator", "controller": true}]);
    assert!(!is_run(WorkloadKind::Job, &job));
}

#[test]
fn selectors_take_what_kubernetes_would() {
    let found = labels(&[("team", "a"), ("tier", "web")]);
    for (selector, taken) in [
        (json!({}), true),
        (json!({"matchLabels": {"team": "a", "tier": "web"}}), true),
        (json!({"matchLabels": {"team": "a", "zone": "x"}}), false),
        (
            json!({"matchExpressions": [{"key": "team", "operator": "In", "values": ["b", "a"]}]}),
            true,
        ),
        (
            json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}),
            false,
        ),
        (
            json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["b"]}]}),
            true,
        ),
        (
            json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}),
            false,
        ),
        (
            json!({"matchExpressions": [{"key": "team", "operator": "Exists"}]}),
            true,
        ),
        (
            json!({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}),
            false,
        ),
    ] {
        let policies = [policy("p", json!({"namespaceSelector": selector}))];
        let about = of_namespace(&policies, &found).len() == 1;
        assert_eq!(about, taken, "{selector}");
    }
}

#[test]
fn group_patterns() {
    for (text, form, fit) in [
        ("web", "web", true),
        ("web", "we", false),
        ("web", "*", true),
        ("team-a-web", "team-a-*", true),
        ("team-b-web", "team-a-*", false),
        ("a-b-a-b", "a*b", true),
        ("ab", "a*b*", true),
        ("aXb", "a*X*b", true),
        ("ab", "ab*b", false),
        ("abcb", "a*bc*b", true),
    ] {
        assert_eq!(evaluate::fits(text, form), fit, "{text} {form}");
    }
}

#[test]
fn everything_that_is_wrong_with_a_policy_is_said_at_once() {
    let found = problems(
        "Web.Tier",
        json!({
            "namespaceSelector": {"matchLabels": {"a b": "c"}},
            "workloadSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]},
            "defaults": {
                contract::INJECT: "true",
                contract::GROUP: "web",
                "active-passive.dev/lease-durations": "9s",
                HANDOVER: "careful",
            },
            "constraints": {
                "minLeaseDuration": "1s",
                "allowedProfiles": ["apcs"],
                "allowedHandovers": ["both"],
                "groupPattern": "A*",
            },
        }),
    );
    for part in [
        "metadata.name: \"Web.Tier\" is no DNS label",
        "spec.namespaceSelector: \"a b\" is no label key",
        "spec.workloadSelector: In of \"a\" has no values",
        "spec.defaults: active-passive.dev/inject is what spec.inject is for",
        "spec.defaults: active-passive.dev/group would put all workloads into one group",
        "did you mean active-passive.dev/lease-duration?",
        "spec.defaults: active-passive.dev/handover: \"careful\" is not allowed",
        "spec.constraints.minLeaseDuration: \"1s\"",
        "spec.constraints.allowedProfiles: \"apcs\" is unknown",
        "spec.constraints.allowedHandovers: \"both\" is unknown",
        "spec.constraints.groupPattern: \"A*\" fits no group",
    ] {
        assert!(
            found.iter().any(|it| it.contains(part)),
            "{part}: {found:#?}"
        );
    }
    let unknown = json!({"injekt": "Default", "constraints": {"minReplica": 2, "x": 1}});
    let unknown = problems("p", unknown);
    assert_eq!(unknown.len(), 3);
    assert_eq!(unknown[0], "spec.injekt is unknown: did you mean inject?");
    assert_eq!(
        unknown[1],
        "spec.constraints.minReplica is unknown: did you mean minReplicas?"
    );
    let wrong = problems("p", json!({"inject": "Always"}));
    assert!(
        wrong[0].starts_with("spec: ") && wrong[0].contains("OptIn"),
        "{wrong:?}"
    );
}

#[test]
fn only_a_policy_that_can_refuse_or_warn_judges() {
    let judges = |spec: Value| policy("p", spec).judges();
    let constraints = json!({"minReplicas": 2});
    assert!(judges(
        json!({"enforcement": "Warn", "constraints": constraints})
    ));
    assert!(judges(
        json!({"enforcement": "Enforce", "constraints": constraints})
    ));
    assert!(!judges(
        json!({"enforcement": "Audit", "constraints": constraints})
    ));
    assert!(!judges(json!({"enforcement": "Enforce"})));
}
