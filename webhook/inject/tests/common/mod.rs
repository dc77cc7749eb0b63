//! What golden and property tests share.

mod review;

use ::common::contract::SIDECAR_PORT;
use inject::review::{Resource, Review};
use inject::{Decision, Injection, RequestInfo, Settings, decide};
use review::review;
use serde_json::Value;

/// The creation of a pod.
pub(crate) fn request() -> RequestInfo<'static> {
    RequestInfo {
        namespace: "shop",
        is_create: true,
        account_missing: false,
    }
}

/// An installation.
pub(crate) fn settings() -> Settings {
    Settings {
        image: "registry.example/active-passive-sidecar:0.1.0".to_owned(),
        image_pull_policy: "IfNotPresent".to_owned(),
        version: "0.1.0".to_owned(),
    }
}

/// What becomes of a pod; the same whether it is looked at whole or as the webhook reads it.
pub(crate) fn decided(pod: &Value) -> Decision {
    let decision = decide(pod, &request(), &settings());
    let review = review(pod);
    if let Ok(review) = Review::parse(review.to_string().as_bytes(), Resource::Pod) {
        let sifted = decide(&review.object, &review.info(), &settings());
        assert_eq!(sifted, decision, "{pod}");
    } else {
        assert!(pod.is_null(), "no review: {pod}");
    }
    decision
}

/// The pod as the API server has it after the patch.
pub(crate) fn apply(pod: &Value, injection: &Injection) -> Value {
    let ops = serde_json::to_value(&injection.ops).unwrap();
    let patch: json_patch::Patch = serde_json::from_value(ops).unwrap();
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &patch).unwrap_or_else(|error| panic!("{error}: {pod}"));
    patched
}

/// Whether everything that stands in `before` stands in `after`, at its place or further down its
/// list. Exceptions are the values that an injection may overwrite. Fails with the path that is
/// lost.
pub(crate) fn kept(before: &Value, after: &Value, path: &str) -> Result<(), String> {
    let lost = || Err(path.to_owned());
    match (before, after) {
        _ if before == after || overwritten(path) || injected_earlier(before, after) => Ok(()),
        // The hook of an earlier injection, which goes or gets another port.
        (_, Value::Null) if path.ends_with("/lifecycle/preStop") => Ok(()),
        (Value::Number(port), _) if path.ends_with("/lifecycle/preStop/httpGet/port") => {
            let ours = port.as_u64() >= Some(u64::from(SIDECAR_PORT));
            if ours { Ok(()) } else { lost() }
        }
        (Value::Null, _) => Ok(()),
        (Value::Object(before), Value::Object(after)) => {
            before
                .iter()
                .try_for_each(|(key, before)| match after.get(key) {
                    Some(after) => kept(before, after, &format!("{path}/{key}")),
                    None => Err(format!("{path}/{key}")),
                })
        }
        (Value::Array(before), Value::Array(after)) => {
            before.iter().enumerate().try_for_each(|(index, item)| {
                let path = format!("{path}/{index}");
                let found = after.iter().any(|after| kept(item, after, &path).is_ok());
                if found { Ok(()) } else { Err(path) }
            })
        }
        _ => lost(),
    }
}

/// The sidecar and the volumes of an earlier injection are put right.
fn injected_earlier(before: &Value, after: &Value) -> bool {
    let name = |value: &Value| value.get("name").and_then(Value::as_str).map(str::to_owned);
    name(before).is_some_and(|before| before.starts_with("active-passive"))
        && name(before) == name(after)
}

/// What is not the user's: the account, the grace period, and keys that only sidecars write (one
/// golden case has `role` as its role label).
fn overwritten(path: &str) -> bool {
    const MAY_CHANGE: [&str; 8] = [
        "/spec/serviceAccountName",
        "/spec/serviceAccount",
        "/spec/terminationGracePeriodSeconds",
        "/metadata/annotations/active-passive.dev/injected",
        "/metadata/annotations/active-passive.dev/term",
        "/metadata/labels/active-passive.dev/pod",
        "/metadata/labels/active-passive.dev/role",
        "/metadata/labels/role",
    ];
    MAY_CHANGE.contains(&path)
}
