//! Where an annotated Service points, derived from its annotations in the write that changes them.
//!
//! The same rule as the chart's MutatingAdmissionPolicy, for clusters before 1.36. The selector is
//! an atomic map that belongs to whoever applies the Service; derived at admission, our key in it
//! stays theirs, comes back on every apply, and goes away with the group annotation.

use crate::json::Json;
use crate::patch::{Add, Pointer};
use common::contract::{self, NO_POD};
use serde::Serialize;
use serde_json::{Map, Value};

/// One operation on a Service.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Op {
    /// Puts a value.
    Add(Add),
    /// Takes one away; emitted for what was seen to be there only.
    Remove(Remove),
}

/// Takes away what is at `path`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename = "remove")]
pub struct Remove {
    /// JSON Pointer, RFC 6901.
    pub path: String,
}

/// What becomes of a Service.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct Route {
    /// The patch; empty if everything is as it must be.
    pub ops: Vec<Op>,
    /// What whoever wrote it should know.
    pub warnings: Vec<String>,
}

/// Derives the selector key of `service` from its annotations. `old` is the Service before this
/// write, if it existed. Total: a Service without selector, and anything else, is left alone.
pub fn route(service: &Value, old: Option<&Value>) -> Route {
    let Some(selector) = selector(service) else {
        return Route::default();
    };
    let group = annotation(service, contract::GROUP).unwrap_or_default();
    // What another group's leader wrote means nothing here.
    let same = old.filter(|old| annotation(old, contract::GROUP).unwrap_or_default() == group);
    let kept = |key: &str| {
        same.and_then(|old| annotation(old, key))
            .filter(|value| !value.is_empty())
    };
    let given = annotation(service, contract::ACTIVE);
    let active = match group {
        "" => "",
        _ => given
            .filter(|_| old.is_none() || same.is_some())
            .or_else(|| kept(contract::ACTIVE))
            .unwrap_or_else(|| before_leader(service)),
    };

    let mut ops = Vec::new();
    let annotations = Pointer::to(&["metadata", "annotations"]);
    if !active.is_empty() && given != Some(active) {
        ops.push(put(annotations.key(contract::ACTIVE), active));
    }
    let term = kept(contract::TERM).filter(|_| annotation(service, contract::TERM).is_none());
    if let Some(term) = term.filter(|_| !group.is_empty()) {
        ops.push(put(annotations.key(contract::TERM), term));
    }
    let at = Pointer::to(&["spec", "selector", contract::POD]);
    match selector.get(contract::POD) {
        Some(_) if active.is_empty() => ops.push(Op::Remove(Remove {
            path: at.into_string(),
        })),
        found if !active.is_empty() && found.is_none_or(|found| found != active) => {
            ops.push(put(at, active))
        }
        _ => {}
    }
    Route {
        ops,
        warnings: headless_warning(service, group),
    }
}

/// What a Service of a group points at before the group has its first leader.
fn before_leader(service: &Value) -> &'static str {
    match annotation(service, contract::BEFORE_LEADER) {
        Some("all") => "",
        _ => NO_POD,
    }
}

fn headless_warning(service: &Value, group: &str) -> Vec<String> {
    let headless = service.pointer("/spec/clusterIP").and_then(Value::as_str) == Some("None");
    let warning = "this Service is headless: only the active pod keeps its name in DNS";
    Vec::from_iter((headless && !group.is_empty()).then(|| warning.to_owned()))
}

fn selector(service: &Value) -> Option<&Map<String, Value>> {
    service.get("spec")?.get("selector")?.as_object()
}

fn annotation<'a>(service: &'a Value, key: &str) -> Option<&'a str> {
    service
        .get("metadata")?
        .get("annotations")?
        .get(key)?
        .as_str()
}

fn put(at: Pointer, value: &str) -> Op {
    Op::Add(Add {
        path: at.into_string(),
        value: Json::of(value),
    })
}

#[cfg(test)]
mod tests;
