//! What goes on in groups, as it happens: one list and one watch a kind, for as long as somebody looks.
//!
//! ```text
//! kind (Leases, pods, Services) ──news──▶ world (pure) ──▶ Snapshot ──▶ dashboard, watch
//! pulse: is the API server there? ──news──▶
//! ```
//!
//! Whoever looks reads the newest snapshot and compares it with the one before: a slow reader misses
//! steps, never the end, and no queue grows. Groups are put together as `status` does it. Absent from
//! it: what is shown, and how.

mod ask;
mod changes;
mod contact;
mod face;
mod kind;
mod snapshot;
mod tracks;
mod world;

pub(crate) use ask::{pause, switchover};
pub(crate) use changes::changes;
pub(crate) use contact::Contact;
pub(crate) use snapshot::{Shown, Snapshot};
pub(crate) use tracks::{Phase, Track};

use crate::connect::Cluster;
use common::pod::Pod;
use common::service::Service;
use k8s_openapi::jiff::Timestamp;
use kind::News;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use world::World;

use crate::lease::Lease;

/// A group: its namespace and its name.
pub(crate) type Key = (String, String);

/// News that wait to be taken in; whoever brings more waits.
const NEWS_MAX: usize = 1_024;
/// Time between two snapshots, at least: people see no more, and moves keep their times.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(50);
/// How often it is looked whether a Lease has run out.
const TICK: Duration = Duration::from_secs(1);

/// Follows the groups of a namespace, or of all, until nobody looks at the snapshots any more.
pub(crate) fn start(
    cluster: &Arc<Cluster>,
    namespace: Option<&str>,
) -> watch::Receiver<Arc<Snapshot>> {
    let (news, brought) = mpsc::channel(NEWS_MAX);
    let (snapshots, newest) = watch::channel(Arc::default());
    // Whoever follows a kind begins anew when the API server is back.
    let (back, called) = watch::channel(());
    let place = namespace.map(str::to_owned);
    tokio::spawn(kind::follow::<Lease>(
        cluster.clone(),
        place.clone(),
        news.clone(),
        called.clone(),
    ));
    tokio::spawn(kind::follow::<Pod>(
        cluster.clone(),
        place.clone(),
        news.clone(),
        called.clone(),
    ));
    tokio::spawn(kind::follow::<Service>(
        cluster.clone(),
        place,
        news.clone(),
        called,
    ));
    tokio::spawn(contact::pulse(cluster.clone(), news, back));
    tokio::spawn(run(brought, snapshots));
    newest
}

async fn run(mut news: mpsc::Receiver<News>, snapshots: watch::Sender<Arc<Snapshot>>) {
    let mut world = World::default();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // Cancel-safe, all of them.
        tokio::select! {
            brought = news.recv() => {
                let Some(brought) = brought else { return };
                world.take(brought, Timestamp::now());
                for _ in 1..NEWS_MAX {
                    let Ok(more) = news.try_recv() else { break };
                    world.take(more, Timestamp::now());
                }
            }
            _ = tick.tick() => world.tick(Timestamp::now()),
            () = snapshots.closed() => return,
        }
        snapshots.send_replace(Arc::new(world.snapshot()));
        sleep(SNAPSHOT_EVERY).await;
    }
}
