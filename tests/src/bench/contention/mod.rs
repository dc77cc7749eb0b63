//! Two sidecars of ours and two electors on client-go contend for one Lease, while they are killed,
//! frozen and ended by chance: who believed when to hold it, by their own logs.
//!
//! The fencing is off. A Lease that is fenced refuses client-go, whose identity is no pod's uid,
//! and a sidecar of ours fences a Lease that it finds free: see `may_fence` of the sidecar.

mod beliefs;
mod cast;
mod chance;
mod deeds;
mod logs;
mod page;
mod record;

pub(super) use page::page;

use k8s_openapi::jiff::Timestamp;

use super::machine::Machine;
use crate::clock;
use crate::cluster::images::{self, Kind};
use crate::cluster::{Cluster, ClusterOptions, Result};
use crate::progress;
use crate::scene;
use beliefs::Span;
use chance::Chance;
use logs::Logs;
use record::Run;

/// How long they contend unless told otherwise, milliseconds.
const DURATION_MS: u64 = 10 * 60 * 1_000;

/// Lets them contend and writes down what came of it. Says how many runs failed: 1 if one of ours
/// was one of two at fault.
///
/// # Errors
/// If the cluster does not start or one of them does not.
pub(super) async fn run(duration_ms: Option<u64>, seed: Option<u64>) -> Result<usize> {
    let seed = seed.unwrap_or_else(|| Timestamp::now().as_millisecond().unsigned_abs());
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    let run = contend(&cluster, duration_ms.unwrap_or(DURATION_MS), seed).await;
    cluster.stop()?;
    let run = run?;
    tell(&run);
    record::write(&run)?;
    Ok(usize::from(run.overlaps.ours > 0))
}

fn tell(run: &Run) {
    for side in &run.kinds {
        println!(
            "{:<14} took over {} times, killed {}, frozen {}, deleted {}, believed {} ms in {} spans",
            side.system.name(),
            side.takeovers,
            side.killed,
            side.frozen,
            side.terminated,
            side.believed_ms,
            side.beliefs
        );
    }
    let overlaps = &run.overlaps;
    println!(
        "two at once by our fault {}, by client-go's {}; nobody for {} ms at most; SEED={}",
        overlaps.ours,
        overlaps.peer_outlived + overlaps.peer_released + overlaps.peer_early,
        run.longest_without_ms,
        run.seed
    );
    println!("every span: target/bench/contention.txt");
}

async fn contend(cluster: &Cluster, duration_ms: u64, seed: u64) -> Result<Run> {
    let step = progress::step("installing the chart and both kinds of electors");
    scene::install(cluster, &["fencing.mode=Off"]).await?;
    scene::load_images(cluster, &images::build(&[Kind::Peer]).await?).await?;
    cast::open(cluster).await?;
    step.done();
    let measured = Machine::of(cluster).await?;
    let logs = Logs::follow(cluster.pod_logs().collect());
    let from_ms = clock::now_ms();
    progress::line(&format!(
        "they contend for {}, SEED={seed}",
        progress::seconds(duration_ms.into())
    ));
    let done = deeds::perform(cluster, Chance::new(seed), from_ms + duration_ms).await?;
    let span = Span {
        from_ms,
        until_ms: clock::now_ms(),
    };
    let books = logs.read().await?;
    let beliefs = beliefs::of(&books, &done.kills, span);
    beliefs::keep(&beliefs, span)?;
    Ok(Run::new(measured, seed, span, &done, &beliefs))
}
