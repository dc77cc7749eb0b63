//! What is kept, what is skipped, and what it costs.

use super::*;
use serde_json::json;

struct AsPod;

impl Kept for AsPod {
    const KEEP: &'static Keep = &POD;
}

fn read(body: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str::<Sifted<AsPod>>(body).map(|sifted| sifted.0)
}

#[track_caller]
fn check(pod: Value, kept: Value) {
    assert_eq!(read(&pod.to_string()).unwrap(), kept);
    assert_eq!(sift(pod, &POD), kept);
}

#[test]
fn what_is_looked_at_is_kept() {
    check(
        json!({
            "kind": "Pod",
            "metadata": {
                "annotations": {"active-passive.dev/inject": "true", "note": "x"},
                "managedFields": [{"manager": "kubectl"}],
            },
            "spec": {"containers": [{
                "name": "app",
                "env": [{"name": "A"}, {"value": "b", "name": "ELECTOR_PATH"}, {"name": {}}, "A"],
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
            }]},
            "status": {},
        }),
        json!({
            "metadata": {"annotations": {"active-passive.dev/inject": "true"}},
            "spec": {"containers": [{
                "name": "app",
                "env": [{"name": "ELECTOR_PATH"}],
                "ports": [{"containerPort": 80}],
            }]},
        }),
    );
}

#[test]
fn what_is_ours_is_kept_whole() {
    let ours = json!({"spec": {
        "initContainers": [{"name": "active-passive", "env": [{"name": "A", "new": {"b": 1.5}}]}],
        "volumes": [{"name": "active-passive-token", "projected": {"sources": [1, null]}}],
    }});
    check(ours.clone(), ours);
}

#[test]
fn a_name_that_comes_late_decides_all_the_same() {
    let late = |name: &str| {
        let body = format!(r#"{{"spec":{{"containers":[{{"env":[1],"name":"{name}"}}]}}}}"#);
        read(&body).unwrap()["spec"]["containers"][0].clone()
    };
    assert_eq!(late("app"), json!({"name": "app", "env": []}));
    assert_eq!(
        late("active-passive"),
        json!({"name": "active-passive", "env": [1]})
    );
}

#[test]
fn another_type_stays_another_type() {
    check(
        json!({"metadata": [1, 2], "spec": {"containers": {"a": 1}, "volumes": "x"}}),
        json!({"metadata": [], "spec": {"containers": {}, "volumes": "x"}}),
    );
    for scalar in [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!("text"),
    ] {
        check(scalar.clone(), scalar);
    }
    check(json!([{"a": 1}]), json!([]));
}

#[test]
fn what_is_kept_has_a_budget() {
    let of = |list: String| format!(r#"{{"spec":{{"containers":[{list}]}}}}"#);
    let many = vec!["{}"; 2_000_000].join(",");
    let error = read(&of(many)).unwrap_err().to_string();
    assert!(error.contains("more than an API server lets"), "{error}");
    // What is skipped is free.
    let env = vec![r#"{"name":"A","value":"b"}"#; 200_000].join(",");
    assert!(read(&of(format!(r#"{{"name":"app","env":[{env}]}}"#))).is_ok());
    let ports = vec![r#"{"containerPort":1}"#; 10_000].join(",");
    assert!(read(&of(format!(r#"{{"name":"app","ports":[{ports}]}}"#))).is_ok());
}

#[test]
fn it_is_still_json() {
    for body in ["", "{", r#"{"status":{"a":}}"#, r#"{"status":[1,]}"#] {
        assert!(read(body).is_err(), "{body:?}");
    }
    let deep = "[".repeat(100_000);
    assert!(read(&format!(r#"{{"spec":{{"affinity":{{"nodeAffinity":{deep}"#)).is_err());
}
