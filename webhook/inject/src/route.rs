//! Where an annotated Service points, derived from its annotations in the write that changes them.
//!
//! The same rule as the chart's MutatingAdmissionPolicy, for clusters before 1.36. The selector is
//! an atomic map that belongs to whoever applies the Service; derived at admission, our key in it
//! stays theirs, comes back on every apply, and goes away with the group annotation.

use crate::json::Json;
use crate::patch::{Add, Pointer};
use common::contract::{self, NO_POD, default};
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

/// Value of the annotation that asks for Service mode.
const SERVICE_MODE: &str = "active-passive";

/// Derives the selector key of `service` from its annotations. `old` is the Service before this
/// write, if it existed. Total: a Service without selector, and anything else, is left alone.
pub fn route(service: &Value, old: Option<&Value>) -> Route {
    let Some(selector) = selector(service) else {
        return Route::default();
    };
    let (claim, was) = (Claim::of(service), old.map(Claim::of));
    // What another group's leader wrote means nothing here.
    let same = old.filter(|_| was == Some(claim));
    let kept = |key: &str| {
        same.and_then(|old| annotation(old, key))
            .filter(|value| !value.is_empty())
    };
    let given = annotation(service, contract::ACTIVE);
    let known = given
        .filter(|_| old.is_none() || same.is_some())
        .or_else(|| kept(contract::ACTIVE));
    let active = match claim {
        Claim::Nobody => "",
        Claim::Group(_) => known.unwrap_or_else(|| before_leader(service)),
        // Until a pod is designated, its owner's selector stands.
        Claim::ServiceMode => known.unwrap_or_default(),
    };

    let mut ops = Vec::new();
    let annotations = Pointer::to(&["metadata", "annotations"]);
    if !active.is_empty() && given != Some(active) {
        ops.push(put(annotations.key(contract::ACTIVE), active));
    }
    let changed = old.is_some() && same.is_none();
    let service_mode = claim == Claim::ServiceMode || was == Some(Claim::ServiceMode);
    if active.is_empty() && given.is_some() && changed && service_mode {
        ops.push(take(annotations.key(contract::ACTIVE)));
    }
    let term = annotation(service, contract::TERM);
    match claim {
        Claim::Group(_) => {
            let kept = kept(contract::TERM).filter(|_| term.is_none());
            ops.extend(kept.map(|kept| put(annotations.key(contract::TERM), kept)));
        }
        // No group has written there in this term.
        Claim::ServiceMode => {
            ops.extend(term.map(|_| take(annotations.key(contract::TERM))));
        }
        Claim::Nobody => {}
    }
    let wanted = Some(active).filter(|active| !active.is_empty());
    let derived = selector.contains_key(contract::POD);
    ops.extend(select(selector, contract::POD, wanted, derived));
    let compat = claim == Claim::ServiceMode && asks_compat(service);
    // Before a pod was designated the key is that controller's, which still routes by it.
    let undesignated = |old| annotation(old, contract::ACTIVE).is_none_or(str::is_empty);
    let derived = old.is_some_and(|old| {
        let theirs = compat && undesignated(old);
        was == Some(Claim::ServiceMode) && asks_compat(old) && !theirs
    });
    let wanted = wanted.filter(|_| compat).map(|_| default::ACTIVE_VALUE);
    ops.extend(select(
        selector,
        contract::COMPAT_DESIGNATION,
        wanted,
        derived,
    ));
    Route {
        ops,
        warnings: headless_warning(service, claim),
    }
}

/// Who decides where a Service points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim<'a> {
    /// Its owner alone.
    Nobody,
    /// The leader of this group.
    Group(&'a str),
    /// Service mode.
    ServiceMode,
}

impl<'a> Claim<'a> {
    fn of(service: &'a Value) -> Self {
        let group = annotation(service, contract::GROUP).filter(|group| !group.is_empty());
        let asks = annotation(service, contract::MODE) == Some(SERVICE_MODE);
        match group {
            Some(group) => Self::Group(group),
            None if asks || asks_compat(service) => Self::ServiceMode,
            None => Self::Nobody,
        }
    }
}

/// Whether it asks for Service mode as active-standby-controller has it.
fn asks_compat(service: &Value) -> bool {
    annotation(service, contract::COMPAT_MODE).is_some_and(|value| !value.is_empty())
}

/// Gives a key of the selector this value. `derived`: where none is wanted, ours goes.
fn select(
    selector: &Map<String, Value>,
    key: &str,
    wanted: Option<&str>,
    derived: bool,
) -> Option<Op> {
    let at = Pointer::to(&["spec", "selector", key]);
    match (selector.get(key), wanted) {
        (Some(_), None) => derived.then(|| take(at)),
        (found, Some(wanted)) => found
            .is_none_or(|found| found != wanted)
            .then(|| put(at, wanted)),
        (None, None) => None,
    }
}

/// What a Service of a group points at before the group has its first leader.
fn before_leader(service: &Value) -> &'static str {
    match annotation(service, contract::BEFORE_LEADER) {
        Some("all") => "",
        _ => NO_POD,
    }
}

fn headless_warning(service: &Value, claim: Claim<'_>) -> Vec<String> {
    let headless = service.pointer("/spec/clusterIP").and_then(Value::as_str) == Some("None");
    let warning = "this Service is headless: only the active pod keeps its name in DNS";
    Vec::from_iter((headless && matches!(claim, Claim::Group(_))).then(|| warning.to_owned()))
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

fn take(at: Pointer) -> Op {
    Op::Remove(Remove {
        path: at.into_string(),
    })
}

#[cfg(test)]
mod tests;
