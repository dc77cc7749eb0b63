//! `check`: does what is installed work, and what runs? Before the install: could it?
//!
//! What is said follows from the facts and the time alone (`installation`, `certificate`, `fences`,
//! `groups`, `rights`, `before`); `read` gets the facts. Each finding says what it means, what to do
//! and where to read on. Nothing is changed: pods are created as dry runs only.

mod before;
mod before_read;
mod certificate;
mod facts;
mod fences;
mod finding;
mod groups;
mod installation;
mod names;
mod read;
mod rights;
mod service_mode;
mod versions;

use crate::args::CheckArgs;
use crate::connect::Cluster;
use crate::exit;
use crate::failure::Failure;
use crate::output::{Said, data};
use crate::visible;
use finding::{Finding, Level};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use std::io::IsTerminal;

pub(crate) use read::excluded_namespaces;
pub(crate) use versions::run as version;

/// Ends a colour of a terminal.
const PLAIN: &str = "\x1b[0m";

/// Findings about one thing.
#[derive(Debug, Serialize)]
struct Section {
    title: String,
    findings: Vec<Finding>,
}

/// All findings.
#[derive(Debug, Serialize)]
struct Report {
    ok: usize,
    warnings: usize,
    errors: usize,
    sections: Vec<Section>,
}

/// Runs it.
pub(crate) async fn run(cluster: &Cluster, args: &CheckArgs) -> Result<Said, Failure> {
    let report = Report::new(sections(cluster, args).await?);
    let text = match args.output {
        Some(format) => data(&report, format)?,
        None => report.text(colours()),
    };
    let code = match report.errors {
        0 => exit::DONE,
        _ => exit::UNSOUND,
    };
    Ok(Said {
        code,
        ..Said::from(text)
    })
}

/// Whether somebody looks at it who sees colours and has not asked for none.
fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

async fn sections(cluster: &Cluster, args: &CheckArgs) -> Result<Vec<Section>, Failure> {
    if args.pre {
        let namespace = args.system_namespace.as_deref();
        let facts = before_read::facts(cluster, namespace).await?;
        return Ok(vec![Section {
            title: "Cluster, before the install".to_owned(),
            findings: before::findings(&facts),
        }]);
    }
    let installed = read::installation(cluster, args.system_namespace.as_deref()).await?;
    let namespace = Some(cluster.namespace.as_str()).filter(|_| !args.all_namespaces);
    let workloads = read::workloads(cluster, namespace, &installed).await?;
    let now = Timestamp::now();
    let place = match &workloads.namespace {
        Some(namespace) => format!("Groups in namespace {namespace}"),
        None => "Groups".to_owned(),
    };
    Ok(vec![
        Section {
            title: format!("Installation in namespace {}", installed.namespace),
            findings: installation::findings(&installed, now),
        },
        Section {
            title: place,
            findings: groups::findings(&workloads, now),
        },
    ])
}

impl Report {
    fn new(sections: Vec<Section>) -> Self {
        let count = |level: Level| {
            let findings = sections.iter().flat_map(|it| &it.findings);
            findings.filter(|it| it.level == level).count()
        };
        Self {
            ok: count(Level::Ok),
            warnings: count(Level::Warning),
            errors: count(Level::Error),
            sections,
        }
    }

    fn text(&self, coloured: bool) -> String {
        let mut text = String::new();
        for section in &self.sections {
            text.push_str(&format!("{}\n", section.title));
            for finding in &section.findings {
                let word = format!("{:<9}", finding.level.word());
                let word = match finding.level.colour() {
                    colour if coloured => format!("{colour}{word}{PLAIN}"),
                    _ => word,
                };
                let told = visible::line(&finding.text);
                text.push_str(&format!("{word}{}: {told}\n", finding.check));
                if let Some(cure) = &finding.cure {
                    let cure = visible::line(cure);
                    text.push_str(&format!("         do: {cure}\n"));
                }
                if let Some(docs) = finding.docs {
                    text.push_str(&format!("         see: {docs}\n"));
                }
            }
            text.push('\n');
        }
        let Self {
            ok,
            warnings,
            errors,
            ..
        } = self;
        text.push_str(&format!("{ok} ok, {warnings} warnings, {errors} errors\n"));
        text
    }
}

#[cfg(test)]
mod tests;
