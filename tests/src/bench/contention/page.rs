//! The bench's part of `docs/results.md`.

use super::record::{self, Overlaps, Side};
use crate::bench::page::table;
use crate::cluster::Result;
use crate::progress;
use crate::system::System;

const HEAD: &str = "## Contention with client-go

Two pods of ours ([deploy/examples/web.yaml](../deploy/examples/web.yaml), default settings) and two
electors on client-go ([tests/peer](../tests/peer/main.go), 15/10/2 s) contend for one Lease, with the
fencing off, since a fenced Lease refuses holders that are no pods of its group. Chance freezes them
(SIGSTOP, 1 to 22 s, then SIGCONT), kills them (SIGKILL) and deletes their pods: the holder, all of the
holder's kind, or any one.

Compared are spans of belief, by each elector's own log, in milliseconds of the kernel's clock that all of
them share. Ours believes from the answer to the write that took the Lease until it gives the Lease away
or the time of its last renewal is over: whatever asks it after that is told no, also when it was frozen.
client-go's believes from OnStartedLeading to OnStoppedLeading. A process that was killed believes nothing.

";

/// The part of the page; `None` without results.
///
/// # Errors
/// If the results cannot be read.
pub(in crate::bench) fn page() -> Result<Option<String>> {
    let Some(run) = record::read()? else {
        return Ok(None);
    };
    let on = &run.measured;
    let measured = format!(
        "Measured on {}: {} cores, Linux {}, Kubernetes {}; {} with SEED={}.\n\n",
        on.day,
        on.cores,
        on.linux,
        on.kubernetes,
        progress::seconds(run.ran_ms.into()),
        run.seed
    );
    let headings = [
        "electors",
        "killed",
        "frozen",
        "deleted",
        "took over",
        "spans of belief",
        "believed, s",
    ];
    let rows: Vec<Vec<String>> = run.kinds.iter().map(row).collect();
    let without = format!(
        "\nLongest time in which nobody believed to hold it: {} ms.\n",
        run.longest_without_ms
    );
    let at_once = at_once(&run.overlaps);
    Ok(Some(format!(
        "{HEAD}{measured}{}{without}{at_once}",
        table(&headings, &rows)
    )))
}

fn row(side: &Side) -> Vec<String> {
    let name = match side.system {
        System::Ours => format!("**{}**", side.system.name()),
        System::Peer => side.system.name().to_owned(),
    };
    let counts = [
        side.killed,
        side.frozen,
        side.terminated,
        side.takeovers,
        side.beliefs,
    ];
    let believed_s = (side.believed_ms / 1_000).to_string();
    let counts = counts.iter().map(ToString::to_string);
    std::iter::once(name)
        .chain(counts)
        .chain([believed_s])
        .collect()
}

fn at_once(overlaps: &Overlaps) -> String {
    format!(
        "
Two believed at once:

- where one of ours began before its predecessor's Lease had ended, or went on while another began:
  **{}** times (0 is wanted);
- where one on client-go went on after its Lease had run out and another had taken it, as it does when it
  was frozen: {} times, {} ms at most;
- where one on client-go had freed its Lease and OnStoppedLeading came later than the next holder: {}
  times, {} ms at most;
- where one on client-go began while another of them was entitled: {} times.
",
        overlaps.ours,
        overlaps.peer_outlived,
        overlaps.peer_outlived_ms_max,
        overlaps.peer_released,
        overlaps.peer_released_ms_max,
        overlaps.peer_early
    )
}
