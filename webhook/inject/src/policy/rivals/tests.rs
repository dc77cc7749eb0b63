use super::*;
use serde_json::json;

const POLICY: &str = "everybody";
const EARLY: &str = "2026-01-01T00:00:00Z";
const LATE: &str = "2026-02-01T00:00:00Z";

fn policies() -> [Arc<Policy>; 1] {
    let object = json!({"metadata": {"name": POLICY}, "spec": {"inject": "Default"}});
    [Arc::new(Policy::read(&object).unwrap())]
}

/// A workload that is called web.
fn web(created: &str, annotations: &Value) -> Value {
    json!({
        "metadata": {"name": "web", "creationTimestamp": created},
        "spec": {"template": {
            "metadata": {"annotations": annotations},
            "spec": {"containers": [{"name": "app"}]},
        }},
    })
}

/// A pod of a workload that is called web.
fn pod(kind: &str, annotations: &Value) -> Value {
    let owner = json!({"kind": kind, "name": "web", "controller": true});
    json!({
        "metadata": {"annotations": annotations, "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "app"}]},
    })
}

fn rivals(workloads: &[(WorkloadKind, Value)]) -> Rivals {
    let mut rivals = Rivals::default();
    for (kind, object) in workloads {
        rivals.add_workload(&policies(), &Labels::new(), *kind, object);
    }
    rivals
}

/// Of a Deployment and a StatefulSet of one name, whose pods get the sidecar.
fn injected(rivals: &Rivals) -> Vec<&'static str> {
    let free = |kind: &&str| {
        let claim = under::claim(&pod(kind, &json!({})), &policies()).unwrap();
        rivals.against(&claim).is_none()
    };
    ["Deployment", "StatefulSet"]
        .into_iter()
        .filter(free)
        .collect()
}

#[test]
fn of_two_workloads_of_one_name_one_has_the_group() {
    use WorkloadKind::{Deployment, StatefulSet};
    let silent = json!({});
    let asks = json!({contract::INJECT: "true"});
    let refuses = json!({contract::INJECT: "false"});
    let elsewhere = json!({contract::GROUP: "web-db"});
    let windows = || {
        let mut workload = web(EARLY, &silent);
        workload["spec"]["template"]["spec"]["os"] = json!({"name": "windows"});
        workload
    };
    for (why, deployment, stateful_set, expected) in [
        (
            "the older one",
            web(LATE, &silent),
            web(EARLY, &silent),
            &["StatefulSet"][..],
        ),
        (
            "the older one",
            web(EARLY, &silent),
            web(LATE, &silent),
            &["Deployment"],
        ),
        (
            "of two that were applied at once, always the same",
            web(EARLY, &silent),
            web(EARLY, &silent),
            &["Deployment"],
        ),
        (
            "the one that asks",
            web(EARLY, &silent),
            web(LATE, &asks),
            &["StatefulSet"],
        ),
        (
            "the one that does not refuse",
            web(LATE, &silent),
            web(EARLY, &refuses),
            &["Deployment"],
        ),
        (
            "another group is no rival",
            web(LATE, &silent),
            web(EARLY, &elsewhere),
            &["Deployment"],
        ),
        (
            "one that cannot have it is no rival",
            web(LATE, &silent),
            windows(),
            &["Deployment"],
        ),
    ] {
        let found = rivals(&[(Deployment, deployment), (StatefulSet, stateful_set)]);
        assert_eq!(injected(&found), expected, "{why}");
    }
}

#[test]
fn who_led_last_keeps_the_group() {
    let both = [
        (WorkloadKind::Deployment, web(EARLY, &json!({}))),
        (
            WorkloadKind::StatefulSet,
            web(LATE, &json!({contract::INJECT: "true"})),
        ),
    ];
    let mut found = rivals(&both);
    assert_eq!(injected(&found), ["StatefulSet"], "it asks");
    let led = [(contract::OWNER, "Deployment/web")];
    found.add_lease([contract::LEASE].into_iter(), led.into_iter());
    assert_eq!(injected(&found), ["Deployment"], "its Service counts on it");
    let mut found = rivals(&both[1..]);
    found.add_lease([contract::LEASE].into_iter(), led.into_iter());
    assert_eq!(injected(&found), ["StatefulSet"], "the other one is gone");
}

#[test]
fn a_lease_that_no_sidecar_wrote_is_left_to_its_program() {
    let silent = json!({});
    let mut found = rivals(&[(WorkloadKind::Deployment, web(EARLY, &silent))]);
    let claim = under::claim(&pod("Deployment", &silent), &policies()).unwrap();
    assert_eq!(found.against(&claim), None);
    found.add_lease(["app"].into_iter(), [("team", "a")].into_iter());
    let why = found.against(&claim).unwrap();
    assert!(why.contains("Lease web is another program's"), "{why}");
    assert!(why.contains(contract::GROUP), "{why}");
    // Whichever the mark.
    found.add_lease([contract::LEASE].into_iter(), [].into_iter());
    assert_eq!(found.against(&claim), None);
    found.add_lease([].into_iter(), [(contract::HISTORY, "[]")].into_iter());
    assert_eq!(found.against(&claim), None);
}

#[test]
fn who_says_something_claims_nothing() {
    for annotations in [
        json!({contract::INJECT: "true"}),
        json!({contract::INJECT: "false"}),
        json!({contract::GROUP: "web"}),
    ] {
        let pod = pod("Deployment", &annotations);
        assert_eq!(under::claim(&pod, &policies()), None, "{annotations}");
    }
    let seed = json!({contract::PROFILE: contract::PROFILES[1]});
    let claim = under::claim(&pod("Deployment", &seed), &policies()).unwrap();
    let mut found = Rivals::default();
    found.add_lease([].into_iter(), [].into_iter());
    assert_eq!(found.against(&claim), None, "its Lease has another name");
}
