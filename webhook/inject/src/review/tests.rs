//! The wire format, as the API server's own parser demands it.

use super::*;
use crate::decision::{Settings, decide};
use crate::reason::Reason;
use serde_json::json;

fn review(kind: &str) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u1",
            "kind": {"group": "", "version": "v1", "kind": kind},
            "namespace": "shop",
            "operation": "CREATE",
            "dryRun": true,
            "object": {"metadata": {}},
            "oldObject": null,
        },
    })
}

fn parse(review: &Value) -> Result<Review, String> {
    let body = serde_json::to_vec(review).unwrap();
    Review::parse(&body, Resource::Pod).map_err(|error| error.to_string())
}

fn wire(answer: Answer) -> Value {
    serde_json::from_str(&answer.text().unwrap()).unwrap()
}

#[test]
fn a_review_is_read() {
    let found = parse(&review("Pod")).unwrap();
    assert_eq!(
        (found.uid.as_str(), found.namespace.as_str()),
        ("u1", "shop")
    );
    assert!(found.is_create && found.dry_run && found.old_object.is_none());
}

#[test]
fn what_is_no_review_for_this_path_is_refused() {
    let error = parse(&review("Deployment")).unwrap_err();
    assert_eq!(
        error,
        "the review is about /v1 Deployment; this path answers for core/v1 Pod"
    );
    let mut old = review("Pod");
    old["apiVersion"] = json!("admission.k8s.io/v1beta1");
    assert_eq!(
        parse(&old).unwrap_err(),
        "the body is AdmissionReview of admission.k8s.io/v1beta1; expected AdmissionReview of \
         admission.k8s.io/v1"
    );
    for (path, value) in [("uid", json!("")), ("object", json!(null))] {
        let mut torn = review("Pod");
        torn["request"][path] = value;
        assert_eq!(
            parse(&torn).unwrap_err(),
            ReviewError::NoRequest.to_string()
        );
    }
    let mut none = review("Pod");
    none["request"] = json!(null);
    assert_eq!(
        parse(&none).unwrap_err(),
        ReviewError::NoRequest.to_string()
    );
    assert!(parse(&json!({})).is_err());
    assert!(Review::parse(b"{", Resource::Pod).is_err());
}

#[test]
fn a_patch_is_base64_with_its_type() {
    let settings = Settings {
        image: "sidecar:1".to_owned(),
        image_pull_policy: "Never".to_owned(),
        version: "0.1.0".to_owned(),
    };
    let pod = json!({
        "metadata": {"annotations": {
            "active-passive.dev/inject": "true",
            "active-passive.dev/group": "web",
        }},
        "spec": {"containers": []},
    });
    let info = RequestInfo {
        namespace: "shop",
        is_create: true,
        account_missing: false,
    };
    let wire = wire(Answer::of("u1", &decide(&pod, &info, &settings)).unwrap());
    assert_eq!(wire["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(wire["kind"], "AdmissionReview");
    assert_eq!(wire["response"]["uid"], "u1");
    assert_eq!(wire["response"]["allowed"], true);
    assert_eq!(wire["response"]["patchType"], "JSONPatch");
    assert_eq!(
        wire["response"]["auditAnnotations"],
        json!({"decision": "injected", "group": "web"})
    );
    let patch = BASE64
        .decode(wire["response"]["patch"].as_str().unwrap())
        .unwrap();
    let ops: Vec<Value> = serde_json::from_slice(&patch).unwrap();
    assert!(ops.iter().all(|op| op["op"] == "add"), "{ops:?}");
}

#[test]
fn an_answer_without_patch_has_no_patch_type() {
    let answer = Answer::patch("u1", &[] as &[Value]).unwrap();
    let expected = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "u1", "allowed": true},
    });
    assert_eq!(wire(answer), expected);
}

#[test]
fn warnings_fit_into_headers() {
    let long = "\u{fc}ber\n".repeat(100);
    let wire = wire(Answer::allow("u1").warning(&vec![long; 50]));
    let warnings = wire["response"]["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), WARNINGS_MAX);
    let (last, warnings) = warnings.split_last().unwrap();
    assert_eq!(last, "and 37 more warnings");
    for warning in warnings {
        let warning = warning.as_str().unwrap();
        assert!(
            warning.is_ascii() && warning.len() <= WARNING_CHARS_MAX && !warning.contains('\n')
        );
        assert!(
            warning.starts_with("?ber?") && warning.ends_with("..."),
            "{warning}"
        );
    }
}

#[test]
fn a_refusal_fits_into_an_event() {
    let reasons = Reasons(vec![
        Reason::GroupLabelDiffers {
            label: "x".repeat(100_000),
            group: "web".to_owned(),
        },
        Reason::Windows,
        Reason::Windows,
    ]);
    let decision = Decision::Deny {
        reasons,
        warnings: Vec::new(),
    };
    let wire = wire(Answer::of("u1", &decision).unwrap());
    let message = wire["response"]["status"]["message"].as_str().unwrap();
    assert_eq!(message.len(), MESSAGE_CHARS_MAX);
    let audit = &wire["response"]["auditAnnotations"];
    assert_eq!(audit["reason"], "group-label-differs");
    assert_eq!(audit["reasons"], "group-label-differs,windows");
}
