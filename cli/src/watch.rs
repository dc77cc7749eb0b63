//! `watch`: groups as they change, in the terminal; where there is none, a line a change.

mod draw;
mod filter;
mod lines;
mod screen;
mod teller;
mod terminal;

use crate::args::WatchArgs;
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::live;
use serde_json::Value;
use std::io::IsTerminal;
use std::sync::Arc;

/// Runs it until it is ended.
pub(crate) async fn run(cluster: Cluster, args: &WatchArgs) -> Result<String, Failure> {
    // Whoever has given the wrong cluster hears of it at once.
    let _: Value = cluster.get("reach the API server", "/version").await?;
    let cluster = Arc::new(cluster);
    let namespace = Some(cluster.namespace.clone()).filter(|_| !args.all_namespaces);
    let snapshots = live::start(&cluster, namespace.as_deref());
    let group = args.group.clone();
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
        terminal::run(cluster, snapshots, namespace, group).await
    } else {
        lines::run(snapshots, group).await
    }
}
