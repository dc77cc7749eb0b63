//! The events of the demo.

use std::fmt::Display;
use std::time::Duration;

use super::screen::{Screen, Tone};
use super::show::Performed;
use super::{GROUP, REPLICAS};
use crate::cluster::{Cluster, Result, Signal};
use crate::load::Load;
use crate::observe::Answer;
use crate::scene::{Active, Scene};

/// How long a new active pod may take, milliseconds: the default lease duration and some more.
const MOVE_DEADLINE_MS: u64 = 25_000;
/// How long a pod may take to be gone, milliseconds.
const GONE_DEADLINE_MS: u64 = 30_000;
/// How long an answer may take to come, milliseconds.
const ANSWER_DEADLINE_MS: u64 = 20_000;
/// How long an app that was killed is watched, milliseconds; longer than its grace.
const KILLED_MS: u64 = 8_000;
/// Load after the last change, milliseconds: kube-proxy may follow a second later.
const AFTER_MS: u64 = 2_000;

/// Something that happens to the active pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Delete,
    Restart,
    Kill,
    Cut,
}

/// Through the API alone, in the order in which they are performed.
pub(super) const PLANNED: [Event; 2] = [Event::Delete, Event::Restart];
/// Those that need the machines of the nodes.
pub(super) const UNPLANNED: [Event; 2] = [Event::Kill, Event::Cut];

impl Event {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Delete => "delete the active pod",
            Self::Restart => "kubectl rollout restart",
            Self::Kill => "kill -9 of the active pod's app",
            Self::Cut => "cut the active pod's node off",
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

    /// How failed requests are meant: planned moves promise none.
    pub(super) fn tone(self, failed: usize) -> Tone {
        match (failed, PLANNED.contains(&self)) {
            (0, _) => Tone::Good,
            (_, true) => Tone::Bad,
            (_, false) => Tone::Plain,
        }
    }
}

/// An event under way.
pub(super) struct Play<'a, 'b> {
    pub(super) screen: Screen,
    pub(super) scene: &'a mut Scene<'b>,
    /// The cluster, if its nodes can be reached.
    pub(super) cluster: Option<&'b Cluster>,
    pub(super) trigger_ms: u64,
}

impl Play<'_, '_> {
    /// Lets it happen under load, and waits until all is well again.
    pub(super) async fn perform(&mut self, event: Event) -> Result<Performed> {
        let old = self.scene.settled().await?;
        let load = self.scene.load().await?;
        self.trigger_ms = (self.scene.clock)();
        match (event, self.cluster) {
            (Event::Delete, _) => self.delete(&old).await?,
            (Event::Restart, _) => self.restart(&old).await?,
            (Event::Kill, Some(cluster)) => self.kill(&old, cluster, &load).await?,
            (Event::Cut, Some(cluster)) => self.cut(&old, cluster, &load).await?,
            (Event::Kill | Event::Cut, None) => {}
        }
        let active = self.scene.settled().await?;
        pause(AFTER_MS).await;
        let requests = load.stop().await?;
        let verdict = self
            .scene
            .judge(event.name(), &old, self.trigger_ms, &requests);
        let timeline = self.scene.watcher.timeline();
        let chosen_ms = timeline.chosen_after(GROUP, &old.uid, self.trigger_ms);
        Ok(Performed {
            event,
            verdict,
            active,
            // The two are seen by two watches: what is nothing may be less.
            chosen_ms: chosen_ms.filter(|ms| *ms > 0),
            trigger_ms: self.trigger_ms,
            answers: requests.iter().map(Answer::of).collect(),
        })
    }

    async fn delete(&mut self, old: &Active) -> Result<()> {
        self.tell(format!("kubectl delete pod {}", whom(old)));
        self.scene.delete(&old.name).await?;
        self.moved(old).await?;
        self.scene.gone(old, GONE_DEADLINE_MS).await?;
        self.tell(format!("{} is gone", old.name));
        self.scene.settled().await?;
        self.tell(format!("{REPLICAS} pods are ready again"));
        Ok(())
    }

    async fn restart(&mut self, old: &Active) -> Result<()> {
        self.tell(format!("kubectl rollout restart; active is {}", whom(old)));
        self.scene.restart(GROUP).await?;
        self.moved(old).await?;
        self.scene.rolled_out(GROUP).await?;
        self.scene.settled().await?;
        self.tell(format!(
            "{REPLICAS} new pods are ready, the old ones are gone"
        ));
        Ok(())
    }

    async fn kill(&mut self, old: &Active, cluster: &Cluster, load: &Load) -> Result<()> {
        self.tell(format!("kill -9 of the app in {}", whom(old)));
        cluster.signal(&old.uid, GROUP, Signal::SIGKILL).await?;
        let failed = load.until("a request that fails", ANSWER_DEADLINE_MS, |request| {
            request.outcome.is_err()
        });
        failed.await?;
        let answer = load.answered(None, ANSWER_DEADLINE_MS).await?;
        self.tell(format!("{} answers", answer.body().unwrap_or_default()));
        let elapsed_ms = (self.scene.clock)() - self.trigger_ms;
        pause(KILLED_MS.saturating_sub(elapsed_ms)).await;
        Ok(())
    }

    async fn cut(&mut self, old: &Active, cluster: &Cluster, load: &Load) -> Result<()> {
        self.tell(format!("cut {} off, and with it {}", old.node, old.name));
        cluster.cut(&old.node).await?;
        let moved = self.moved(old).await;
        if moved.is_ok() {
            let answer = load.answered(None, ANSWER_DEADLINE_MS).await?;
            self.tell(format!("{} answers", answer.body().unwrap_or_default()));
            pause(AFTER_MS).await;
        }
        self.tell(format!("heal {}", old.node));
        cluster.heal(&old.node).await?;
        moved?;
        self.scene.settled().await?;
        self.tell("one pod is active".to_owned());
        Ok(())
    }

    /// Waits for another active pod.
    async fn moved(&mut self, old: &Active) -> Result<()> {
        let new = self.scene.moved_from(old, MOVE_DEADLINE_MS).await?;
        self.tell(format!("{new} is active"));
        Ok(())
    }

    /// What happens, with the time since the trigger.
    fn tell(&self, what: impl Display) {
        let elapsed_ms = (self.scene.clock)().saturating_sub(self.trigger_ms);
        self.screen.moment(elapsed_ms, what);
    }
}

/// A pod and where it runs, in words.
fn whom(active: &Active) -> String {
    format!("{} on {}", active.name, active.node)
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
