//! The account of a group and its bindings, as documents behind the manifests.

use crate::yaml::Text;
use ::inject::names::MANAGED_BY;
use ::inject::objects::{of_group, of_router};
use ::inject::offline::Injected;
use ::inject::{Decision, Injection};
use common::contract;
use serde_json::Value;

/// Kinds that are made for groups.
const KINDS: [&str; 2] = ["ServiceAccount", "RoleBinding"];

/// Kind, namespace and name.
type Name = (String, String, String);

/// What is in the manifests already, as far as groups need it.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Namespace and group of annotated Services; no namespace where they name none.
    routed: Vec<(String, String)>,
    there: Vec<Name>,
}

impl Known {
    /// Notes an object, or those of a list.
    pub(super) fn note(&mut self, object: &Value) {
        if let Some(items) = object["items"].as_array() {
            items.iter().for_each(|item| self.note(item));
            return;
        }
        let name = name(object);
        let group = object["metadata"]["annotations"][contract::GROUP].as_str();
        if let ("Service", Some(group)) = (name.0.as_str(), group) {
            self.routed.push((name.1, group.to_owned()));
        } else if KINDS.contains(&name.0.as_str()) {
            self.there.push(name);
        }
    }

    /// What an injection needs and is not there: as the webhook makes it, but without a namespace
    /// where the manifest names none. `namespace` is where such an object goes.
    pub(super) fn missing(&mut self, injected: &Injected, namespace: &str) -> Vec<Value> {
        let Decision::Patch(injection) = &injected.decision else {
            return Vec::new();
        };
        let Injection { group, account, .. } = &**injection;
        let named = injected.template.namespace.as_str();
        let or = |named: &'_ str| if named.is_empty() { namespace } else { named }.to_owned();
        let place = or(named);
        let mut objects = of_group(&place, group, account);
        let here = |(of, name): &(String, String)| or(of) == place && name == group.as_str();
        if self.routed.iter().any(here) {
            objects.push(of_router(&place, group, account));
        }
        for object in &mut objects {
            if let (true, Some(metadata)) = (named.is_empty(), object["metadata"].as_object_mut()) {
                metadata.remove("namespace");
            }
        }
        objects.retain(|object| {
            let (kind, of, name) = name(object);
            let mut there = self.there.iter();
            !there.any(|it| it.0 == kind && or(&it.1) == or(&of) && it.2 == name)
        });
        self.there.extend(objects.iter().map(name));
        objects
    }
}

fn name(object: &Value) -> Name {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    (
        text(&object["kind"]),
        text(&metadata["namespace"]),
        text(&metadata["name"]),
    )
}

/// Whether an object was made for a group, here or by the webhook.
pub(super) fn is_ours(object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    KINDS.iter().any(|kind| object["kind"] == *kind)
        && labels[MANAGED_BY.0] == MANAGED_BY.1
        && labels[contract::GROUP].is_string()
}

/// JSON Pointers to those of the items of a list, from the last to the first.
pub(super) fn items(object: &Value) -> Vec<String> {
    let items = object["items"].as_array().into_iter().flatten().enumerate();
    let mut ours: Vec<String> = items
        .filter(|(_, item)| is_ours(item))
        .map(|(index, _)| format!("/items/{index}"))
        .collect();
    ours.reverse();
    ours
}

/// A text without the documents that were made for groups.
pub(super) fn without(text: &str) -> String {
    let mut kept = String::new();
    for document in documents(text) {
        let body = document.strip_prefix("---").unwrap_or(document);
        let object = Text::parse(body).and_then(|text| match text.len() {
            1 => text.value(0),
            _ => Ok(Value::Null),
        });
        if !object.is_ok_and(|object| is_ours(&object)) {
            kept.push_str(document);
        }
    }
    kept
}

/// A text cut before each line that begins a document.
fn documents(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut from, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if at > from && line.trim_end() == "---" {
            found.push(&text[from..at]);
            from = at;
        }
        at += line.len();
    }
    found.push(&text[from..]);
    found
}
