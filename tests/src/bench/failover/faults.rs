//! Events that nobody announces: of nodes, apps and sidecars.

use super::turn::{Turn, pause};
use crate::clock;
use crate::cluster::{Error, Result, Signal};
use crate::system::System;
use common::contract;

/// How long another active pod may take after a crash, milliseconds: a peer that polls takes up to
/// 24 s.
const CRASH_DEADLINE_MS: u64 = 40_000;
/// Load after a move, before the cause ends, milliseconds: kube-proxy may follow a second later.
const AFTER_MS: u64 = 2_000;
/// How long an app that does not serve is left alone, milliseconds: four times the default grace.
const APP_MS: u64 = 20_000;
const FROZEN_MS: u64 = 30_000;
/// How long a sidecar that has woken up is watched, milliseconds: longer than a renew deadline,
/// until which one may believe in itself.
const AWAKE_MS: u64 = 15_000;
const PARTITION_MS: u64 = 60_000;
/// How long a pod may take to know what happened while it was cut off, milliseconds.
const HEALED_DEADLINE_MS: u64 = 30_000;
/// How long a container may take to run again after its first crash, milliseconds.
const AGAIN_DEADLINE_MS: u64 = 10_000;
const POLL_MS: u64 = 50;

/// The active pod's node vanishes, and comes back after the role has moved.
pub(in crate::bench) async fn cut(turn: &mut Turn<'_, '_>) -> Result<()> {
    let node = turn.old.node.clone();
    turn.trigger();
    turn.cluster.cut(&node).await?;
    let moved = turn.scene.moved_from(&turn.old, CRASH_DEADLINE_MS).await;
    pause(AFTER_MS).await;
    turn.cluster.heal(&node).await?;
    moved?;
    let renewed_ms = turn.timeline().last_renewal(turn.trigger_ms);
    turn.note_move_after("renewal_to_move_ms", renewed_ms);
    turn.scene.stripped(&turn.old, CRASH_DEADLINE_MS).await
}

/// The same for a minute; what the old pod's sidecar says is asked from the heal on.
pub(super) async fn partition(turn: &mut Turn<'_, '_>) -> Result<()> {
    let node = turn.old.node.clone();
    turn.trigger();
    turn.cluster.cut(&node).await?;
    let moved = turn.scene.moved_from(&turn.old, CRASH_DEADLINE_MS).await;
    turn.until(PARTITION_MS).await;
    turn.cluster.heal(&node).await?;
    moved?;
    let healed_ms = clock::now_ms();
    if turn.system == System::Ours {
        let knows_ms = knows(turn).await?;
        turn.note("healed_ms", knows_ms.saturating_sub(healed_ms));
    }
    turn.scene.stripped(&turn.old, HEALED_DEADLINE_MS).await
}

/// When the sidecar of the old pod first names the holder that everybody else sees.
async fn knows(turn: &Turn<'_, '_>) -> Result<u64> {
    let holder = turn.timeline().holder().map(str::to_owned);
    let holder = holder.ok_or_else(|| Error::new("find the holder", "there is none"))?;
    let named = format!("\"holder\":\"{holder}\"");
    let asked = turn.ask(contract::path::STATUS, |uid| uid == turn.old.uid);
    let Some((_, load)) = asked.await?.pop() else {
        return Err(Error::new("ask the old pod", "it has no address"));
    };
    let names = load.until(
        "that the old pod names the new holder",
        HEALED_DEADLINE_MS,
        |it| {
            it.body()
                .is_some_and(|body| body.replace(' ', "").contains(&named))
        },
    );
    let answer = names.await;
    load.stop().await?;
    Ok(answer?.ended_ms)
}

/// The active app crashes once and is back, so that its next crash keeps it down for a while: a
/// first one is followed by a start at once.
pub(super) async fn crash_app_once(turn: &Turn<'_, '_>) -> Result<()> {
    let (cluster, uid, app) = (turn.cluster, &turn.old.uid, &turn.scene.group);
    let before = cluster.container_processes(uid, app).await?;
    cluster.signal(uid, app, Signal::SIGKILL).await?;
    let start_ms = clock::now_ms();
    while clock::now_ms() < start_ms + AGAIN_DEADLINE_MS {
        let now = cluster.container_processes(uid, app).await?;
        if !now.is_empty() && now != before {
            return Ok(());
        }
        pause(POLL_MS).await;
    }
    let cause = format!("not within {AGAIN_DEADLINE_MS} ms");
    Err(Error::new("wait until the app runs again", cause))
}

/// The active app is killed whenever it runs.
pub(super) async fn app_dead(turn: &mut Turn<'_, '_>) -> Result<()> {
    let (cluster, uid, app) = (turn.cluster, turn.old.uid.clone(), turn.scene.group.clone());
    turn.trigger();
    cluster.signal(&uid, &app, Signal::SIGKILL).await?;
    while turn.moved_ms().is_none() && clock::now_ms() < turn.trigger_ms + APP_MS {
        pause(POLL_MS).await;
        if !cluster.container_processes(&uid, &app).await?.is_empty() {
            // It may have ended since.
            cluster
                .signal(&uid, &app, Signal::SIGKILL)
                .await
                .unwrap_or_default();
        }
    }
    pause(AFTER_MS).await;
    note_unready(turn);
    Ok(())
}

/// The active app hangs.
pub(super) async fn app_unready(turn: &mut Turn<'_, '_>) -> Result<()> {
    let (cluster, uid, app) = (turn.cluster, turn.old.uid.clone(), turn.scene.group.clone());
    turn.trigger();
    cluster.signal(&uid, &app, Signal::SIGSTOP).await?;
    let moved = turn.scene.moved_from(&turn.old, APP_MS).await;
    pause(AFTER_MS).await;
    cluster.signal(&uid, &app, Signal::SIGCONT).await?;
    // That the role stays is a result.
    drop(moved);
    note_unready(turn);
    Ok(())
}

fn note_unready(turn: &mut Turn<'_, '_>) {
    let unready_ms = turn
        .timeline()
        .first_unready(&turn.old.uid, turn.trigger_ms);
    turn.note_move_after("unready_to_move_ms", unready_ms);
}

/// The sidecar of the active pod is frozen, and woken up.
pub(super) async fn freeze(turn: &mut Turn<'_, '_>) -> Result<()> {
    let (cluster, uid, sidecar) = (turn.cluster, turn.old.uid.clone(), turn.system.sidecar());
    let mut audit = cluster.audit();
    turn.trigger();
    cluster.signal(&uid, sidecar, Signal::SIGSTOP).await?;
    turn.until(FROZEN_MS).await;
    audit.skip()?;
    cluster.signal(&uid, sidecar, Signal::SIGCONT).await?;
    pause(AWAKE_MS).await;
    let writes = audit.read()?;
    let writes = writes.iter().filter(|event| event.is_write_of(&uid));
    turn.note("writes_after_waking", writes.count() as u64);
    Ok(())
}
