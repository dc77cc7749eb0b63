//! Shows the screen until somebody has seen enough, and leaves the terminal as it was.

use super::draw::{View, draw};
use super::screen::{Deed, Screen};
use super::teller::Teller;
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::live::{self, Snapshot};
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use k8s_openapi::jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::interval;

/// Times on the screen are counted so often.
const TICK: Duration = Duration::from_secs(1);
/// Requests at a time.
const ASKED_MAX: usize = 4;

/// The terminal, given back when it is dropped, also by a panic.
struct Borrowed(ratatui::DefaultTerminal);

impl Drop for Borrowed {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Runs it.
pub(super) async fn run(
    cluster: Arc<Cluster>,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    namespace: Option<String>,
    group: Option<String>,
) -> Result<String, Failure> {
    let mut ended = signal(SignalKind::terminate()).map_err(Failure::Terminal)?;
    let mut terminal = Borrowed(ratatui::try_init().map_err(Failure::Terminal)?);
    let mut events = EventStream::new();
    let mut tick = interval(TICK);
    let (answers, mut answered) = mpsc::channel(ASKED_MAX);
    let mut teller = Teller::new(group.clone());
    let mut screen = Screen {
        is_open: group.is_some(),
        ..Screen::default()
    };
    let with_namespace = namespace.is_none();
    let where_ = namespace.unwrap_or_else(|| "all namespaces".to_owned());
    let place = format!("{where_} · {}", cluster.address);
    let mut is_first = true;
    loop {
        let now = Timestamp::now();
        let snapshot = only(&snapshots.borrow_and_update().clone(), group.as_deref());
        let told = teller.tell(&snapshot);
        // What was there when it began did not change.
        if !is_first {
            screen.tell(told, now);
        }
        is_first &= !snapshot.complete;
        let view = View {
            snapshot: &snapshot,
            place: &place,
            with_namespace,
            now,
        };
        let drawn = terminal.0.draw(|frame| draw(frame, &screen, &view));
        drawn.map_err(Failure::Terminal)?;
        // All of them are cancel-safe.
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) => {
                    let deed = screen.key(key, &snapshot);
                    if deed == Deed::Quit {
                        return Ok(String::new());
                    }
                    carry_out(deed, &cluster, &snapshots, &answers);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ok(String::new()),
            },
            Some(answer) = answered.recv() => screen.answered(answer),
            changed = snapshots.changed() => if changed.is_err() {
                return Ok(String::new());
            },
            _ = tick.tick() => {}
            _ = ended.recv() => return Ok(String::new()),
        }
    }
}

/// The groups that were asked for.
fn only(snapshot: &Arc<Snapshot>, group: Option<&str>) -> Arc<Snapshot> {
    let Some(name) = group else {
        return snapshot.clone();
    };
    let groups = snapshot.groups.iter().filter(|it| it.group.name == name);
    Arc::new(Snapshot {
        complete: snapshot.complete,
        contact: snapshot.contact.clone(),
        listed_at: snapshot.listed_at,
        unseen: snapshot.unseen.clone(),
        groups: groups.cloned().collect(),
    })
}

fn carry_out(
    deed: Deed,
    cluster: &Arc<Cluster>,
    snapshots: &watch::Receiver<Arc<Snapshot>>,
    answers: &mpsc::Sender<Result<String, String>>,
) {
    let (cluster, mut snapshots, answers) = (cluster.clone(), snapshots.clone(), answers.clone());
    tokio::spawn(async move {
        let done = match deed {
            Deed::Switchover(key, to) => {
                live::switchover(&cluster, &mut snapshots, &key, to.as_deref()).await
            }
            Deed::Pause(key, pause) => live::pause(&cluster, &mut snapshots, &key, pause).await,
            Deed::Nothing | Deed::Quit => return,
        };
        // Whoever has quit does not wait for it.
        answers
            .send(done.map_err(|failure| failure.to_string()))
            .await
            .ok();
    });
}
