//! What happens to the role and to requests when the active pod goes: on a real cluster, default
//! settings, atomic routing, an app that closes its listener at once on SIGTERM.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::DeleteParams;
use tests::clock;
use tests::cluster::{AuditEvent, Signal};
use tests::scene::Scene;

use crate::context::{Case, Context, eventually};

const GROUP: &str = "web";
const REPLICAS: usize = 3;
/// Longest time from the deletion of the active pod to the new one, milliseconds: the median of
/// this many moves, since one alone may meet a moment in which the machine does something else.
const CHOSEN_MS: u64 = 300;
const MOVES: usize = 3;
/// Default lease duration and the second that detection and writes may take, milliseconds.
const CRASH_MS: u64 = 16_000;
const MOVE_DEADLINE_MS: u64 = 25_000;
/// How long a pod may take to be gone, milliseconds.
const GONE_MS: u64 = 20_000;
/// How long a restarted sidecar may take to be back, milliseconds.
const BACK_MS: u64 = 2_000;
/// A lease duration of 4 s, and the second that follows it, milliseconds.
const TAKEN_MS: u64 = 5_000;
/// After a node was healed: long enough for its pod to write if it wanted to, milliseconds.
const HEALED_MS: u64 = 3_000;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "moves: deleting the active pod loses no request",
        run: |context| Box::pin(delete(context)),
    },
    Case {
        name: "moves: a rolling restart loses no request",
        run: |context| Box::pin(rolling_restart(context)),
    },
    Case {
        name: "moves: a killed app moves the role or keeps it, and never has it twice",
        run: |context| Box::pin(killed_app(context)),
    },
    Case {
        name: "moves: a killed sidecar is back within two seconds, or the role has moved",
        run: |context| Box::pin(killed_sidecar(context)),
    },
    Case {
        name: "moves: a cut node loses the role, writes nothing, and is passive once healed",
        run: |context| Box::pin(cut_node(context)),
    },
    Case {
        name: "moves: a Lease that is deleted twice is taken back by its holder",
        run: |context| Box::pin(deleted_lease(context)),
    },
    Case {
        name: "moves: exclusive never shows two active pods",
        run: |context| Box::pin(exclusive(context)),
    },
];

async fn open<'a>(context: &Context<'a>, manifest: &str) -> Result<Scene<'a>> {
    Ok(Scene::open(
        context.cluster,
        &context.namespace,
        GROUP,
        manifest,
        REPLICAS,
    )
    .await?)
}

async fn delete(context: &Context<'_>) -> Result<()> {
    let mut scene = open(context, &Scene::example()?).await?;
    let mut chosen_ms = Vec::new();
    for _ in 0..MOVES {
        let old = scene.settled().await?;
        let load = scene.load().await?;
        let trigger_ms = clock::now_ms();
        scene.delete(&old.name).await?;
        scene.gone(&old, GONE_MS).await?;
        scene.settled().await?;
        let verdict = scene.judge("delete", &old, trigger_ms, &load.stop().await?);
        ensure!(verdict.failed == 0, "{verdict:?}");
        let moved_ms = verdict.new_active_ms;
        chosen_ms.push(moved_ms.with_context(|| format!("{verdict:?}"))?);
        one_smooth_move(&scene, trigger_ms)?;
    }
    chosen_in_time(chosen_ms)
}

async fn rolling_restart(context: &Context<'_>) -> Result<()> {
    let scene = open(context, &Scene::example()?).await?;
    let mut chosen_ms = Vec::new();
    for _ in 0..MOVES {
        let old = scene.settled().await?;
        let load = scene.load().await?;
        let trigger_ms = clock::now_ms();
        scene.rollout_restart("web").await?;
        scene.settled().await?;
        let verdict = scene.judge("rollout-restart", &old, trigger_ms, &load.stop().await?);
        ensure!(verdict.failed == 0, "{verdict:?}");
        let timeline = scene.watcher.timeline();
        let moved_ms = timeline.chosen_after(GROUP, &old.uid, trigger_ms);
        chosen_ms.push(moved_ms.with_context(|| format!("nobody was chosen: {timeline:#?}"))?);
        one_smooth_move(&scene, trigger_ms)?;
    }
    chosen_in_time(chosen_ms)
}

/// Since `trigger_ms` one or two pods were labelled at any time, and the role moved once: not to a pod
/// that was about to go.
fn one_smooth_move(scene: &Scene<'_>, trigger_ms: u64) -> Result<()> {
    let timeline = scene.watcher.timeline();
    let (fewest, most) = timeline.labelled_range(trigger_ms, clock::now_ms());
    ensure!(
        fewest >= 1 && most <= 2,
        "{fewest} to {most} labelled: {timeline:#?}"
    );
    let moves = timeline.moves(GROUP, trigger_ms);
    ensure!(moves == 1, "{moves} moves: {timeline:#?}");
    Ok(())
}

fn chosen_in_time(mut chosen_ms: Vec<u64>) -> Result<()> {
    chosen_ms.sort_unstable();
    println!("new active after {chosen_ms:?} ms");
    let median_ms = chosen_ms[chosen_ms.len() / 2];
    ensure!(median_ms < CHOSEN_MS, "{chosen_ms:?} ms");
    Ok(())
}

async fn killed_app(context: &Context<'_>) -> Result<()> {
    let scene = open(context, &Scene::example()?).await?;
    let old = scene.settled().await?;
    let trigger_ms = clock::now_ms();
    let cluster = context.cluster;
    cluster.signal(&old.uid, GROUP, Signal::SIGKILL).await?;
    // The role may move unready-grace after the app died, or stay: both end settled.
    tokio::time::sleep(Duration::from_millis(8_000)).await;
    scene.settled().await?;
    let timeline = scene.watcher.timeline();
    let (fewest, most) = timeline.labelled_range(trigger_ms, clock::now_ms());
    let planned = timeline.moves(GROUP, trigger_ms);
    ensure!(
        fewest >= 1 && most <= 1 + planned,
        "{fewest} to {most} labelled: {timeline:#?}"
    );
    Ok(())
}

async fn killed_sidecar(context: &Context<'_>) -> Result<()> {
    let mut scene = open(context, &Scene::example()?).await?;
    let old = scene.settled().await?;
    let trigger_ms = clock::now_ms();
    let before = scene.watcher.timeline().term();
    let sidecar = common::contract::CONTAINER;
    let cluster = context.cluster;
    cluster.signal(&old.uid, sidecar, Signal::SIGKILL).await?;
    let back = scene
        .watcher
        .until(BACK_MS, |timeline| (timeline.term() > before).then_some(()));
    ensure!(
        back.await.is_some(),
        "nobody leads {BACK_MS} ms after the sidecar was killed"
    );
    scene.settled().await?;
    let (_, most) = scene
        .watcher
        .timeline()
        .labelled_range(trigger_ms, clock::now_ms());
    ensure!(most == 1, "{most} labelled");
    Ok(())
}

async fn cut_node(context: &Context<'_>) -> Result<()> {
    let mut scene = open(context, &Scene::example()?).await?;
    let old = scene.settled().await?;
    let mut audit = context.cluster.audit();
    audit.skip()?;
    let trigger_ms = clock::now_ms();
    context.cluster.cut(&old.node).await?;
    // What was on its way by then may be answered later.
    let cut_at = Timestamp::now();
    let moved = scene.moved_from(&old, MOVE_DEADLINE_MS).await;
    let moved_ms = clock::now_ms() - trigger_ms;
    let stripped = scene.stripped(&old, MOVE_DEADLINE_MS).await;
    // The strip itself may carry this very millisecond.
    let stripped_ms = clock::now_ms() + 1;
    context.cluster.heal(&old.node).await?;
    moved?;
    stripped?;
    ensure!(moved_ms <= CRASH_MS, "the role moved after {moved_ms} ms");
    let active = scene.settled().await?;
    ensure!(active.uid != old.uid, "the role went back");
    tokio::time::sleep(Duration::from_millis(HEALED_MS)).await;
    scene.settled().await?;
    let timeline = scene.watcher.timeline();
    let (fewest, most) = timeline.labelled_range(stripped_ms, clock::now_ms());
    let changes: Vec<_> = timeline.since(trigger_ms).collect();
    ensure!(
        fewest == 1 && most == 1,
        "cut at {trigger_ms}, {fewest} to {most} labelled from {stripped_ms} on: {changes:#?}"
    );
    let writes: Vec<AuditEvent> = audit
        .read()?
        .into_iter()
        .filter(|event| event.is_write_of(&old.uid))
        .filter(|event| event.request_received_timestamp > cut_at)
        .collect();
    ensure!(writes.is_empty(), "the cut pod wrote: {writes:#?}");
    Ok(())
}

/// By hand, within a second. Standbys make it again as well as the leader, and in nobody's name: the
/// policies admit that, and that the leader takes it.
async fn deleted_lease(context: &Context<'_>) -> Result<()> {
    let manifest = example_with("active-passive.dev/lease-duration: 4s")?;
    let mut scene = open(context, &manifest).await?;
    let old = scene.settled().await?;
    let leases = context.api::<Lease>();
    let start_ms = clock::now_ms();
    let before = scene.watcher.timeline().term();
    let holder = leases
        .get(GROUP)
        .await?
        .spec
        .and_then(|spec| spec.holder_identity);
    leases.delete(GROUP, &DeleteParams::default()).await?;
    eventually("the Lease is there again", BACK_MS, async || {
        let deleted = leases.delete(GROUP, &DeleteParams::default()).await;
        Ok(deleted.map_err(|error| error.to_string()))
    })
    .await?;
    let again_ms = clock::now_ms() - start_ms;
    let taken = scene.watcher.until(BACK_MS, |timeline| {
        let taken = timeline.term() > before && timeline.holder() == holder.as_deref();
        taken.then_some(())
    });
    taken.await.context("its holder has not taken it back")?;
    println!(
        "deleted again after {again_ms} ms, taken after {} ms",
        clock::now_ms() - start_ms
    );
    // Others that took it would take it when their wait is over.
    tokio::time::sleep(Duration::from_millis(TAKEN_MS)).await;
    let active = scene.settled().await?;
    ensure!(active.uid == old.uid, "the role moved to {}", active.name);
    let timeline = scene.watcher.timeline();
    let (fewest, most) = timeline.labelled_range(start_ms, clock::now_ms());
    let moves = timeline.moves(GROUP, start_ms);
    ensure!(
        fewest == 1 && most == 1 && moves == 0,
        "{fewest} to {most} labelled, {moves} moves: {timeline:#?}"
    );
    Ok(())
}

/// The example with one more annotation on its pods.
pub(crate) fn example_with(annotation: &str) -> Result<String> {
    let asks = "active-passive.dev/inject: \"true\"";
    let manifest = Scene::example()?;
    ensure!(
        manifest.contains(asks),
        "the example does not ask for the sidecar"
    );
    Ok(manifest.replace(asks, &format!("{asks}\n        {annotation}")))
}

async fn exclusive(context: &Context<'_>) -> Result<()> {
    let manifest = example_with("active-passive.dev/handover: exclusive")?;
    let mut scene = open(context, &manifest).await?;
    let start_ms = clock::now_ms();
    let old = scene.settled().await?;
    scene.delete(&old.name).await?;
    scene.moved_from(&old, MOVE_DEADLINE_MS).await?;
    scene.settled().await?;
    scene.rollout_restart("web").await?;
    scene.settled().await?;
    let timeline = scene.watcher.timeline();
    let (_, most) = timeline.labelled_range(start_ms, clock::now_ms());
    ensure!(most == 1, "{most} labelled at once: {timeline:#?}");
    Ok(())
}
