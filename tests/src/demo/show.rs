//! What the demo shows: who is active, what an event did, and the summary.

use kube::ResourceExt;

use super::events::Event;
use super::screen::{Screen, Tone, duration};
use crate::cluster::Result;
use crate::observe::{Answer, Verdict, is_ready};
use crate::scene::{self, Active, Scene};

/// What the last column counts, and why it is not nothing.
const NOT_ACTIVE: &str =
    "not active: the old pod, held back, answers until kube-proxy's next sync, up to 1 s later";

/// An event that was performed.
pub(super) struct Performed {
    pub(super) event: Event,
    pub(super) verdict: Verdict,
    /// Who is active now.
    pub(super) active: Active,
    /// From the first sight of the old pod's deletion to the new one, milliseconds.
    pub(super) chosen_ms: Option<u64>,
    /// When it was triggered, milliseconds of the scene's clock.
    pub(super) trigger_ms: u64,
    /// What became of all requests.
    pub(super) answers: Vec<Answer>,
}

/// A table of the group's pods.
pub(super) async fn pods(screen: Screen, scene: &Scene<'_>) -> Result<()> {
    let timeline = scene.watcher.timeline();
    let now_ms = (scene.clock)();
    let mut pods = scene.pods().await?;
    pods.sort_by_key(ResourceExt::name_any);
    let rows: Vec<Vec<(Tone, String)>> = pods
        .iter()
        .map(|pod| {
            let role = timeline.role(&pod.uid().unwrap_or_default());
            let (active, since_ms) = role.unwrap_or((false, now_ms));
            let (tone, name) = if active {
                (Tone::Good, "active")
            } else {
                (Tone::Plain, "passive")
            };
            let ready = if is_ready(pod) { "yes" } else { "no" };
            vec![
                (tone, pod.name_any()),
                (Tone::Plain, scene::node(pod)),
                (tone, name.to_owned()),
                (Tone::Plain, ready.to_owned()),
                (Tone::Plain, duration(now_ms.saturating_sub(since_ms))),
            ]
        })
        .collect();
    screen.line("");
    screen.table(&["POD", "NODE", "ROLE", "READY", "SINCE"], &rows);
    Ok(())
}

/// The figures of one event.
pub(super) fn figures(screen: Screen, performed: &Performed) {
    let Performed {
        event,
        verdict,
        active,
        chosen_ms,
        ..
    } = performed;
    let moved = match (verdict.new_active_ms, chosen_ms) {
        (None, _) => "none, the role stayed".to_owned(),
        (Some(ms), Some(chosen_ms)) => format!(
            "{} after {}; {} after the old one had to go",
            active.name,
            duration(ms),
            duration(*chosen_ms)
        ),
        (Some(ms), None) => format!("{} after {}", active.name, duration(ms)),
    };
    screen.fact("new active pod", moved);
    let failed = format!("{} failed of {}", verdict.failed, verdict.requests);
    screen.fact("requests", screen.paint(event.tone(verdict.failed), failed));
    screen.fact("longest gap", duration(verdict.longest_gap_ms));
    let strays = verdict.answers_not_active;
    screen.fact("not active", format!("{strays} answers from such a pod"));
}

/// The table that stays, and what is not obvious about it.
pub(super) fn summary(screen: Screen, performed: &[Performed]) {
    screen.heading("Summary");
    let rows: Vec<Vec<(Tone, String)>> = performed
        .iter()
        .map(|Performed { event, verdict, .. }| {
            let moved = verdict
                .new_active_ms
                .map_or_else(|| "stayed".to_owned(), duration);
            let failed = format!("{} of {}", verdict.failed, verdict.requests);
            vec![
                (Tone::Plain, event.title().to_owned()),
                (Tone::Plain, moved),
                (event.tone(verdict.failed), failed),
                (Tone::Plain, duration(verdict.longest_gap_ms)),
                (Tone::Plain, verdict.answers_not_active.to_string()),
            ]
        })
        .collect();
    let headings = [
        "EVENT",
        "NEW ACTIVE AFTER",
        "FAILED REQUESTS",
        "LONGEST GAP",
        "NOT ACTIVE",
    ];
    screen.table(&headings, &rows);
    screen.line("");
    let events = || performed.iter().map(|performed| performed.event);
    if events().any(|event| event == Event::Restart) {
        screen.note("a rollout moves the role when its turn comes to the active pod, once");
    }
    if events().any(|event| event == Event::Cut) {
        screen.note("nobody follows a pod that is cut off before its lease ends: 15 s at most");
    }
    screen.note(NOT_ACTIVE);
}
