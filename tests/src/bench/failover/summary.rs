//! The bench's part of `docs/results.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::events::EVENTS;
use super::record::{self, Entry};
use crate::bench::page::table;
use crate::bench::statistics::median;
use crate::cluster::Result;
use crate::system::System;

const HEAD: &str = "## Failover

Three replicas on two nodes behind one Service, 200 requests a second to its ClusterIP, each over a new
connection and given up after 300 ms. *active-passive* is [deploy/examples/web.yaml](../deploy/examples/web.yaml)
with default settings (lease duration LD 15 s, seamless, atomic routing). *client-go* is the same
Deployment with a sidecar of the usual kind, [tests/peer](../tests/peer/main.go): client-go's leader
election at 15/10/2 s, which on winning strips the label from the others and labels its own pod, and
releases on SIGTERM. Both run on the same cluster and take turns; what happens to the API server
happens to both at once. All requests come from one address, so conntrack is set to forget closed
connections after 1 s.

- *new active*: from the trigger to the first sight of another pod that traffic is sent to (the
  Service's selector; the peer's label). *stayed*: the role did not move.
- *failed*: requests without a good answer, from 1 s before the trigger until all has settled.
- *gap*: longest time between two good answers.
- *two active*: how long the watch showed two active labels, or a Service that selects another pod than
  the labelled one. Where ours moves the role as planned, it labels the new pod before it strips the
  old one; that overlap is its purpose and is not counted.

Times are milliseconds, median / maximum.
";

/// The part of the page; `None` without results.
///
/// # Errors
/// If the results cannot be read.
pub(in crate::bench) fn page() -> Result<Option<String>> {
    let all = record::read()?;
    if all.is_empty() {
        return Ok(None);
    }
    let mut text = HEAD.to_owned();
    text.push_str(&measured(&all));
    text.push('\n');
    let headings = [
        "event",
        "system",
        "runs",
        "new active",
        "failed",
        "of",
        "gap",
        "two active",
    ];
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    text.push_str(&table(&headings, &rows));
    text.push_str("\n### The events, what is wanted of ours, and what else was seen\n\n");
    for event in &EVENTS {
        let of_event = all.iter().filter(|entry| entry.event == event.name);
        let entries: Vec<&Entry> = of_event.collect();
        if entries.is_empty() {
            continue;
        }
        let (name, what, wanted) = (event.name, event.what, event.wanted);
        // Writing to a String does not fail.
        let _written = writeln!(text, "- **{name}**: {what}. Wanted: {wanted}.");
        for entry in entries {
            let also = also(entry);
            if !also.is_empty() {
                let _written = writeln!(text, "  - {}: {also}", entry.system.name());
            }
        }
    }
    Ok(Some(text))
}

/// What it was measured on, each machine once.
fn measured(all: &[Entry]) -> String {
    let machines: BTreeSet<String> = all
        .iter()
        .map(|entry| format!("{}\n", entry.measured))
        .collect();
    machines.into_iter().collect()
}

fn row(entry: &Entry) -> Vec<String> {
    let runs = &entry.runs;
    let both = |value: fn(&record::Run) -> u64| {
        let values: Vec<u64> = runs.iter().map(value).collect();
        both(&values)
    };
    let moved: Vec<u64> = runs.iter().filter_map(|run| run.new_active_ms).collect();
    let stayed = runs.len() - moved.len();
    let moved = match (moved.is_empty(), stayed) {
        (true, _) => "stayed".to_owned(),
        (false, 0) => super::summary::both(&moved),
        (false, stayed) => format!("{}; stayed {stayed}", super::summary::both(&moved)),
    };
    let name = match entry.system {
        System::Ours => format!("**{}**", entry.system.name()),
        System::Peer => entry.system.name().to_owned(),
    };
    vec![
        entry.event.clone(),
        name,
        runs.len().to_string(),
        moved,
        both(|run| run.failed as u64),
        median(
            &runs
                .iter()
                .map(|run| run.requests as u64)
                .collect::<Vec<_>>(),
        )
        .unwrap_or(0)
        .to_string(),
        both(|run| run.longest_gap_ms),
        both(|run| run.two_active_ms),
    ]
}

/// `median / maximum`.
pub(in crate::bench) fn both(values: &[u64]) -> String {
    let most = values.iter().max().copied().unwrap_or(0);
    format!("{} / {most}", median(values).unwrap_or(0))
}

/// What else was seen, by name.
fn also(entry: &Entry) -> String {
    let names: BTreeSet<&String> = entry.runs.iter().flat_map(|run| run.also.keys()).collect();
    let shown = names.into_iter().map(|name| {
        let values = entry.runs.iter().filter_map(|run| run.also.get(name));
        let values: Vec<u64> = values.copied().collect();
        format!("{name} {}", both(&values))
    });
    shown.collect::<Vec<_>>().join(", ")
}
