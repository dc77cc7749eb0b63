//! In the place of other systems: what clients and roles go through under each profile, in turn with an
//! elector of the usual kind, on one cluster of the shape on which those systems were measured.

mod cast;
mod events;
mod page;
mod record;

pub(super) use page::page;

use super::failover::{self, Turn};
use super::machine::Machine;
use crate::clock;
use crate::cluster::{Cluster, Result};
use crate::progress;
use crate::scene::{Scene, Source};
use crate::system::System;
use cast::Subject;
use events::Event;
use record::{Entry, Run};
use std::collections::BTreeMap;
use std::time::Duration;

/// Load after everything has settled, milliseconds: kube-proxy may follow a second later.
const AFTER_MS: u64 = 2_000;
/// Runs of each event, unless asked otherwise.
const RUNS: usize = 5;

/// Performs the events whose names start with one of `wishes`, and writes the results down after
/// each. Says how many runs failed.
///
/// # Errors
/// If no event is named so, or the cluster does not start.
pub(super) async fn run(wishes: &[String], runs: Option<usize>) -> Result<usize> {
    let wished = |event: &&Event| wishes.iter().any(|wish| event.name.starts_with(wish));
    let events: Vec<&Event> = events::EVENTS.iter().filter(wished).collect();
    if events.is_empty() {
        let names = events::EVENTS.iter().map(|event| event.name);
        return Err(failover::unknown(super::SEEDS, wishes, names));
    }
    let cluster = failover::cluster().await?;
    let failed = perform(&cluster, &events, runs.unwrap_or(RUNS)).await;
    cluster.stop()?;
    failed
}

async fn perform(cluster: &Cluster, events: &[&Event], runs: usize) -> Result<usize> {
    let measured = Machine::of(cluster).await?;
    let mut scenes = Vec::new();
    for subject in Subject::all() {
        let namespace = format!("seeds-{}", subject.name().replace('.', "-"));
        let create = ["create", "namespace", &namespace];
        cluster.kubectl(&create).await?;
        let cast = subject.cast(&namespace)?;
        let scene = Scene::open_cast(cluster.kube(), Source::Hub(cluster), &cast).await?;
        scenes.push((subject, scene));
    }
    let mut failed = 0;
    for event in events {
        let mut done: BTreeMap<usize, Vec<Run>> = BTreeMap::new();
        for number in 1..=runs {
            for (place, (subject, scene)) in scenes.iter_mut().enumerate() {
                match Box::pin(play(cluster, event, *subject, scene)).await {
                    Ok(run) => {
                        tell(event, *subject, number, &run);
                        done.entry(place).or_default().push(run);
                    }
                    Err(error) => {
                        failed += 1;
                        let what = format!("{} {number} {}", event.name, subject.name());
                        progress::line(&format!("{what}: failed: {error}"));
                        cluster.mend().await?;
                    }
                }
            }
        }
        let entries = done.into_iter().map(|(place, runs)| Entry {
            event: event.name.to_owned(),
            system: scenes[place].0.name().to_owned(),
            measured: measured.clone(),
            runs,
        });
        record::put(entries.collect())?;
    }
    Ok(failed)
}

/// One event of one system under load.
async fn play<'c>(
    cluster: &'c Cluster,
    event: &Event,
    subject: Subject,
    scene: &mut Scene<'c>,
) -> Result<Run> {
    let old = scene.settled().await?;
    let load = scene.load().await?;
    let mut turn = Turn {
        cluster,
        system: System::Ours,
        scene,
        old,
        trigger_ms: clock::now_ms(),
        also: BTreeMap::new(),
    };
    event.happen(&mut turn).await?;
    turn.scene.settled().await?;
    tokio::time::sleep(Duration::from_millis(AFTER_MS)).await;
    let requests = load.stop().await?;
    let is_seamless = event.is_planned() && subject.is_seamless();
    Ok(turn.judged(event.name, is_seamless, &requests))
}

fn tell(event: &Event, subject: Subject, number: usize, run: &Run) {
    let moved = run
        .new_active_ms
        .map_or_else(|| "stayed".to_owned(), |ms| format!("{ms} ms"));
    println!(
        "{:<8} {number:>2} {:<24} new active {moved}, failed {} of {}, gap {} ms, two active {} ms",
        event.name,
        subject.name(),
        run.failed,
        run.requests,
        run.longest_gap_ms,
        run.two_active_ms,
    );
}
