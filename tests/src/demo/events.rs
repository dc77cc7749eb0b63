//! The four events of the demo.

use std::time::Duration;

use super::{GROUP, whom};
use crate::clock;
use crate::cluster::{Result, Signal};
use crate::observe::Verdict;
use crate::progress;
use crate::scene::Scene;

/// Load after an event that is over at once, milliseconds: the pod that goes takes its time.
const AFTER_MS: u64 = 5_000;
/// How long a new active pod may take, milliseconds: the default lease duration and some more.
const MOVE_DEADLINE_MS: u64 = 25_000;
/// How long an app that was killed is watched, milliseconds; longer than its grace.
const KILLED_MS: u64 = 8_000;

/// Something that happens to the active pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Delete,
    Restart,
    Kill,
    Cut,
}

/// In the order in which they are performed.
pub(super) const ALL: [Event; 4] = [Event::Delete, Event::Restart, Event::Kill, Event::Cut];

impl Event {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Delete => "Delete the active pod",
            Self::Restart => "kubectl rollout restart",
            Self::Kill => "kill -9 of the active pod's app",
            Self::Cut => "Cut the active pod's node off",
        }
    }

    /// Name for programs.
    fn name(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Restart => "rollout-restart",
            Self::Kill => "kill-app",
            Self::Cut => "cut-node",
        }
    }

    /// Waits until all is well, lets it happen under load, and waits until all is well again.
    pub(super) async fn perform(self, scene: &mut Scene<'_>) -> Result<Verdict> {
        let old = scene.settled().await?;
        let load = scene.load().await?;
        progress::line(&format!("active is {}", whom(&old)));
        let trigger_ms = clock::now_ms();
        match self {
            Self::Delete => {
                scene.delete(&old.name).await?;
                scene.moved_from(&old, MOVE_DEADLINE_MS).await?;
                pause(AFTER_MS).await;
            }
            Self::Restart => {
                scene.rollout_restart(GROUP).await?;
                scene.settled().await?;
            }
            Self::Kill => {
                scene.signal(&old, GROUP, Signal::SIGKILL).await?;
                pause(KILLED_MS).await;
            }
            Self::Cut => {
                scene.cluster.cut(&old.node).await?;
                let moved = scene.moved_from(&old, MOVE_DEADLINE_MS).await;
                pause(AFTER_MS).await;
                scene.cluster.heal(&old.node).await?;
                moved?;
            }
        }
        let requests = load.stop().await?;
        scene.settled().await?;
        Ok(scene.judge(self.name(), &old, trigger_ms, &requests))
    }
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
