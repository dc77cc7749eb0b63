//! `explain`: what would become of pods, and why, in words.

use super::fields::{added, unasked};
use super::{PULL_POLICY, parsed, rule, settings, value};
use crate::args::ExplainArgs;
use crate::connect::Cluster;
use crate::exit;
use crate::failure::Failure;
use crate::manifests;
use crate::output::Said;
use ::inject::offline::{self, Injected};
use ::inject::{Decision, Settings};
use common::contract;
use serde_json::Value;
use std::fmt::Write;

/// What would become of each template, and why. It ends as `inject` does where pods that ask would
/// be denied.
pub(crate) fn explain(namespace: &str, args: &ExplainArgs) -> Result<Said, Failure> {
    let settings = settings(None, PULL_POLICY);
    let mut said = Said::from(String::new());
    for manifest in manifests::read(&args.files)? {
        let text = parsed(&manifest)?;
        for index in 0..text.len() {
            let object = value(&manifest, &text, index)?;
            for injected in offline::inject(&object, namespace, &settings) {
                tell(&mut said.text, &object, &injected)
                    .map_err(|error| Failure::Output(error.to_string()))?;
                if is_denied(&injected) {
                    said.code = exit::UNINJECTED;
                }
            }
        }
    }
    Ok(said)
}

/// The same for a pod that runs: by which rule it has what it has, and what it would get if it were
/// made now.
pub(crate) async fn explain_pod(cluster: &Cluster, name: &str) -> Result<String, Failure> {
    let path = format!("/api/v1/namespaces/{}/pods/{name}", cluster.namespace);
    let pod: Value = cluster.get(&format!("read pod {name}"), &path).await?;
    let facts = rule::facts(cluster, &pod).await?;
    let mut told = format!("Pod/{name}\n{}", rule::said(&pod, &facts));
    let (pod, settings) = as_created(pod);
    for injected in offline::inject(&pod, &cluster.namespace, &settings) {
        decided(&mut told, &pod, &injected).map_err(|error| Failure::Output(error.to_string()))?;
    }
    Ok(told)
}

fn is_denied(injected: &Injected) -> bool {
    injected.annotate.is_empty() && matches!(injected.decision, Decision::Deny { .. })
}

/// A pod without what sidecars have written since it was made, and settings with its own image.
pub(super) fn as_created(mut pod: Value) -> (Value, Settings) {
    let annotations = &pod["metadata"]["annotations"];
    let role_label = annotations[contract::ROLE_LABEL]
        .as_str()
        .map(str::to_owned);
    let role_label = role_label.unwrap_or_else(|| contract::ROLE.to_owned());
    if let Some(labels) = pod["metadata"]["labels"].as_object_mut() {
        labels.retain(|key, _| *key != role_label && key != contract::POD);
    }
    if let Some(annotations) = pod["metadata"]["annotations"].as_object_mut() {
        annotations.remove(contract::TERM);
    }
    let containers = pod["spec"]["initContainers"].as_array();
    let sidecar = containers
        .into_iter()
        .flatten()
        .find(|container| container["name"] == contract::CONTAINER);
    let text = |key: &str| sidecar.and_then(|sidecar| sidecar[key].as_str());
    let pull_policy = text("imagePullPolicy").unwrap_or(PULL_POLICY);
    let settings = settings(text("image"), pull_policy);
    (pod, settings)
}

fn tell(told: &mut String, object: &Value, injected: &Injected) -> std::fmt::Result {
    let template = &injected.template;
    writeln!(told, "{}/{}", template.kind, template.name)?;
    decided(told, object, injected)
}

pub(super) fn decided(told: &mut String, object: &Value, injected: &Injected) -> std::fmt::Result {
    if let Some(why) = unasked(object, injected) {
        writeln!(told, "  does not ask for the sidecar: {why}")?;
        writeln!(told, "  if it did:")?;
    }
    match &injected.decision {
        Decision::Patch(injection) => {
            writeln!(told, "  group {}", injection.group)?;
            writeln!(told, "  account {}", injection.account.name)?;
            for warning in &injection.warnings {
                writeln!(told, "  warning: {warning}")?;
            }
            for field in added(injected) {
                writeln!(told, "  adds {field}")?;
            }
            if injected.patch.is_empty() {
                writeln!(told, "  has everything already")?;
            }
        }
        Decision::Deny { reasons, warnings } => {
            for reason in &reasons.0 {
                writeln!(told, "  denied ({}): {reason}", reason.code())?;
            }
            for warning in warnings {
                writeln!(told, "  warning: {warning}")?;
            }
        }
        Decision::Skip(reason) => writeln!(told, "  left alone ({}): {reason}", reason.code())?,
    }
    Ok(())
}
