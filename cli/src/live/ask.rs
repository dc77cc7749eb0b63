//! What changes something, followed on the snapshots instead of by asking again and again.

use super::snapshot::Snapshot;
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::follow::{Progress, progress};
use crate::switchover::{Answer, ask};
use crate::{live, pause as paused};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Longest time that a switchover is followed: that of the command.
const FOLLOW_MAX: Duration = Duration::from_secs(60);
/// Longest time until what was written is seen.
const SEEN_MAX: Duration = Duration::from_secs(5);

/// Asks for a switchover and says what became of it.
pub(crate) async fn switchover(
    cluster: &Cluster,
    live: &mut watch::Receiver<Arc<Snapshot>>,
    key: &live::Key,
    to: Option<&str>,
) -> Result<String, Failure> {
    let shown = find(&live.borrow(), key)?;
    let asked = match ask(cluster, &shown.group, to).await? {
        Answer::Nothing(why) => return Ok(why),
        Answer::Asked(asked) => asked,
    };
    let deadline = Instant::now() + FOLLOW_MAX;
    loop {
        let shown = find(&live.borrow_and_update(), key);
        let waiting_for = match shown {
            // What was seen before the request says nothing about it.
            Ok(shown) if shown.lease_version() < asked.version => {
                "the request is not seen yet".to_owned()
            }
            Ok(shown) => match progress(&shown.group, &asked.from, to) {
                Progress::Moved(pod) => return Ok(asked.moved(&pod)),
                Progress::Elsewhere(pod) => return Err(Failure::Elsewhere(pod)),
                Progress::Refused => return Err(asked.refused(cluster, &shown.group).await),
                Progress::Waiting(what) => what,
            },
            Err(failure) => failure.to_string(),
        };
        if !matches!(timeout_at(deadline, live.changed()).await, Ok(Ok(()))) {
            return Err(Failure::NotDone {
                group: key.1.clone(),
                waited_s: FOLLOW_MAX.as_secs(),
                waiting_for,
            });
        }
    }
}

/// Pauses a group or lets it go on, and says so once it is seen.
pub(crate) async fn pause(
    cluster: &Cluster,
    live: &mut watch::Receiver<Arc<Snapshot>>,
    key: &live::Key,
    pause: bool,
) -> Result<String, Failure> {
    let shown = find(&live.borrow(), key)?;
    let (said, version) = paused::set(cluster, &shown.group, pause).await?;
    let deadline = Instant::now() + SEEN_MAX;
    let unseen = |snapshot: &Snapshot| {
        find(snapshot, key).is_ok_and(|shown| shown.lease_version() < version)
    };
    while unseen(&live.borrow_and_update()) {
        // It is written, seen or not.
        if !matches!(timeout_at(deadline, live.changed()).await, Ok(Ok(()))) {
            break;
        }
    }
    Ok(said)
}

fn find(snapshot: &Snapshot, key: &live::Key) -> Result<Arc<live::Shown>, Failure> {
    let (namespace, name) = key;
    let found = snapshot.find(namespace, name).cloned();
    found.ok_or_else(|| Failure::NoGroup {
        group: name.clone(),
        namespace: namespace.clone(),
        hint: "; it was there a moment ago, or is not seen yet".to_owned(),
    })
}
