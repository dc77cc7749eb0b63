//! `history`: the moves that the Lease remembers, as a table, for programs, or as a picture.

use crate::age::{since_s, span, took};
use crate::args::HistoryArgs;
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::gather::group;
use crate::group::Group;
use crate::lease::Lease;
use crate::output::data;
use crate::table::Table;
use crate::timeline::{self, Subject};
use common::history::Entry;
use k8s_openapi::jiff::Timestamp;
use std::path::Path;

/// Standard output, as kubectl names it.
const STDOUT: &str = "-";

/// Runs it.
pub(crate) async fn run(cluster: &Cluster, args: &HistoryArgs) -> Result<String, Failure> {
    let group = group(cluster, &args.group).await?;
    let entries = group.lease.as_ref().map(Lease::history).unwrap_or_default();
    if let Some(file) = &args.svg {
        return picture(&group, &entries, file);
    }
    match args.output {
        Some(format) => data(&entries, format),
        None if entries.is_empty() => Ok(format!("group {} has not moved yet\n", group.name)),
        None => Ok(text(&entries, Timestamp::now())),
    }
}

/// Draws the picture into a file.
fn picture(group: &Group, entries: &[Entry], file: &Path) -> Result<String, Failure> {
    if entries.is_empty() {
        let why = format!(
            "group {} has not moved yet: there is nothing to draw",
            group.name
        );
        return Err(Failure::Output(why));
    }
    let now = Timestamp::now();
    let lease = group.lease.as_ref();
    let led = group.lease_left_s(now).is_some_and(|left_s| left_s >= 0);
    let last_sign = lease.and_then(Lease::renewed_at).filter(|_| !led);
    let subject = Subject {
        namespace: &group.namespace,
        group: &group.name,
        until: last_sign.unwrap_or(now),
        now,
    };
    let Some(svg) = timeline::svg(entries, &subject) else {
        let why = "no move in the Lease's history has a time that can be read";
        return Err(Failure::Output(why.to_owned()));
    };
    if file.as_os_str() == STDOUT {
        return Ok(svg);
    }
    let shown = file.display();
    std::fs::write(file, svg).map_err(|error| Failure::Output(format!("{shown}: {error}")))?;
    Ok(format!("{} moves are drawn in {shown}\n", entries.len()))
}

/// The newest first.
pub(crate) fn text(entries: &[Entry], now: Timestamp) -> String {
    let mut table = Table::new(&["TERM", "ACTIVE", "WHY", "TOOK", "AGO", "AT"]);
    for entry in entries.iter().rev() {
        let ago = since_s(now, entry.at.parse().ok());
        table.line([
            entry.term.to_string(),
            entry.pod.clone(),
            entry.kind.clone(),
            entry.duration_ms.map(took).unwrap_or_default(),
            ago.map(span).unwrap_or_default(),
            entry.at.clone(),
        ]);
    }
    table.text()
}
