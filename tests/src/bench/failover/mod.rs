//! The role moves, or stays, for every reason there is: what clients and roles go through, ours and
//! a peer's in turn, on one cluster, under the same load.

mod api;
mod cast;
mod events;
mod faults;
mod planned;
mod record;
mod stage;
mod summary;
mod turn;

pub(super) use cast::replace;
pub(super) use record::Run;
pub(super) use summary::{both, page};
pub(super) use turn::Turn;

/// What can be done to any group.
pub(super) mod deeds {
    pub(in crate::bench) use super::faults::cut;
    pub(in crate::bench) use super::planned::{delete, restart};
}

use super::machine::Machine;
use crate::cluster::images::{self, Kind};
use crate::cluster::{Cluster, ClusterOptions, Error, Result};
use crate::progress;
use crate::scene;
use crate::system::System;
use events::Event;
use record::Entry;
use stage::Stage;

/// Performs the events that `wishes` name, each `runs` times if given, and writes the results down
/// after each. Says how many runs failed.
///
/// # Errors
/// If no event is named so, or the cluster does not start.
pub(super) async fn run(wishes: &[String], runs: Option<usize>) -> Result<usize> {
    let wanted = Event::wanted(wishes);
    if wanted.is_empty() {
        let names = events::EVENTS.iter().map(|event| event.name);
        return Err(unknown(super::FAILOVER, wishes, names));
    }
    let cluster = cluster().await?;
    let failed = perform(&cluster, &wanted, runs).await;
    cluster.stop()?;
    failed
}

/// That no event of a bench is named as wished.
pub(super) fn unknown(
    bench: &str,
    wishes: &[String],
    names: impl Iterator<Item = &'static str>,
) -> Error {
    let cause = format!("none is named {}", wishes.join(" or "));
    let names: Vec<&str> = names.collect();
    let cure = format!("ONLY={bench}/<event>, of {}", names.join(", "));
    Error::new("find the events", cause).cure(cure)
}

/// A cluster with the chart and the peer's image, whose load comes from one address.
///
/// # Errors
/// If it does not start, or the chart cannot be installed.
pub(super) async fn cluster() -> Result<Cluster> {
    let cluster = Cluster::start(ClusterOptions::default()).await?;
    cluster.forget_closed_connections().await?;
    let step = progress::step("installing the chart and the peer");
    scene::install(&cluster, &[]).await?;
    scene::load_images(&cluster, &images::build(&[Kind::Peer]).await?).await?;
    step.done();
    Ok(cluster)
}

async fn perform(cluster: &Cluster, events: &[&Event], runs: Option<usize>) -> Result<usize> {
    let measured = Machine::of(cluster).await?;
    let mut stage = Stage::new(cluster);
    let mut failed = 0;
    for event in events {
        let counts = event.runs(runs);
        let (ours, peer) = series(&mut stage, event, counts, &mut failed).await?;
        let entry = |system, runs| Entry {
            event: event.name.to_owned(),
            system,
            measured: measured.clone(),
            runs,
        };
        let entries = [entry(System::Ours, ours), entry(System::Peer, peer)];
        record::put(
            entries
                .into_iter()
                .filter(|it| !it.runs.is_empty())
                .collect(),
        )?;
    }
    Ok(failed)
}

/// Performs one event as often as asked, in turn. A run that fails is told of and left out.
async fn series(
    stage: &mut Stage<'_>,
    event: &Event,
    (ours, peer): (usize, usize),
    failed: &mut usize,
) -> Result<(Vec<Run>, Vec<Run>)> {
    let (mut of_ours, mut of_peer) = (Vec::new(), Vec::new());
    for number in 1..=ours.max(peer) {
        let due = [(System::Ours, ours), (System::Peer, peer)];
        let due = due.into_iter().filter(|(_, count)| number <= *count);
        let due: Vec<System> = due.map(|(system, _)| system).collect();
        let groups: Vec<&[System]> = match event.is_for_all() {
            true => vec![&due],
            false => due.chunks(1).collect(),
        };
        for systems in groups {
            match stage.perform(event, systems, number).await {
                Ok(done) => {
                    for (system, run) in done {
                        tell(event, system, number, &run);
                        match system {
                            System::Ours => of_ours.push(run),
                            System::Peer => of_peer.push(run),
                        }
                    }
                }
                Err(error) => {
                    *failed += 1;
                    let names: Vec<&str> = systems.iter().map(|system| system.name()).collect();
                    progress::line(&format!(
                        "{} {number} {}: failed: {error}",
                        event.name,
                        names.join(" and ")
                    ));
                    stage.restore().await?;
                }
            }
        }
    }
    Ok((of_ours, of_peer))
}

fn tell(event: &Event, system: System, number: usize, run: &Run) {
    let moved = run
        .new_active_ms
        .map_or_else(|| "stayed".to_owned(), |ms| format!("{ms} ms"));
    let mut also: Vec<String> = run
        .also
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    also.insert(0, String::new());
    println!(
        "{:<24} {number:>2} {:<14} new active {moved}, failed {} of {}, gap {} ms, two active {} ms{}",
        event.name,
        system.name(),
        run.failed,
        run.requests,
        run.longest_gap_ms,
        run.two_active_ms,
        also.join(", ")
    );
}
