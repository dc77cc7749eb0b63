//! `history`: the moves that the Lease remembers.

use crate::age::{since_s, span, took};
use crate::args::HistoryArgs;
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::gather::group;
use crate::lease::Lease;
use crate::output::data;
use crate::table::Table;
use common::history::Entry;
use k8s_openapi::jiff::Timestamp;

/// Runs it.
pub(crate) async fn run(cluster: &Cluster, args: &HistoryArgs) -> Result<String, Failure> {
    let (group, _) = group(cluster, &args.group).await?;
    let entries = group.lease.as_ref().map(Lease::history).unwrap_or_default();
    match args.output {
        Some(format) => data(&entries, format),
        None if entries.is_empty() => Ok(format!("group {} has not moved yet\n", group.name)),
        None => Ok(text(&entries, Timestamp::now())),
    }
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
