//! `inject`, `uninject` and `explain`: what the webhook would do, to manifests, without a cluster.

use crate::args::{Data, ExplainArgs, InjectArgs, Mode, UninjectArgs};
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::manifests::{self, Manifest};
use crate::output;
use crate::yaml::{Change, Text};
use ::inject::offline::{self, Injected};
use ::inject::{Add, Decision, Settings};
use common::contract;
use serde_json::{Value, json};
use std::fmt::Write;

/// Where an object goes that names no namespace.
pub(crate) const NAMESPACE: &str = "default";
/// How the sidecar's image is pulled where nobody says.
pub(crate) const PULL_POLICY: &str = "IfNotPresent";

/// Settings with an image, or with one that is not looked at.
pub(crate) fn settings(image: Option<&str>, pull_policy: &str) -> Settings {
    let version = env!("CARGO_PKG_VERSION");
    let usual = || format!("registry.invalid/active-passive/sidecar:{version}");
    Settings {
        image: image.map_or_else(usual, str::to_owned),
        image_pull_policy: pull_policy.to_owned(),
        version: version.to_owned(),
    }
}

/// The manifests with the sidecar, or with the annotation that asks for it. With `--check`: nothing,
/// or what is missing.
pub(crate) fn inject(namespace: Option<&str>, args: &InjectArgs) -> Result<String, Failure> {
    let settings = settings(
        args.sidecar_image.as_deref(),
        &args.sidecar_image_pull_policy,
    );
    let namespace = namespace.unwrap_or(NAMESPACE);
    let mut texts = Vec::new();
    let mut wrong = Vec::new();
    for manifest in manifests::read(&args.files)? {
        let text = parsed(&manifest)?;
        let mut accounts = Vec::new();
        for index in 0..text.len() {
            let object = value(&manifest, &text, index)?;
            for injected in offline::inject(&object, namespace, &settings) {
                let changes = changes(&injected, args.mode);
                if let Some(problem) = problem(&injected, args, &changes) {
                    wrong.push(format!("{}: {problem}", manifest.source));
                    continue;
                }
                if args.mode == Mode::Full {
                    accounts.extend(objects(&injected, namespace));
                }
                let changes: Vec<Change<'_>> = changes.iter().map(|add| Change::Add(add)).collect();
                change(&manifest, &text, index, &changes)?;
            }
        }
        texts.push(written(&manifest, &text, &accounts, args.output)?);
    }
    if !wrong.is_empty() {
        return Err(Failure::NotInjected(wrong.join("\n")));
    }
    Ok(if args.check {
        String::new()
    } else {
        joined(&texts)
    })
}

/// What a mode changes.
fn changes(injected: &Injected, mode: Mode) -> Vec<&Add> {
    let patch = match mode {
        Mode::Annotate => &[][..],
        Mode::Full => &injected.patch,
    };
    injected.annotate.iter().chain(patch).collect()
}

/// Why a template stays as it is, or with `--check`, what it lacks.
fn problem(injected: &Injected, args: &InjectArgs, changes: &[&Add]) -> Option<String> {
    let what = format!("{}/{}", injected.template.kind, injected.template.name);
    match &injected.decision {
        Decision::Deny { reasons, .. } => Some(format!("{what}: {reasons}")),
        Decision::Skip(reason) => Some(format!("{what}: {reason}")),
        Decision::Patch(_) if args.check && !changes.is_empty() => {
            Some(format!("{what}: {} changes are missing", changes.len()))
        }
        Decision::Patch(_) => None,
    }
}

/// The account of a group and its binding, as the webhook makes them.
fn objects(injected: &Injected, namespace: &str) -> Vec<Value> {
    let Decision::Patch(injection) = &injected.decision else {
        return Vec::new();
    };
    let namespace = match injected.template.namespace.as_str() {
        "" => namespace,
        named => named,
    };
    ::inject::objects::of_group(namespace, &injection.group, &injection.account)
}

/// The manifests without what an injection has put into them.
pub(crate) fn uninject(args: &UninjectArgs) -> Result<String, Failure> {
    let mut texts = Vec::new();
    for manifest in manifests::read(&args.files)? {
        let text = parsed(&manifest)?;
        for index in 0..text.len() {
            let object = value(&manifest, &text, index)?;
            let removals = offline::injected(&object);
            let changes: Vec<Change<'_>> = removals.iter().map(|at| Change::Remove(at)).collect();
            change(&manifest, &text, index, &changes)?;
        }
        texts.push(written(&manifest, &text, &[], args.output)?);
    }
    Ok(joined(&texts))
}

/// What would become of each template, and why, in words.
pub(crate) fn explain(namespace: Option<&str>, args: &ExplainArgs) -> Result<String, Failure> {
    let settings = settings(None, PULL_POLICY);
    let mut told = String::new();
    for manifest in manifests::read(&args.files)? {
        let text = parsed(&manifest)?;
        for index in 0..text.len() {
            let object = value(&manifest, &text, index)?;
            let namespace = namespace.unwrap_or(NAMESPACE);
            for injected in offline::inject(&object, namespace, &settings) {
                tell(&mut told, &injected).map_err(|error| Failure::Output(error.to_string()))?;
            }
        }
    }
    Ok(told)
}

/// The same for a pod that runs: what it has, and what it would get if it were made now.
pub(crate) async fn explain_pod(cluster: &Cluster, name: &str) -> Result<String, Failure> {
    let path = format!("/api/v1/namespaces/{}/pods/{name}", cluster.namespace);
    let pod: Value = cluster.get(&format!("read pod {name}"), &path).await?;
    let (pod, settings) = as_created(pod);
    let mut told = String::new();
    for injected in offline::inject(&pod, &cluster.namespace, &settings) {
        tell(&mut told, &injected).map_err(|error| Failure::Output(error.to_string()))?;
    }
    Ok(told)
}

/// A pod without what sidecars have written since it was made, and settings with its own image.
fn as_created(mut pod: Value) -> (Value, Settings) {
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

fn tell(told: &mut String, injected: &Injected) -> std::fmt::Result {
    let template = &injected.template;
    writeln!(told, "{}/{}", template.kind, template.name)?;
    if !injected.annotate.is_empty() {
        writeln!(told, "  does not ask for the sidecar; if it did:")?;
    }
    match &injected.decision {
        Decision::Patch(injection) => {
            writeln!(told, "  group {}", injection.group)?;
            writeln!(told, "  account {}", injection.account.name)?;
            for warning in &injection.warnings {
                writeln!(told, "  warning: {warning}")?;
            }
            for add in &injected.patch {
                writeln!(told, "  adds {}", add.path)?;
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

fn parsed(manifest: &Manifest) -> Result<Text, Failure> {
    Text::parse(&manifest.text).map_err(|why| refused(manifest, why))
}

fn value(manifest: &Manifest, text: &Text, index: usize) -> Result<Value, Failure> {
    text.value(index).map_err(|why| refused(manifest, why))
}

fn change(
    manifest: &Manifest,
    text: &Text,
    index: usize,
    changes: &[Change<'_>],
) -> Result<(), Failure> {
    let changed = text.change(index, changes);
    changed.map_err(|why| refused(manifest, why))
}

fn refused(manifest: &Manifest, why: String) -> Failure {
    Failure::Manifest {
        manifest: manifest.source.clone(),
        why,
    }
}

/// A text as it is printed, with more objects behind it.
fn written(
    manifest: &Manifest,
    text: &Text,
    more: &[Value],
    format: Data,
) -> Result<String, Failure> {
    match format {
        Data::Yaml => {
            let mut written = text.to_string();
            for object in more {
                if !written.ends_with('\n') {
                    written.push('\n');
                }
                written.push_str("---\n");
                written.push_str(&output::data(object, Data::Yaml)?);
            }
            Ok(written)
        }
        Data::Json => {
            let documents = (0..text.len()).map(|index| value(manifest, text, index));
            let mut items = documents.collect::<Result<Vec<Value>, Failure>>()?;
            items.retain(|item| !item.is_null());
            items.extend_from_slice(more);
            let all = match items.len() {
                1 => items.remove(0),
                _ => json!({"apiVersion": "v1", "kind": "List", "items": items}),
            };
            output::data(&all, Data::Json)
        }
    }
}

/// Several texts as documents of one.
fn joined(texts: &[String]) -> String {
    let mut joined = String::new();
    for text in texts {
        if !joined.is_empty() {
            if !joined.ends_with('\n') {
                joined.push('\n');
            }
            if !text.starts_with("---") {
                joined.push_str("---\n");
            }
        }
        joined.push_str(text);
    }
    joined
}

#[cfg(test)]
mod tests;
