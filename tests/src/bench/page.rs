//! `docs/results.md`: the parts of all benches whose results exist.

use std::fmt::Display;
use std::fs;

use super::{contention, failover, handler, rest, seeds, webhook};
use crate::cluster::{Doing, Result};
use crate::project_root;

const HEAD: &str = "# Results

Written by `make bench` from the files in [results](../results), which hold every run. The cluster is
that of `make demo`: a real Kubernetes with two nodes in network namespaces of one machine, so the
figures hold load, control plane, nodes and pods of all systems. Compare within a table, not between
machines.
";

/// Writes the page anew.
///
/// # Errors
/// If results cannot be read or the page cannot be written.
pub(super) fn write() -> Result<()> {
    let path = project_root().join("docs/results.md");
    let mut page = HEAD.to_owned();
    let parts = [
        failover::page()?,
        seeds::page()?,
        contention::page()?,
        rest::page()?,
        webhook::page()?,
        handler::page()?,
    ];
    for part in parts.into_iter().flatten() {
        page.push('\n');
        page.push_str(&part);
    }
    fs::write(&path, page).doing(|| format!("write {}", path.display()))
}

/// A Markdown table.
pub(super) fn table<C: Display>(headings: &[&str], rows: &[Vec<C>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let headings: Vec<String> = headings.iter().map(ToString::to_string).collect();
    let mut text = line(&headings);
    text.push_str(&line(&vec!["---".to_owned(); headings.len()]).replace(' ', ""));
    for row in rows {
        let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
        text.push_str(&line(&cells));
    }
    text
}
