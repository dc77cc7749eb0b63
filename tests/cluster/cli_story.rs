//! The story of a move, where people look for it: `kubectl describe`, and the sidecar's log.

use anyhow::{Context as _, Result, ensure};
use common::contract;
use serde_json::Value;
use tests::scene::{Active, Scene};

use crate::cli::Plugin;
use crate::context::{Case, Context, eventually};

const GROUP: &str = "web";
const REPLICAS: usize = 3;
/// How long an Event may take to be there, milliseconds.
const TOLD_MS: u64 = 10_000;
/// Events of one move on one object, at most.
const EVENTS_MAX: usize = 3;

pub(crate) const CASES: &[Case] = &[Case {
    name: "cli: kubectl describe and a line of the log tell the story of a move",
    run: |context| Box::pin(story(context)),
}];

async fn story(context: &Context<'_>) -> Result<()> {
    let plugin = Plugin::new(context)?;
    let (cluster, namespace) = (context.cluster, &context.namespace);
    let manifest = Scene::example()?;
    let scene = Scene::open(cluster, namespace, GROUP, &manifest, REPLICAS).await?;
    let old = scene.settled().await?;
    // The first move is told.
    for (kind, name, reason) in [
        ("lease", GROUP, "RoleMoved"),
        ("pod", &old.name, "BecameActive"),
        ("service", GROUP, "TrafficMoved"),
    ] {
        told(context, kind, name, &[reason], 0).await?;
    }
    plugin.say(&["switchover", GROUP, "--wait"]).await?;
    let new = scene.settled().await?;
    for (kind, name, reasons, before) in [
        ("lease", GROUP, &["RoleMoved", "SwitchoverDone"][..], 1),
        ("service", GROUP, &["TrafficMoved"], 1),
        ("pod", &old.name, &["BecamePassive"], 1),
        ("pod", &new.name, &["BecameActive"], 0),
    ] {
        told(context, kind, name, reasons, before).await?;
    }
    logged(context, &old, &new).await?;
    plugin.end()
}

/// Waits until `kubectl describe` shows these reasons of ours beside what it showed `before`, and
/// nothing more.
async fn told(
    context: &Context<'_>,
    kind: &str,
    name: &str,
    reasons: &[&str],
    before: usize,
) -> Result<()> {
    let what = format!("{reasons:?} on {kind} {name}");
    let described = eventually(&what, TOLD_MS, async || {
        let text = context.kubectl(&["describe", kind, name]).await?;
        let events = text
            .split_once("\nEvents:")
            .map_or("", |(_, events)| events);
        let all = reasons.iter().all(|it| events.contains(it));
        let ours = of_ours(events);
        Ok(if all && ours >= before + reasons.len() {
            Ok((ours, text))
        } else {
            Err(text)
        })
    });
    let (events, text) = described.await?;
    ensure!(events <= before + EVENTS_MAX, "{kind} {name}: {text}");
    ensure!(text.contains("active-passive"), "{kind} {name}: {text}");
    Ok(())
}

/// How many lines are of ours, those that were told several times as often as that.
fn of_ours(events: &str) -> usize {
    let reasons = [
        "RoleMoved",
        "SwitchoverDone",
        "BecameActive",
        "BecamePassive",
        "TrafficMoved",
    ];
    let lines = events.lines();
    lines
        .filter(|line| line.split_whitespace().any(|it| reasons.contains(&it)))
        .count()
}

/// The new active pod's log has one line with all that there is to say.
async fn logged(context: &Context<'_>, old: &Active, new: &Active) -> Result<()> {
    let container = format!("--container={}", contract::CONTAINER);
    let log = context.kubectl(&["logs", &new.name, &container]).await?;
    let lines = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).context("a line of the log is JSON"));
    let lines = lines.collect::<Result<Vec<_>>>()?;
    let moves: Vec<&Value> = lines
        .iter()
        .filter(|line| line["message"] == "the role has moved")
        .collect();
    let [line] = moves[..] else {
        anyhow::bail!("{} moves in {log}", moves.len());
    };
    let fits = line["level"] == "INFO"
        && line["from"] == old.name.as_str()
        && line["to"] == new.name.as_str()
        && line["kind"] == "switchover"
        && line["term"].is_u64()
        && line["duration_ms"].is_u64();
    ensure!(fits, "{line}");
    Ok(())
}
