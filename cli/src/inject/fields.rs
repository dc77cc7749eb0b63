//! What an injection adds, as people name it.

use ::inject::Add;
use ::inject::offline::Injected;
use common::contract;
use serde_json::Value;
use std::fmt::Write;

/// What would be added to the pod template: labels, annotations, and fields with the names of what
/// goes into them.
pub(super) fn added(injected: &Injected) -> Vec<String> {
    let at = injected.template.at.as_str();
    let of = |add: &Add| {
        words(
            add.path.strip_prefix(at).unwrap_or(&add.path),
            &add.value.value(),
        )
    };
    injected.patch.iter().flat_map(of).collect()
}

/// Why a template does not ask for the sidecar, with where the annotation is missing; none if it
/// says something.
pub(super) fn unasked(object: &Value, injected: &Injected) -> Option<String> {
    if injected.annotate.is_empty() {
        return None;
    }
    let template = &injected.template;
    let holder = template.object();
    let place = template.at.strip_prefix(holder).unwrap_or_default();
    let place = dotted(&format!("{place}/metadata/annotations"));
    let inject = contract::INJECT;
    let mut text = format!("{inject}: \"true\" is missing under {place}");
    let holder = object.pointer(holder);
    if holder.is_some_and(|it| it["metadata"]["annotations"].get(inject).is_some()) {
        let kind = &template.kind;
        text += &format!("; it stands on the {kind} itself, where nobody reads it");
    }
    Some(text)
}

fn words(path: &str, value: &Value) -> Vec<String> {
    let steps: Vec<String> = steps(path).collect();
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let keys = || value.as_object().into_iter().flat_map(|it| it.keys());
    match steps.as_slice() {
        ["metadata", "labels", key] => vec![format!("label {key}")],
        ["metadata", "labels"] => keys().map(|key| format!("label {key}")).collect(),
        ["metadata", "annotations", key] => vec![format!("annotation {key}")],
        ["metadata", "annotations"] => keys().map(|key| format!("annotation {key}")).collect(),
        _ => vec![field(path, value)],
    }
}

/// A field; where elements are added, the list and their names.
fn field(path: &str, value: &Value) -> String {
    let name = |it: &Value| it["name"].as_str().map(str::to_owned);
    let names: Option<Vec<String>> = match value {
        Value::Array(items) => items.iter().map(name).collect(),
        one => name(one).map(|name| vec![name]),
    };
    let (list, last) = path.rsplit_once('/').unwrap_or_default();
    let is_element = last == "-" || last.parse::<usize>().is_ok();
    match names {
        Some(names) if is_element => format!("{}: {}", dotted(list), names.join(", ")),
        Some(names) => format!("{}: {}", dotted(path), names.join(", ")),
        None => dotted(path),
    }
}

/// A JSON Pointer as `kubectl explain` names fields, with the numbers of elements.
fn dotted(path: &str) -> String {
    let mut text = String::new();
    for step in steps(path) {
        let written = match step.parse::<usize>() {
            Ok(index) => write!(text, "[{index}]"),
            Err(_) if text.is_empty() => write!(text, "{step}"),
            Err(_) => write!(text, ".{step}"),
        };
        // Writing to a String cannot fail.
        written.unwrap_or_default();
    }
    text
}

fn steps(path: &str) -> impl Iterator<Item = String> {
    let steps = path.split('/').skip(1);
    steps.map(|step| step.replace("~1", "/").replace("~0", "~"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn additions_are_named_as_people_name_them() {
        let variables = json!([{"name": "A"}, {"name": "B"}]);
        for (path, value, expected) in [
            ("/metadata/labels/a~1b", json!("1"), "label a/b"),
            ("/metadata/annotations/a", json!("1"), "annotation a"),
            ("/metadata/annotations", json!({"a": "1"}), "annotation a"),
            (
                "/spec/initContainers/0",
                json!({"name": "s"}),
                "spec.initContainers: s",
            ),
            ("/spec/volumes/-", json!({"name": "v"}), "spec.volumes: v"),
            (
                "/spec/containers/1/env",
                variables,
                "spec.containers[1].env: A, B",
            ),
            (
                "/spec/serviceAccountName",
                json!("w"),
                "spec.serviceAccountName",
            ),
        ] {
            assert_eq!(words(path, &value), [expected], "{path}");
        }
    }
}
