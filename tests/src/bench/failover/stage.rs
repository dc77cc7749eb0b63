//! The cluster with the groups that take part, and one run of an event on it.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::cast::Variant;
use super::events::{Deed, Event};
use super::record::Run;
use super::turn::{Turn, pause};
use super::{api, faults, planned};
use crate::clock;
use crate::cluster::{Cluster, Doing, Result};
use crate::load::Request;
use crate::project_root;
use crate::scene::{Scene, Source};
use crate::system::System;

/// Load after everything has settled, milliseconds: kube-proxy may follow a second later.
const AFTER_MS: u64 = 2_000;
/// After a cut, milliseconds: standbys of the other group that were on that node see their Lease
/// again, from when on they count its duration.
const SEEN_AGAIN_MS: u64 = 5_000;

/// The cluster with the groups that take part.
pub(super) struct Stage<'c> {
    cluster: &'c Cluster,
    open: Option<(Variant, Vec<Subject<'c>>)>,
    /// Namespaces so far: each group has a new one.
    opened: usize,
}

struct Subject<'c> {
    system: System,
    scene: Scene<'c>,
}

impl<'c> Stage<'c> {
    pub(super) fn new(cluster: &'c Cluster) -> Self {
        Self {
            cluster,
            open: None,
            opened: 0,
        }
    }

    /// Performs `event` once with `systems`, all at once.
    pub(super) async fn perform(
        &mut self,
        event: &Event,
        systems: &[System],
        number: usize,
    ) -> Result<Vec<(System, Run)>> {
        self.open(event.variant).await?;
        let cluster = self.cluster;
        let subjects = self.open.iter_mut().flat_map(|(_, subjects)| subjects);
        let mut turns = Vec::new();
        for subject in subjects.filter(|subject| systems.contains(&subject.system)) {
            turns.push(Turn {
                cluster,
                system: subject.system,
                old: subject.scene.settled().await?,
                scene: &mut subject.scene,
                trigger_ms: clock::now_ms(),
                also: Default::default(),
            });
        }
        match Box::pin(play(cluster, event, &mut turns, number)).await {
            Ok(runs) => Ok(runs),
            Err(error) => {
                let mut seen = String::new();
                for turn in &turns {
                    seen.push_str(&turn.scene.kube.describe(&turn.scene.namespace).await);
                    keep(turn, event, number, None).await?;
                }
                Err(error.output(&seen))
            }
        }
    }

    /// Opens the groups of a variant, unless they are.
    async fn open(&mut self, variant: Variant) -> Result<()> {
        if self.open.as_ref().is_some_and(|(open, _)| *open == variant) {
            return Ok(());
        }
        self.close().await?;
        let mut subjects = Vec::new();
        for system in variant.systems() {
            self.opened += 1;
            let namespace = format!("bench-{}-{}", system.group(), self.opened);
            let kube = self.cluster.kube();
            kube.kubectl(&["create", "namespace", &namespace]).await?;
            let cast = variant.cast(*system, &namespace)?;
            let scene = Scene::open_cast(kube, Source::Hub(self.cluster), &cast).await?;
            subjects.push(Subject {
                system: *system,
                scene,
            });
        }
        self.open = Some((variant, subjects));
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        for subject in self.open.take().into_iter().flat_map(|(_, all)| all) {
            let delete = [
                "delete",
                "namespace",
                &subject.scene.namespace,
                "--wait=false",
            ];
            subject.scene.kube.kubectl(&delete).await?;
        }
        Ok(())
    }

    /// After a run that failed: mends the cluster, and lets new groups take part.
    pub(super) async fn restore(&mut self) -> Result<()> {
        self.cluster.mend().await?;
        planned::uncordon(self.cluster).await?;
        self.close().await
    }
}

/// Lets it happen under load, waits until all is well again, and judges.
async fn play(
    cluster: &Cluster,
    event: &Event,
    turns: &mut [Turn<'_, '_>],
    number: usize,
) -> Result<Vec<(System, Run)>> {
    prepare(event.deed, turns).await?;
    let mut loads = Vec::new();
    for turn in turns.iter() {
        loads.push(turn.scene.load().await?);
    }
    happen(cluster, event.deed, turns).await?;
    for turn in turns.iter() {
        turn.scene.settled().await?;
    }
    pause(AFTER_MS).await;
    let mut runs = Vec::new();
    for (turn, load) in turns.iter().zip(loads) {
        let requests = load.stop().await?;
        let is_seamless = event.is_seamless_move(turn.system);
        let run = turn.judged(event.name, is_seamless, &requests);
        keep(turn, event, number, Some(&requests)).await?;
        runs.push((turn.system, run));
    }
    tidy(event.deed, turns).await?;
    Ok(runs)
}

/// What must have happened before.
async fn prepare(deed: Deed, turns: &mut [Turn<'_, '_>]) -> Result<()> {
    for turn in turns.iter_mut().filter(|_| deed == Deed::AppDead) {
        faults::crash_app_once(turn).await?;
        turn.old = turn.scene.settled().await?;
    }
    Ok(())
}

async fn happen(cluster: &Cluster, deed: Deed, turns: &mut [Turn<'_, '_>]) -> Result<()> {
    match deed {
        Deed::RefuseApi => return api::refuse(cluster, turns).await,
        Deed::StopApi => return api::stop(cluster, turns).await,
        Deed::BadRoad => return api::bad_road(cluster, turns).await,
        _ => {}
    }
    for turn in turns {
        match deed {
            Deed::Delete => planned::delete(turn).await?,
            Deed::Restart => planned::restart(turn).await?,
            Deed::Drain => planned::drain(turn).await?,
            Deed::Cut => faults::cut(turn).await?,
            Deed::AppDead => faults::app_dead(turn).await?,
            Deed::AppUnready => faults::app_unready(turn).await?,
            Deed::Freeze => faults::freeze(turn).await?,
            Deed::Partition => faults::partition(turn).await?,
            Deed::RefuseApi | Deed::StopApi | Deed::BadRoad => {}
        }
    }
    Ok(())
}

/// Undoes what would change the next run.
async fn tidy(deed: Deed, turns: &mut [Turn<'_, '_>]) -> Result<()> {
    for turn in turns {
        match deed {
            Deed::Drain => planned::undo_drain(turn).await?,
            // The kubelet waits longer before each start of an app that has crashed.
            Deed::AppDead => turn.scene.delete(&turn.old.name).await?,
            Deed::Cut | Deed::Partition => pause(SEEN_AGAIN_MS).await,
            _ => {}
        }
    }
    Ok(())
}

/// Keeps what explains a run: `target/bench/failover/<event>/<system>-<number>/`.
async fn keep(
    turn: &Turn<'_, '_>,
    event: &Event,
    number: usize,
    requests: Option<&[Request]>,
) -> Result<()> {
    let folder = folder(event, turn.system, number);
    let action = || format!("write {}", folder.display());
    fs::create_dir_all(&folder).doing(action)?;
    let from_ms = turn.trigger_ms.saturating_sub(20_000);
    let mut seen = format!("active was {:?}\n", turn.old);
    for event in turn.timeline().since(from_ms) {
        // Writing to a String does not fail.
        let at_ms = i128::from(event.at_ms) - i128::from(turn.trigger_ms);
        let _written = writeln!(seen, "{at_ms:>7} ms {:?}", event.change);
    }
    fs::write(folder.join("timeline.txt"), seen).doing(action)?;
    let mut failed = String::new();
    for request in requests.into_iter().flatten() {
        if let Err(failure) = &request.outcome {
            let at_ms = i128::from(request.sent_ms) - i128::from(turn.trigger_ms);
            let _written = writeln!(failed, "{at_ms:>7} ms {failure:?}");
        }
    }
    fs::write(folder.join("failed.txt"), failed).doing(action)?;
    for pod in turn.scene.pods().await? {
        let name = pod.metadata.name.unwrap_or_default();
        let namespace = turn.scene.namespace.as_str();
        let logs = [
            "logs",
            "-n",
            namespace,
            &name,
            "-c",
            turn.system.sidecar(),
            "--since=900s",
        ];
        let said = turn.cluster.kubectl(&logs).await;
        let said = said.unwrap_or_else(|error| error.to_string());
        fs::write(folder.join(format!("{name}.log")), said).doing(action)?;
    }
    Ok(())
}

fn folder(event: &Event, system: System, number: usize) -> PathBuf {
    let run = format!("{}-{number}", system.name());
    project_root()
        .join("target/bench/failover")
        .join(event.name)
        .join(run)
}
