//! The bench's part of `docs/results.md`.

use super::record::{self, Role};
use crate::bench::page::table;
use crate::cluster::Result;

const HEAD: &str = "## At rest

One group of three ([deploy/examples/web.yaml](../deploy/examples/web.yaml), default settings) while
nothing happens: alone, and beside 99 other groups whose Leases are renewed as theirs would be. CPU time
of a sidecar, probes of the kubelet included, in milliseconds an hour (3,600 are a thousandth of a
core); its resident set; requests of the group in the time measured, without open watches.

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
    let headings = [
        "groups",
        "sidecar",
        "CPU, ms an hour",
        "resident, kB",
        "Lease writes",
        "other requests",
        "in, s",
    ];
    let mut rows = Vec::new();
    for entry in &all {
        for cost in &entry.costs {
            let of_group = |count: usize| match cost.role {
                Role::Leader => count.to_string(),
                Role::Standby => String::new(),
            };
            rows.push(vec![
                entry.groups.to_string(),
                match cost.role {
                    Role::Leader => "leader".to_owned(),
                    Role::Standby => "standby".to_owned(),
                },
                cost.cpu_ms_per_hour.to_string(),
                cost.rss_kb.to_string(),
                of_group(cost.lease_writes),
                of_group(cost.other_requests),
                cost.seconds.to_string(),
            ]);
        }
    }
    Ok(Some(format!("{HEAD}{}", table(&headings, &rows))))
}
