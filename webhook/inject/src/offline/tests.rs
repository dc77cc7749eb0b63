//! Templates in, patches out, and back again.

use super::*;

fn settings() -> Settings {
    Settings {
        image: "sidecar:1".to_owned(),
        image_pull_policy: "IfNotPresent".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

fn deployment() -> Value {
    json!({
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]},
        }},
    })
}

fn applied(object: &Value, adds: &[Add]) -> Value {
    let patch = serde_json::to_value(adds).unwrap();
    let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
    let mut patched = object.clone();
    json_patch::patch(&mut patched, &patch).unwrap();
    patched
}

#[test]
fn templates_are_found_in_any_kind() {
    let spec = json!({"containers": []});
    let workload = |kind: &str| json!({"kind": kind, "spec": {"template": {"spec": spec}}});
    let cron = json!({"kind": "CronJob", "spec": {"jobTemplate": workload("Job")}});
    let list = json!({"kind": "List", "items": [
        workload("Unheard"), cron, {"kind": "Pod", "spec": spec}, {"kind": "Service", "spec": {}},
        {"kind": "PodTemplate", "template": {"spec": spec}},
    ]});
    let found: Vec<(String, String)> = templates(&list)
        .into_iter()
        .map(|template| (template.kind, template.at))
        .collect();
    let expected = [
        ("Unheard", "/items/0/spec/template"),
        ("CronJob", "/items/1/spec/jobTemplate/spec/template"),
        ("Pod", "/items/2"),
        ("PodTemplate", "/items/4/template"),
    ];
    assert_eq!(
        found,
        expected.map(|(kind, at)| (kind.to_owned(), at.to_owned()))
    );
}

#[test]
fn a_template_is_injected_as_its_pods_are() {
    let object = deployment();
    let [injected] = &inject(&object, "shop", &settings())[..] else {
        panic!("one template")
    };
    let template = applied(&applied(&object, &injected.annotate), &injected.patch);
    // The pod that the API server makes of it is complete already.
    let mut pod = pod_of(&template, &injected.template);
    pod["metadata"]["labels"]["pod-template-hash"] = json!("5d9c");
    pod["metadata"]["ownerReferences"] =
        json!([{"kind": "ReplicaSet", "name": "web-5d9c", "controller": true}]);
    let request = RequestInfo {
        namespace: "shop",
        is_create: true,
        account_missing: false,
    };
    assert_eq!(decide(&pod, &request, &settings()).code(), "unchanged");
    let again = inject(&template, "shop", &settings());
    assert_eq!(again[0].decision.code(), "unchanged");
    assert_eq!(again[0].annotate, []);
}

#[test]
fn what_was_injected_is_found_again() {
    let mut object = deployment();
    let app = &mut object["spec"]["template"]["spec"]["containers"][0];
    app["lifecycle"] = json!({"postStart": {"exec": {"command": ["true"]}}});
    app["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
    let annotations = json!({"active-passive.dev/status-dir": "/run/role"});
    object["spec"]["template"]["metadata"]["annotations"] = annotations;
    let injected = inject(&object, "shop", &settings()).remove(0);
    let template = applied(&applied(&object, &injected.annotate), &injected.patch);
    let removals: Vec<Value> = super::injected(&template)
        .iter()
        .map(|path| json!({"op": "remove", "path": path}))
        .collect();
    let patch: json_patch::Patch = serde_json::from_value(json!(removals)).unwrap();
    let mut back = template;
    json_patch::patch(&mut back, &patch).unwrap();
    assert_eq!(back, object);
    assert_eq!(super::injected(&back), [""; 0]);
}

#[test]
fn a_template_that_cannot_be_is_explained() {
    let mut object = deployment();
    object["metadata"]["name"] = json!("web.example");
    let injected = inject(&object, "shop", &settings()).remove(0);
    assert_eq!(injected.decision.code(), "denied");
    assert_eq!(injected.patch, []);
}

#[test]
fn what_a_template_says_is_heard() {
    let mut object = deployment();
    let mut says = |value: &str, removals: usize| {
        let annotations = json!({(contract::INJECT): value});
        object["spec"]["template"]["metadata"]["annotations"] = annotations;
        let injected = inject(&object, "shop", &settings()).remove(0);
        assert_eq!(injected.annotate, [], "{value}");
        assert_eq!(injected.template.object(), "");
        assert_eq!(super::injected(&object).len(), removals, "{value}");
        injected.decision.code()
    };
    assert_eq!(says("true", 1), "injected");
    // What its author says stays.
    assert_eq!(says("false", 0), "skipped");
    assert_eq!(says("yes", 0), "denied");
}
