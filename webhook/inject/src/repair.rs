//! What is there already, compared with what shall be there.
//!
//! Between two calls for one pod the API server fills in defaults, and other webhooks change what
//! they like: mounts are appended, images redirected, probes rewritten. None of that is undone.

use common::contract::env;
use serde_json::{Map, Value};

/// By which key the elements of these lists are told apart.
const IDENTITIES: [&str; 3] = ["name", "mountPath", "containerPort"];

/// Whether `found` holds everything that `wanted` says, and perhaps more.
pub(crate) fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).is_some_and(|found| covers(found, wanted))),
        (Value::Array(found), Value::Array(wanted)) => wanted.iter().all(|wanted| {
            found
                .iter()
                .any(|found| same_element(found, wanted) && covers(found, wanted))
        }),
        (found, wanted) => found == wanted,
    }
}

/// The list `wanted`, and behind it those elements of `found` that it does not name.
pub(crate) fn merged(found: Option<&Value>, wanted: &Value) -> Value {
    let (Some(Value::Array(found)), Value::Array(wanted)) = (found, wanted) else {
        return wanted.clone();
    };
    let kept = found
        .iter()
        .filter(|found| !wanted.iter().any(|wanted| same_element(found, wanted)))
        .filter(|found| !is_stale(found, &Value::Null));
    Value::Array(wanted.iter().chain(kept).cloned().collect())
}

/// Fields of `wanted` that `found` does not cover, or covers with settings that are gone.
pub(crate) fn uncovered<'a>(
    found: &'a Map<String, Value>,
    wanted: &'a Value,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let wanted = wanted.as_object().into_iter().flatten();
    wanted.filter(|(key, wanted)| {
        let covered = found.get(*key).is_some_and(|found| covers(found, wanted));
        !covered || has_stale(found.get(*key), wanted)
    })
}

/// Whether `found` has variables of ours that `wanted` has not: settings that are gone.
fn has_stale(found: Option<&Value>, wanted: &Value) -> bool {
    let found = found.and_then(Value::as_array);
    found.is_some_and(|found| found.iter().any(|found| is_stale(found, wanted)))
}

/// Whether `found` is a variable that only an injection sets, and `wanted` does not name it. The
/// level of the log is not among them: an injection leaves it to whoever sets it.
fn is_stale(found: &Value, wanted: &Value) -> bool {
    let Some(name) = found.get("name").and_then(Value::as_str) else {
        return false;
    };
    let named = |wanted: &Vec<Value>| wanted.iter().any(|wanted| same_element(found, wanted));
    name.starts_with(env::PREFIX) && name != env::LOG && !wanted.as_array().is_some_and(named)
}

fn same_element(found: &Value, wanted: &Value) -> bool {
    IDENTITIES
        .iter()
        .find_map(|key| Some(found.get(key) == Some(wanted.get(key)?)))
        .unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn more_is_no_difference() {
        let wanted = json!({"env": [{"name": "A", "value": "1"}], "drop": ["ALL"]});
        let found = json!({
            "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
            "drop": ["ALL", "KILL"],
            "terminationMessagePath": "/dev/termination-log",
        });
        assert!(covers(&found, &wanted));
        assert!(!covers(&wanted, &found));
        let other = json!({"env": [{"name": "A", "value": "2"}], "drop": ["ALL"]});
        assert!(!covers(&other, &wanted));
    }

    #[test]
    fn merging_keeps_what_others_added() {
        let found = json!([
            {"name": "A", "value": "old"},
            {"name": "ACTIVE_PASSIVE_OLD"},
            {"name": "B"},
        ]);
        let wanted = json!([{"name": "A", "value": "new"}]);
        let merged = merged(Some(&found), &wanted);
        assert_eq!(
            merged,
            json!([{"name": "A", "value": "new"}, {"name": "B"}])
        );
    }
}
