//! From the bytes of a review to those of its answer: what must hold for any bytes. Shared by the
//! fuzz target and by the test that does without its tools.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use inject::review::{Answer, Resource, Review};
use inject::{Settings, decide, route::route};
use serde_json::Value;

/// Answers `body` on both paths; panics if an answer is none.
pub(crate) fn check(body: &[u8]) {
    let settings = Settings {
        image: "sidecar:1".to_owned(),
        image_pull_policy: "IfNotPresent".to_owned(),
        version: "0.1.0".to_owned(),
    };
    if let Ok(review) = Review::parse(body, Resource::Pod) {
        let decision = decide(&review.object, &review.info(), &settings);
        let answer = Answer::of(&review.uid, &decision).expect("an answer can be written");
        judge(&review, &answer, |patched| {
            let again = decide(patched, &review.info(), &settings);
            assert_eq!(again.code(), "unchanged", "{patched}: {again:?}");
        });
    }
    if let Ok(review) = Review::parse(body, Resource::Service) {
        let route = route(&review.object, review.old_object.as_ref());
        let answer = Answer::patch(&review.uid, &route.ops).expect("an answer can be written");
        judge(&review, &answer.warning(&route.warnings), |_| {});
    }
}

fn judge(review: &Review, answer: &Answer, stable: impl Fn(&Value)) {
    let answer = answer.text().expect("an answer can be written");
    let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
    let response = &answer["response"];
    assert_eq!(response["uid"], review.uid.as_str());
    for warning in response["warnings"].as_array().into_iter().flatten() {
        let warning = warning.as_str().expect("a warning is a text");
        assert!(warning.is_ascii() && warning.len() <= 256, "{warning:?}");
    }
    let Some(patch) = response["patch"].as_str() else {
        return;
    };
    let patch = BASE64.decode(patch).expect("a patch is base64");
    let patch: json_patch::Patch = serde_json::from_slice(&patch).expect("a patch is RFC 6902");
    let mut patched = review.object.clone();
    json_patch::patch(&mut patched, &patch).expect("a patch applies");
    stable(&patched);
}
