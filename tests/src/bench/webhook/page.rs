//! The bench's part of `docs/results.md`.

use super::record::{Admission, Load, Memory, Results, Run, Server, Start};
use crate::admission::{Admitted, PODS};
use crate::bench::page::table;
use crate::bench::statistics::median;
use crate::bench::{WEBHOOK, record};
use crate::cluster::Result;

const HEAD: &str = "## What a review costs

The webhook as it is shipped, over TLS on connections that stay open, beside the *floor*: a Go server
that looks at nothing and answers a constant ([tests/peer/floor](../tests/peer/floor/main.go)). Both
are processes of one machine and take turns on its loopback device; each client sends one review after
the other. The reviews are as an API server wrote them, of pods that are injected: the answer of the
webhook has some 5,000 bytes, that of the floor 200. Medians of the runs; CPU time is that of all threads
of the server, kernel included.

Wanted of the webhook: the floor's CPU time for small and typical reviews, twice that for large ones;
resident below 8,000 kB idle, 12,000 after 10,000 reviews, 48,000 at most and 16,000 again 10 s later;
an answer 30 ms after the start.

";

/// The part of the page; `None` without results.
///
/// # Errors
/// If the results cannot be read.
pub(in crate::bench) fn page() -> Result<Option<String>> {
    let Some(results) = record::read::<Results>(WEBHOOK)? else {
        return Ok(None);
    };
    let measured = format!(
        "{} Clients, control plane and all else on the machine took {} % of its CPU time \
         meanwhile.\n\n",
        results.measured, results.elsewhere_percent
    );
    let headings = [
        "review",
        "at once",
        "server",
        "CPU, us a review",
        "p50, us",
        "p99, us",
        "reviews/s",
    ];
    let loads: Vec<Vec<String>> = results.loads.iter().map(load).collect();
    let loads = table(&headings, &loads);
    let headings = [
        "server",
        "resident idle, kB",
        "after 10,000 typical",
        "most, 16 large at once",
        "10 s later",
        "start to first answer, ms",
    ];
    let servers = Server::ALL.iter().filter_map(|server| {
        let memory = results.memory.iter().find(|it| it.server == *server)?;
        let start = results.starts.iter().find(|it| it.server == *server)?;
        Some(process(memory, start))
    });
    let servers = table(&headings, &servers.collect::<Vec<_>>());
    let admission = results
        .admission
        .as_ref()
        .map(admission)
        .unwrap_or_default();
    Ok(Some(format!(
        "{HEAD}{measured}{loads}\n{servers}{admission}"
    )))
}

fn admission(admission: &Admission) -> String {
    let row = |what: &str, admitted: &Admitted| {
        let Admitted { ms, p50_ms, p99_ms } = admitted;
        vec![
            what.to_owned(),
            ms.to_string(),
            p50_ms.to_string(),
            p99_ms.to_string(),
        ]
    };
    let headings = [
        "created",
        "all after, ms",
        "p50 at most, ms",
        "p99 at most, ms",
    ];
    let rows = [
        row("as dry runs, 32 at once", &admission.dry_runs),
        row("by the controllers of a Deployment", &admission.scaled),
    ];
    let table = table(&headings, &rows);
    format!(
        "\n{PODS} pods through an API server, with the chart installed: each got exactly one sidecar. \
         How long it waited for the webhook is its own histogram's, whose buckets end at 5, 25, 100, \
         500 and 1000 ms.\n\n{table}"
    )
}

fn name(server: Server) -> String {
    match server {
        Server::Ours => format!("**{}**", server.name()),
        Server::Floor => server.name().to_owned(),
    }
}

fn load(load: &Load) -> Vec<String> {
    let middle = |figure: fn(&Run) -> u64| {
        let figures: Vec<u64> = load.runs.iter().map(figure).collect();
        median(&figures).unwrap_or_default().to_string()
    };
    vec![
        format!("{}, {} bytes", load.review.name(), load.bytes),
        load.connections.to_string(),
        name(load.server),
        middle(|run| run.cpu_us / (run.reviews as u64).max(1)),
        middle(|run| run.p50_us),
        middle(|run| run.p99_us),
        middle(|run| run.reviews as u64 * 1_000 / run.ms.max(1)),
    ]
}

fn process(memory: &Memory, start: &Start) -> Vec<String> {
    let answer_us = median(&start.answer_us).unwrap_or_default();
    let kb = [
        memory.idle_kb,
        memory.used_kb,
        memory.peak_kb,
        memory.later_kb,
    ];
    let kb = kb.iter().map(ToString::to_string);
    let start = format!("{}.{}", answer_us / 1_000, answer_us % 1_000 / 100);
    std::iter::once(name(memory.server))
        .chain(kb)
        .chain([start])
        .collect()
}
