//! Events that Kubernetes announces: the pod is told before it goes.

use super::turn::Turn;
use crate::cluster::{Cluster, Result};
use crate::scene::SYSTEM_NAMESPACE;
use crate::system::System;

/// How long another active pod may take, milliseconds: longer than a peer that must wait for an
/// expiry.
const MOVE_DEADLINE_MS: u64 = 60_000;
/// How long a pod may take to be gone, milliseconds.
const GONE_DEADLINE_MS: u64 = 40_000;
const ROLLOUT: &str = "--timeout=90s";

/// `kubectl delete pod` of the active one.
pub(in crate::bench) async fn delete(turn: &mut Turn<'_, '_>) -> Result<()> {
    turn.trigger();
    turn.scene.delete(&turn.old.name).await?;
    turn.scene.moved_from(&turn.old, MOVE_DEADLINE_MS).await?;
    turn.scene.gone(&turn.old, GONE_DEADLINE_MS).await
}

/// `kubectl rollout restart`.
pub(in crate::bench) async fn restart(turn: &mut Turn<'_, '_>) -> Result<()> {
    turn.trigger();
    let group = turn.scene.group.clone();
    turn.scene.rollout_restart(&group).await?;
    turn.scene.settled().await?;
    let moves = turn.timeline().moves(&group, turn.trigger_ms);
    turn.note("moves", moves as u64);
    Ok(())
}

/// `kubectl drain` of the active pod's node. The other system's pods stay where they are.
pub(super) async fn drain(turn: &mut Turn<'_, '_>) -> Result<()> {
    let other = match turn.system {
        System::Ours => System::Peer,
        System::Peer => System::Ours,
    };
    let selector = format!("--pod-selector=app!={}", other.group());
    let node = turn.old.node.clone();
    let mut args = vec!["drain", &node, "--ignore-daemonsets", "--force"];
    args.extend(["--delete-emptydir-data", "--timeout=110s", &selector]);
    turn.trigger();
    turn.cluster.kubectl(&args).await?;
    turn.scene.moved_from(&turn.old, MOVE_DEADLINE_MS).await?;
    Ok(())
}

/// Spreads the pods over the nodes again, as they were before a drain.
pub(super) async fn undo_drain(turn: &mut Turn<'_, '_>) -> Result<()> {
    uncordon(turn.cluster).await?;
    let webhook = ["rollout", "restart", "deployment", "-n", SYSTEM_NAMESPACE];
    turn.cluster.kubectl(&webhook).await?;
    let ready = [
        "rollout",
        "status",
        "deployment",
        "-n",
        SYSTEM_NAMESPACE,
        ROLLOUT,
    ];
    turn.cluster.kubectl(&ready).await?;
    let group = turn.scene.group.clone();
    turn.scene.rollout_restart(&group).await
}

/// Lets all nodes take pods again.
pub(super) async fn uncordon(cluster: &Cluster) -> Result<()> {
    for node in cluster.nodes() {
        cluster.kubectl(&["uncordon", node]).await?;
    }
    Ok(())
}
