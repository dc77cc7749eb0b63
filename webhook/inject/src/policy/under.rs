//! A pod of a namespace that has policies.
//!
//! What a policy says in place of a pod is written onto the pod, as annotations: the pod shows with
//! which settings it runs, and a second look at it needs no policy.

use crate::decision::{Decision, RequestInfo, Settings};
use crate::patch::{Patch, Pointer};
use crate::policy::{Claim, Policy};
use crate::reason::Reason;
use common::contract;
use common::owner::Owner;
use serde_json::{Map, Value};
use std::sync::Arc;

/// An annotation that a policy adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added<'p> {
    /// Its key.
    pub key: &'p str,
    /// Its value.
    pub value: &'p str,
    /// Name of the policy.
    pub policy: &'p str,
}

/// Decides about a pod as [`crate::decide`] does, under `policies`: those about its namespace, in the
/// order of their names. A pod that did not ask is never refused: what stands against it is why it
/// goes without the sidecar.
pub fn decide(
    pod: &Value,
    request: &RequestInfo<'_>,
    settings: &Settings,
    policies: &[Arc<Policy>],
) -> Decision {
    let usual = || crate::decide(pod, request, settings);
    if policies.is_empty() {
        return usual();
    }
    let Some(Under {
        annotations, added, ..
    }) = Under::of(pod, policies)
    else {
        return usual();
    };
    if added.is_empty() {
        return usual();
    }
    let asked_by = added.iter().find(|added| added.key == contract::INJECT);
    match crate::decide(&annotated(pod, &added), request, settings) {
        Decision::Patch(mut injection) => {
            let mut patch = Patch::default();
            let entries: Vec<(&str, &str)> = added.iter().map(|it| (it.key, it.value)).collect();
            patch.merge(
                &Pointer::to(&["metadata", "annotations"]),
                annotations,
                &entries,
            );
            let mut ops = patch.into_ops();
            ops.append(&mut injection.ops);
            injection.ops = ops;
            Decision::Patch(injection)
        }
        Decision::Deny { reasons, .. } if asked_by.is_some() => {
            Decision::Skip(Reason::NotForThisPod {
                policy: asked_by
                    .map(|added| added.policy.to_owned())
                    .unwrap_or_default(),
                why: reasons.to_string(),
            })
        }
        other => other,
    }
}

/// What a pod claims for which one of `policies` asks: the group of its workload's name. The pod is let
/// in with the sidecar only if nobody else has that name.
pub fn claim(pod: &Value, policies: &[Arc<Policy>]) -> Option<Claim> {
    let Under {
        annotations,
        added,
        owner,
    } = Under::of(pod, policies)?;
    Claim::of(annotations, &added, owner)
}

/// A pod that policies may be about.
struct Under<'a, 'p> {
    annotations: Option<&'a Map<String, Value>>,
    owner: Owner,
    /// What policies say in its place.
    added: Vec<Added<'p>>,
}

impl<'a, 'p> Under<'a, 'p> {
    /// None for a pod that is malformed, or has no workload.
    fn of(pod: &'a Value, policies: &'p [Arc<Policy>]) -> Option<Self> {
        let metadata = pod.get("metadata")?.as_object()?;
        let annotations = match metadata.get("annotations") {
            None | Some(Value::Null) => None,
            Some(annotations) => Some(annotations.as_object()?),
        };
        let text = |key: &str| metadata.get("labels")?.get(key)?.as_str();
        let owner = owner(metadata, text)?;
        let matching = policies
            .iter()
            .filter(|policy| policy.is_about(&owner.kind, text));
        let added = added(annotations, matching.map(Arc::as_ref));
        Some(Self {
            annotations,
            owner,
            added,
        })
    }
}

/// Whether a pod says itself whether it wants the sidecar. One that does not never waits for it.
pub fn asks(pod: &Value) -> bool {
    crate::pod::inject_annotation(pod).is_some()
}

/// The workload behind a pod; a pod without one is none of a policy's.
fn owner<'a>(
    metadata: &Map<String, Value>,
    label: impl Fn(&str) -> Option<&'a str>,
) -> Option<Owner> {
    let owners = metadata.get("ownerReferences")?.as_array()?;
    let controls = |owner: &&Value| owner.get("controller") == Some(&Value::Bool(true));
    let controller = owners.iter().find(controls)?;
    let text = |key: &str| controller.get(key).and_then(Value::as_str);
    Some(Owner::behind(text("kind")?, text("name")?, label))
}

/// What `policies`, in the order of their names, add to a template with these annotations: nothing
/// to one that does not take part.
pub(super) fn added<'p>(
    annotations: Option<&Map<String, Value>>,
    policies: impl Iterator<Item = &'p Policy> + Clone,
) -> Vec<Added<'p>> {
    let own = |key: &str| {
        let own = annotations.and_then(|annotations| annotations.get(key));
        own.filter(|value| !value.is_null())
    };
    let mut added: Vec<Added<'p>> = Vec::new();
    match own(contract::INJECT) {
        Some(Value::String(inject)) if inject == "true" => {}
        Some(_) => return added,
        None => {
            let Some(policy) = policies.clone().find(|policy| policy.injects()) else {
                return added;
            };
            let policy = policy.name();
            added.push(Added {
                key: contract::INJECT,
                value: "true",
                policy,
            });
            added.push(Added {
                key: contract::INJECTED_BY,
                value: policy,
                policy,
            });
        }
    }
    for policy in policies {
        for (key, value) in &policy.spec().defaults {
            if own(key).is_none() && added.iter().all(|it| it.key != key) {
                added.push(Added {
                    key,
                    value,
                    policy: policy.name(),
                });
            }
        }
    }
    added
}

/// The pod, with these annotations. Its metadata is an object.
pub(super) fn annotated(pod: &Value, added: &[Added<'_>]) -> Value {
    let mut pod = pod.clone();
    let annotations = &mut pod["metadata"]["annotations"];
    if !annotations.is_object() {
        *annotations = Value::Object(Map::new());
    }
    for it in added {
        annotations[it.key] = Value::String(it.value.to_owned());
    }
    pod
}
