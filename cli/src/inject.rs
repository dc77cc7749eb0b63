//! `inject`, `uninject` and `explain`: what the webhook would do, to manifests, without a cluster.

mod explain;
mod fields;
mod objects;
mod rule;

use crate::args::{Data, InjectArgs, Mode, UninjectArgs};
use crate::failure::Failure;
use crate::manifests::{self, Manifest};
use crate::output::{self, Said};
use crate::yaml::{Change, Text};
use ::inject::offline::{self, Injected};
use ::inject::reason::Reason;
use ::inject::{Add, Decision, Settings};
use common::contract;
use objects::Known;
use serde_json::{Value, json};

pub(crate) use explain::{explain, explain_pod};

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
/// or what is missing. `namespace` is where an object goes that names none.
pub(crate) fn inject(namespace: &str, args: &InjectArgs) -> Result<Said, Failure> {
    let settings = settings(
        args.sidecar_image.as_deref(),
        &args.sidecar_image_pull_policy,
    );
    let mut texts = Vec::new();
    let mut wrong = Vec::new();
    let mut aside = String::new();
    let manifests = manifests::read(&args.files)?;
    let mut known = known(&manifests)?;
    for manifest in &manifests {
        let text = parsed(manifest)?;
        let mut more = Vec::new();
        for index in 0..text.len() {
            let object = value(manifest, &text, index)?;
            for injected in offline::inject(&object, namespace, &settings) {
                if let Some(opted_out) = opted_out(&object, &injected) {
                    aside.push_str(&opted_out);
                    continue;
                }
                if let Some(problem) = problem(&object, &injected, args) {
                    let lines = problem.lines();
                    wrong.extend(lines.map(|line| format!("{}: {line}", manifest.source)));
                    continue;
                }
                if args.mode == Mode::Full {
                    more.extend(known.missing(&injected, namespace));
                }
                let changes = changes(&injected, args.mode).into_iter().map(Change::Add);
                change(manifest, &text, index, &changes.collect::<Vec<_>>())?;
            }
        }
        texts.push(written(manifest, &text, &more, args.output)?);
    }
    if !wrong.is_empty() {
        return Err(Failure::NotInjected(wrong.join("\n")));
    }
    let text = if args.check {
        String::new()
    } else {
        joined(&texts)
    };
    Ok(Said {
        aside,
        ..Said::from(text)
    })
}

fn known(manifests: &[Manifest]) -> Result<Known, Failure> {
    let mut known = Known::default();
    for manifest in manifests {
        let text = parsed(manifest)?;
        for index in 0..text.len() {
            known.note(&value(manifest, &text, index)?);
        }
    }
    Ok(known)
}

fn title(injected: &Injected) -> String {
    format!("{}/{}", injected.template.kind, injected.template.name)
}

/// What is said of a template whose author wants no sidecar; none where it is not so.
fn opted_out(object: &Value, injected: &Injected) -> Option<String> {
    if injected.decision != Decision::Skip(Reason::NotAsked) {
        return None;
    }
    let key = contract::INJECT;
    let template = object.pointer(&injected.template.at)?;
    let says = &template["metadata"]["annotations"][key];
    Some(format!(
        "{}: left alone, it says {key}: {says}\n",
        title(injected)
    ))
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
fn problem(object: &Value, injected: &Injected, args: &InjectArgs) -> Option<String> {
    let what = title(injected);
    match &injected.decision {
        Decision::Deny { reasons, .. } => Some(format!("{what}: {reasons}")),
        Decision::Skip(reason) => Some(format!("{what}: {reason}")),
        Decision::Patch(_) if args.check => {
            let asks = fields::unasked(object, injected);
            let added = match args.mode {
                Mode::Annotate => Vec::new(),
                Mode::Full => fields::added(injected),
            };
            let added = added.into_iter().map(|field| format!("{field} is missing"));
            let lacks: Vec<String> = asks.into_iter().chain(added).collect();
            let lines = lacks.iter().map(|it| format!("{what}: {it}"));
            (!lacks.is_empty()).then(|| lines.collect::<Vec<_>>().join("\n"))
        }
        Decision::Patch(_) => None,
    }
}

/// The manifests without what an injection has put into them, and behind them.
pub(crate) fn uninject(args: &UninjectArgs) -> Result<String, Failure> {
    let mut texts = Vec::new();
    for manifest in manifests::read(&args.files)? {
        let text = parsed(&manifest)?;
        for index in 0..text.len() {
            let object = value(&manifest, &text, index)?;
            let mut removals = offline::injected(&object);
            removals.extend(objects::items(&object));
            let changes: Vec<Change<'_>> = removals.iter().map(|at| Change::Remove(at)).collect();
            change(&manifest, &text, index, &changes)?;
        }
        texts.push(match args.output {
            Data::Yaml => objects::without(&text.to_string()),
            Data::Json => written(&manifest, &text, &[], Data::Json)?,
        });
    }
    Ok(joined(&texts))
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
