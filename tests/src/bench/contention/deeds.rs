//! What is done to those that contend, by chance.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use serde::{Deserialize, Serialize};

use super::cast::{Elector, NAMESPACE, electors};
use super::chance::Chance;
use crate::clock;
use crate::cluster::{Cluster, Doing, Result, Signal};
use crate::progress;
use crate::system::System;

/// Time between two deeds, milliseconds.
const PAUSE_MS: (u64, u64) = (2_000, 10_000);
/// How long processes are frozen, milliseconds: some survive it with their Lease, more do not. The
/// kubelet would end a sidecar of ours after 25 s without an answer.
const SHORT_MS: (u64, u64) = (1_000, 8_000);
const LONG_MS: (u64, u64) = (16_000, 22_000);
/// From so many restarts on a pod is replaced, not killed: the kubelet waits longer before each.
const RESTARTS_MAX: i32 = 3;

/// What is done to an elector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Deed {
    /// SIGKILL; the kubelet starts the container again.
    Kill,
    /// SIGSTOP, and SIGCONT some seconds later.
    Freeze,
    /// Its pod is deleted: SIGTERM.
    Terminate,
}

impl Deed {
    fn words(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::Terminate => "delete the pod of",
        }
    }
}

const DEEDS: [(u64, Deed); 3] = [(30, Deed::Kill), (50, Deed::Freeze), (20, Deed::Terminate)];

/// To whom it is done.
#[derive(Debug, Clone, Copy)]
enum Whom {
    Holder,
    /// All of the holder's kind, so that the other kind gets its chance.
    HoldersKind,
    Anyone,
}

impl Whom {
    fn words(self) -> &'static str {
        match self {
            Self::Holder => "the holder",
            Self::HoldersKind => "all of the holder's kind",
            Self::Anyone => "anyone",
        }
    }
}

const WHOM: [(u64, Whom); 3] = [
    (30, Whom::Holder),
    (50, Whom::HoldersKind),
    (20, Whom::Anyone),
];

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// To how many electors of each kind.
    pub(super) counts: BTreeMap<(System, Deed), usize>,
    /// Uid of the pod whose elector was killed, and when it was over.
    pub(super) kills: Vec<(String, u64)>,
}

/// Goes on until `end_ms`. Nobody is left frozen.
///
/// # Errors
/// If the API server or a node does not answer.
pub(super) async fn perform(cluster: &Cluster, mut chance: Chance, end_ms: u64) -> Result<Done> {
    let mut done = Done::default();
    loop {
        pause(chance.between(PAUSE_MS.0, PAUSE_MS.1)).await;
        let all = electors(cluster).await?;
        let (deed, whom) = (chance.weighted(&DEEDS), chance.weighted(&WHOM));
        let victims = among(&all, whom, &mut chance);
        let lengths = chance.weighted(&[(3, SHORT_MS), (7, LONG_MS)]);
        let frozen_ms = chance.between(lengths.0, lengths.1);
        if clock::now_ms() + frozen_ms > end_ms {
            pause(end_ms.saturating_sub(clock::now_ms())).await;
            return Ok(done);
        }
        let names: Vec<&str> = victims.iter().map(|victim| victim.pod.as_str()).collect();
        let (what, whom) = (deed.words(), whom.words());
        progress::line(&format!("{what} {whom}: {}", names.join(", ")));
        match deed {
            Deed::Kill => kill(cluster, &victims, &mut done).await?,
            Deed::Freeze => freeze(cluster, &victims, frozen_ms, &mut done).await?,
            Deed::Terminate => terminate(cluster, &victims, &mut done).await?,
        }
    }
}

/// The holder counts as anyone while there is none.
fn among(all: &[Elector], whom: Whom, chance: &mut Chance) -> Vec<Elector> {
    let holder = all.iter().find(|elector| elector.holds);
    match (whom, holder) {
        (_, _) if all.is_empty() => Vec::new(),
        (Whom::Holder, Some(holder)) => vec![holder.clone()],
        (Whom::HoldersKind, Some(holder)) => {
            let same = |elector: &&Elector| elector.system == holder.system;
            all.iter().filter(same).cloned().collect()
        }
        (Whom::Anyone, _) | (_, None) => {
            let drawn = chance.below(all.len() as u64);
            all.iter().skip(drawn as usize).take(1).cloned().collect()
        }
    }
}

async fn kill(cluster: &Cluster, victims: &[Elector], done: &mut Done) -> Result<()> {
    let (worn, fresh): (Vec<Elector>, Vec<Elector>) = victims
        .iter()
        .cloned()
        .partition(|victim| victim.restarts >= RESTARTS_MAX);
    for victim in fresh {
        if signal(cluster, &victim, Signal::SIGKILL).await {
            done.kills.push((victim.uid.clone(), clock::now_ms()));
            done.count(&victim, Deed::Kill);
        }
    }
    terminate(cluster, &worn, done).await
}

async fn freeze(
    cluster: &Cluster,
    victims: &[Elector],
    frozen_ms: u64,
    done: &mut Done,
) -> Result<()> {
    for victim in victims {
        if signal(cluster, victim, Signal::SIGSTOP).await {
            done.count(victim, Deed::Freeze);
        }
    }
    pause(frozen_ms).await;
    for victim in victims {
        signal(cluster, victim, Signal::SIGCONT).await;
    }
    Ok(())
}

async fn terminate(cluster: &Cluster, victims: &[Elector], done: &mut Done) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), NAMESPACE);
    for victim in victims {
        let deleted = pods.delete(&victim.pod, &DeleteParams::default()).await;
        deleted.doing(|| format!("delete pod {}", victim.pod))?;
        done.count(victim, Deed::Terminate);
    }
    Ok(())
}

/// Whether it was there to get the signal: the kubelet may be waiting before it starts it again.
async fn signal(cluster: &Cluster, victim: &Elector, signal: Signal) -> bool {
    let container = victim.system.sidecar();
    let sent = cluster.signal(&victim.uid, container, signal).await;
    if let Err(error) = &sent {
        progress::line(&error.to_string());
    }
    sent.is_ok()
}

impl Done {
    fn count(&mut self, victim: &Elector, deed: Deed) {
        *self.counts.entry((victim.system, deed)).or_default() += 1;
    }
}

async fn pause(ms: u64) {
    tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
}
