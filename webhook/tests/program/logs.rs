//! What the program says about reviews.

use crate::hook::{API_SERVER, REVIEW, start};
use serde_json::Value;

/// Stands in every part of a pod that its owner fills.
const SECRET: &str = "hunter2";

/// The lines about reviews.
fn lines(said: &str, message: &str) -> Vec<Value> {
    let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &Value| line["message"] == message)
        .collect()
}

/// The review of a pod that holds what nobody else should see.
fn review(annotation: &str, value: &str) -> Value {
    let mut review: Value = serde_json::from_str(REVIEW).unwrap();
    let pod = &mut review["request"]["object"];
    pod["metadata"]["annotations"][annotation] = value.into();
    pod["metadata"]["annotations"]["example.com/key"] = SECRET.into();
    pod["metadata"]["labels"]["key"] = SECRET.into();
    let container = &mut pod["spec"]["containers"][0];
    container["env"] = serde_json::json!([{"name": "PASSWORD", "value": SECRET}]);
    container["args"] = serde_json::json!([SECRET]);
    review
}

#[tokio::test]
async fn a_decision_is_one_line_and_holds_nothing_of_the_pod() {
    let hook = start("logs").await;
    let settle = "active-passive.dev/settle";
    for review in [review(settle, "1s"), review(settle, SECRET)] {
        let status = hook.status(API_SERVER, review.to_string().as_bytes()).await;
        assert_eq!(status, "HTTP/1.1 200");
    }
    // Cut off in the middle of a value.
    let broken = review(settle, "1s").to_string();
    let end = broken.find(SECRET).unwrap() + SECRET.len();
    let status = hook.status(API_SERVER, &broken.as_bytes()[..end]).await;
    assert_eq!(status, "HTTP/1.1 400");

    let said = hook.said();
    let decisions: Vec<_> = lines(&said, "a pod")
        .iter()
        .map(|line| (line["decision"].clone(), line["reason"].clone()))
        .collect();
    let expected = [("injected", "none"), ("denied", "bad-value")];
    let expected = expected.map(|(decision, reason)| (decision.into(), reason.into()));
    assert_eq!(decisions, expected);
    let uid = review(settle, "1s")["request"]["uid"].clone();
    assert!(lines(&said, "a pod").iter().all(|line| line["uid"] == uid));
    assert_eq!(lines(&said, "no review").len(), 1);
    assert!(!said.contains(SECRET), "{said}");
}
