//! The bench's part of `docs/results.md`, with what the systems themselves were measured at.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::events::EVENTS;
use super::record::{self, Entry, Run};
use crate::bench::failover::both;
use crate::bench::page::table;
use crate::cluster::Result;

const HEAD: &str = "## In the place of other systems

Two replicas on two nodes, 200 requests a second to the Service. Each profile stands for the system of
its name ([migrate.md](migrate.md)): its labels, Lease and files, with this election beneath. The Service
selects the label of the role, as the system's README has it; under *service-leader-election* it
follows the group. *client-go* is [tests/peer](../tests/peer/main.go), in turn with them on the same
cluster. Times are milliseconds, median / maximum; the columns are those of [Failover](#failover).

*the system itself*: seconds to the new active pod, and failed requests, of that system in its default
settings, built from its source, in November 2026 on a cluster of the same shape (2 cores, Kubernetes
1.36.3, two nodes, 50 to 100 requests a second, its app serving 2 s after SIGTERM); all runs, or the
least and the most of them. There *crash* was a node cut off for 60 s, so its failed requests, of 6,000,
compare with nothing here. Another day and other load: the figures say of what class a result is.
";

/// What a system itself was measured at.
struct Baseline {
    event: &'static str,
    system: &'static str,
    new_active_s: &'static str,
    failed: &'static str,
}

const fn baseline(
    event: &'static str,
    system: &'static str,
    new_active_s: &'static str,
    failed: &'static str,
) -> Baseline {
    Baseline {
        event,
        system,
        new_active_s,
        failed,
    }
}

const BASELINES: [Baseline; 11] = [
    baseline("delete", "apsc", "0.22 to 0.89", "0, 0, 0, 12, 104"),
    baseline("delete", "service-leader-election", "0.40 to 1.45", "0"),
    baseline(
        "delete",
        "leader-labeler-v0.3",
        "0.96 to 1.18",
        "0, 0, 0, 0, 109",
    ),
    baseline("restart", "apsc", "-", "26 to 118"),
    baseline("restart", "service-leader-election", "-", "0, 0, 151"),
    baseline("restart", "leader-labeler-v0.3", "-", "94 to 221"),
    baseline("crash", "apsc", "17.3, 18.5", "1,888, 1,912"),
    baseline(
        "crash",
        "service-leader-election",
        "19.4, 20.7",
        "1,165, 1,194",
    ),
    baseline("crash", "leader-labeler", "15.5, 16.0", "-"),
    baseline("crash", "leader-labeler-v0.3", "15.0, 18.1", "1,026, 1,046"),
    baseline("crash", "leader-elector", "17.3", "1,826 to 1,903"),
];

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
    let machines: BTreeSet<String> = all.iter().map(|it| format!("{}\n", it.measured)).collect();
    text.push('\n');
    text.extend(machines);
    text.push('\n');
    let headings = [
        "event",
        "system",
        "runs",
        "new active",
        "failed",
        "gap",
        "two active",
        "the system itself: new active, s",
        "failed",
    ];
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    text.push_str(&table(&headings, &rows));
    text.push('\n');
    for event in &EVENTS {
        // Writing to a String does not fail.
        let _written = writeln!(text, "- **{}**: {}.", event.name, event.what);
    }
    Ok(Some(text))
}

fn row(entry: &Entry) -> Vec<String> {
    let figure = |value: fn(&Run) -> u64| {
        let values: Vec<u64> = entry.runs.iter().map(value).collect();
        both(&values)
    };
    let moved: Vec<u64> = entry
        .runs
        .iter()
        .filter_map(|run| run.new_active_ms)
        .collect();
    let is = |it: &&Baseline| it.event == entry.event && it.system == entry.system;
    let baseline = BASELINES.iter().find(is);
    vec![
        entry.event.clone(),
        entry.system.clone(),
        entry.runs.len().to_string(),
        both(&moved),
        figure(|run| run.failed as u64),
        figure(|run| run.longest_gap_ms),
        figure(|run| run.two_active_ms),
        baseline.map_or("-", |it| it.new_active_s).to_owned(),
        baseline.map_or("-", |it| it.failed).to_owned(),
    ]
}
