use super::*;
use serde_json::json;

fn policy(name: &str, spec: Value) -> (String, Arc<Policy>) {
    let object = json!({"metadata": {"name": name}, "spec": spec});
    (name.to_owned(), Arc::new(Policy::read(&object).unwrap()))
}

fn deployment(
    namespace: &str,
    name: &str,
    replicas: u64,
    annotations: Value,
) -> (WorkloadKind, Value) {
    let object = json!({
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"replicas": replicas, "template": {
            "metadata": {"labels": {"app": name}, "annotations": annotations},
            "spec": {"containers": [{"name": "app"}]},
        }},
    });
    (WorkloadKind::Deployment, object)
}

fn world(before: Policies) -> World {
    let labels = Labels::from([("team".to_owned(), "a".to_owned())]);
    let asks = json!({contract::INJECT: "true"});
    let mut windows = deployment("shop", "windows", 2, json!({}));
    windows.1["spec"]["template"]["spec"]["os"] = json!({"name": "windows"});
    World {
        before,
        namespaces: BTreeMap::from([
            ("shop".to_owned(), labels),
            ("other".to_owned(), Labels::new()),
        ]),
        workloads: vec![
            deployment("shop", "asks", 1, asks.clone()),
            deployment("shop", "silent", 2, json!({})),
            deployment("shop", "refuses", 1, json!({contract::INJECT: "false"})),
            windows,
            deployment("other", "asks", 1, asks.clone()),
            deployment("kube-system", "asks", 1, asks),
        ],
        services: BTreeMap::new(),
        leases: BTreeMap::new(),
    }
}

fn planned(more: Value) -> Policies {
    let mut spec = json!({
        "namespaceSelector": {"matchLabels": {"team": "a"}},
        "defaults": {contract::LEASE_DURATION: "10s"},
        "constraints": {"minReplicas": 2},
    });
    let more = more.as_object().unwrap().clone();
    spec.as_object_mut().unwrap().extend(more);
    Policies::from([policy("team-a", spec)])
}

#[test]
fn a_plan_says_what_would_change_and_what_would_be_refused() {
    let planned = planned(json!({"inject": "Default", "enforcement": "Enforce"}));
    let plan = Plan::of(&planned, &world(Policies::new()));
    assert_eq!(
        plan.text(),
        "\
NAMESPACE   WORKLOAD             RESULT   WHY
shop        Deployment/asks      change   active-passive.dev/lease-duration: 10s instead of the usual default
shop        Deployment/asks      refuse   spec.replicas is 1, and at least 2 are required, so that others stand by
shop        Deployment/silent    change   it gets the sidecar, with active-passive.dev/lease-duration: 10s
shop        Deployment/windows   cannot   its pods go without the sidecar: the sidecar runs on Linux only, and \
this pod is for Windows nodes: remove active-passive.dev/inject

4 workloads in 1 namespace: 2 change when their pods are made anew, 1 cannot have the sidecar;
violating: 0 counted, 0 warned of, 1 refused at their next change
"
    );
    assert_eq!(plan.refused, 1, "which the exit code tells");
}

#[test]
fn what_is_in_force_already_is_no_change() {
    let there = planned(json!({"inject": "Default"}));
    let plan = Plan::of(&there, &world(there.clone()));
    assert_eq!((plan.changed, plan.counted, plan.refused), (0, 1, 0));
    let harder = planned(json!({"inject": "Default", "enforcement": "Warn"}));
    let plan = Plan::of(&harder, &world(there.clone()));
    assert_eq!((plan.changed, plan.counted, plan.warned), (0, 0, 1));
    let back = planned(json!({"inject": "OptIn", "defaults": {}}));
    let plan = Plan::of(&back, &world(there));
    let why: Vec<&str> = plan.items.iter().map(|item| item.why.as_str()).collect();
    assert!(why.contains(&"it gets no sidecar any more"), "{why:?}");
    let lost = "active-passive.dev/lease-duration: the usual default instead of 10s";
    assert!(why.contains(&lost), "{why:?}");
}

#[test]
fn a_policy_that_comes_before_by_its_name_counts() {
    let first = policy(
        "10-all",
        json!({"defaults": {contract::LEASE_DURATION: "30s"}}),
    );
    let plan = Plan::of(&planned(json!({})), &world(Policies::from([first])));
    assert_eq!(plan.changed, 0, "{:#?}", plan.items);
}

#[test]
fn formats_for_programs_name_the_result() {
    let plan = Plan::of(
        &planned(json!({"enforcement": "Enforce"})),
        &world(Policies::new()),
    );
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!((&json["matched"], &json["refused"]), (&json!(4), &json!(1)));
    let refused: Vec<&Value> = json["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["result"] == "refuse")
        .collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (&refused[0]["name"], &refused[0]["policy"]),
        (&json!("asks"), &json!("team-a"))
    );
}

#[test]
fn a_plan_knows_whose_the_name_of_a_group_is() {
    let planned = planned(json!({"inject": "Default"}));
    let mut world = world(Policies::new());
    let (_, mut twin) = deployment("shop", "silent", 2, json!({}));
    twin["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    world.workloads.push((WorkloadKind::StatefulSet, twin));
    let (_, run) = deployment("shop", "asks", 2, json!({}));
    let mut run = run;
    run["metadata"]["ownerReferences"] = json!([{"kind": "CronJob", "controller": true}]);
    world.workloads.push((WorkloadKind::Job, run));
    let text = Plan::of(&planned, &world).text();
    for part in [
        "Deployment/silent    cannot   its pods go without the sidecar: StatefulSet/silent has the group",
        "StatefulSet/silent   change   it gets the sidecar",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(!text.contains("Job/asks"), "{text}");
}
