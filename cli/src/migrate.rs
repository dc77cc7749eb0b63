//! `migrate`: manifests of other electors, with the annotations of this one in the place of what those
//! needed.
//!
//! ```text
//! files ──▶ documents as text and JSON ──▶ plan (pure) ──▶ changed texts ──▶ diff, or the files
//!                                                               └──▶ the injector: would it work?
//! ```
//!
//! Nothing is guessed: a setting that has no annotation, or that cannot be read here, is a problem, and
//! where there is one nothing is written. Absent from it: any look at a cluster.

mod elector;
mod files;
mod object;
mod plan;
mod rights;
mod service;
mod settings;
mod volumes;
mod wanted;
mod workload;

use crate::args::MigrateArgs;
use crate::failure::Failure;
use crate::inject::{PULL_POLICY, settings as injector_settings};
use ::inject::Decision;
use ::inject::offline::{self, Injected};
use files::File;
use plan::Plan;
use similar::TextDiff;
use std::fmt::Write;

/// What a diff shows around a change, lines.
const CONTEXT_LINES: usize = 3;

/// Rewrites manifests. Without `--write` they are shown as they would become.
pub(crate) fn run(namespace: &str, args: &MigrateArgs) -> Result<String, Failure> {
    let mut files = files::read(&args.files)?;
    if args.write && files.iter().any(|file| file.path.is_none()) {
        let why = "it cannot be written in place; name files, or leave --write out";
        return Err(Failure::Manifest {
            manifest: "standard input".to_owned(),
            why: why.to_owned(),
        });
    }
    let mut plan = plan::of(&files::values(&files)?, namespace);
    if plan.problems.is_empty() {
        files::change(&mut files, &plan.edits)?;
        judge(&files, namespace, &mut plan)?;
    }
    if !plan.problems.is_empty() {
        return Err(Failure::NotMigrated(plan.problems.join("\n")));
    }
    if args.write {
        files::write(&files)?;
    }
    told(&files, &plan, args.write).map_err(|error| Failure::Output(error.to_string()))
}

/// Asks the injector about each pod template that was changed.
fn judge(files: &[File], namespace: &str, plan: &mut Plan) -> Result<(), Failure> {
    let settings = injector_settings(None, PULL_POLICY);
    for (index, document, value) in files::values(files)? {
        for injected in offline::inject(&value, namespace, &settings) {
            let title = format!("{}/{}", injected.template.kind, injected.template.name);
            let mut templates = plan.templates.iter();
            let Some(template) = templates.find(|it| it.is(index, document, &title)) else {
                continue;
            };
            match verdict(&injected) {
                Ok(warnings) => plan.notes[template.note].lines.extend(warnings),
                Err(why) => plan.problems.push(format!("{title}: {why}")),
            }
        }
    }
    Ok(())
}

/// Warnings about a template that asks, or why its pods would be refused.
fn verdict(injected: &Injected) -> Result<Vec<String>, String> {
    match &injected.decision {
        Decision::Patch(injection) => {
            let warnings = injection.warnings.iter();
            Ok(warnings.map(|it| format!("warning: {it}")).collect())
        }
        Decision::Deny { reasons, .. } => Err(reasons.to_string()),
        Decision::Skip(reason) => Err(reason.to_string()),
    }
}

/// Diffs, then what was done to which object and why, then what is left to do.
fn told(files: &[File], plan: &Plan, is_written: bool) -> Result<String, std::fmt::Error> {
    let mut told = String::new();
    for file in files.iter().filter(|file| file.is_changed()) {
        if is_written {
            writeln!(told, "wrote {}", file.source)?;
        } else {
            let text = file.text();
            let diff = TextDiff::from_lines(file.original.as_str(), text.as_str());
            let mut diff = diff.unified_diff();
            let diff = diff.context_radius(CONTEXT_LINES);
            write!(told, "{}", diff.header(&file.source, &file.source))?;
        }
    }
    for note in &plan.notes {
        writeln!(told, "\n{} ({})", note.object, files[note.file].source)?;
        for line in &note.lines {
            writeln!(told, "  {line}")?;
        }
    }
    if files.iter().any(File::is_changed) && !is_written {
        writeln!(told, "\nNothing is written yet: --write does it.")?;
    }
    if plan.notes.is_empty() {
        let names = elector::NAMES.map(|(name, _)| name).join(", ");
        writeln!(told, "Nothing to migrate: no container of {names}.")?;
    }
    for file in files.iter().filter(|file| file.is_emptied()) {
        writeln!(
            told,
            "\n{} holds no object any more: delete it.",
            file.source
        )?;
    }
    for (index, step) in plan.next.iter().enumerate() {
        if index == 0 {
            writeln!(told, "\nNext:")?;
        }
        writeln!(told, "  {}. {step}", index + 1)?;
    }
    Ok(told)
}

#[cfg(test)]
mod tests;
