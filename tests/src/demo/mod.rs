//! `make demo`: a real cluster, one active pod moving around, and what its clients notice.

mod events;
pub mod screen;

use std::path::PathBuf;

use kube::ResourceExt;

use crate::clock;
use crate::cluster::{Cluster, ClusterOptions, Doing, Error, Result};
use crate::observe::{Change, Verdict};
use crate::scene::{self, Active, Scene};
use screen::{Screen, Tone, duration};

/// Namespace of the example.
const NAMESPACE: &str = "demo";
/// Group, Service, Deployment and container of the example.
const GROUP: &str = "web";
/// Replicas of the example.
const REPLICAS: usize = 3;

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Leave the cluster running.
    pub keep: bool,
    /// Write the summary for programs there.
    pub json: Option<PathBuf>,
}

/// Runs the whole demo.
///
/// # Errors
/// With the step that failed, the end of its log and the cure.
pub async fn run(options: &Options) -> Result<()> {
    let screen = Screen::new();
    screen.heading("active-passive: one pod of three serves");
    let cluster = start(screen).await?;
    let result = play(screen, &cluster, options).await;
    if options.keep {
        screen.heading("The cluster stays");
        screen.line(format!(
            "export KUBECONFIG={}",
            cluster.kubeconfig().display()
        ));
        screen.line(screen.paint(Tone::Dim, "make down ends it"));
        cluster.keep()?;
    } else {
        cluster.stop()?;
    }
    result
}

async fn start(screen: Screen) -> Result<Cluster> {
    let start_ms = clock::now_ms();
    let cluster = Cluster::start(ClusterOptions {
        nodes: 2,
        ..Default::default()
    })
    .await?;
    let version = cluster
        .client()
        .apiserver_version()
        .await
        .doing(|| "ask for a version".into())?;
    let took = duration(clock::now_ms() - start_ms);
    screen.fact(
        "kubernetes",
        format!("{}, 2 nodes ({took})", version.git_version),
    );
    Ok(cluster)
}

async fn play(screen: Screen, cluster: &Cluster, options: &Options) -> Result<()> {
    let start_ms = clock::now_ms();
    let images = scene::install(cluster, &[]).await?;
    for image in images {
        let kilobytes = image.archive_bytes / 1_000;
        screen.fact("image", format!("{} ({kilobytes} kB)", image.name));
    }
    screen.fact(
        "chart",
        format!("installed ({})", duration(clock::now_ms() - start_ms)),
    );
    let start_ms = clock::now_ms();
    cluster.kubectl(&["create", "namespace", NAMESPACE]).await?;
    let mut scene = Scene::open(cluster, NAMESPACE, GROUP, &Scene::example()?, REPLICAS).await?;
    let took = duration(clock::now_ms() - start_ms);
    screen.fact(
        "example",
        format!("deploy/examples/web.yaml, settled ({took})"),
    );
    let address = scene.address().await?;
    screen.fact(
        "requests",
        format!("200/s to Service {GROUP} ({address}), 300 ms each at most"),
    );
    let mut verdicts = Vec::new();
    for event in events::ALL {
        show_pods(screen, &scene).await?;
        screen.heading(event.title());
        let verdict = event.perform(&mut scene).await?;
        show_verdict(screen, &verdict);
        verdicts.push(verdict);
    }
    show_pods(screen, &scene).await?;
    show_summary(screen, &verdicts);
    if let Some(path) = &options.json {
        let action = || format!("write {}", path.display());
        let text = serde_json::to_string_pretty(&verdicts).doing(action)?;
        std::fs::write(path, text + "\n").map_err(|error| {
            Error::new(action(), error)
                .cure("name a file in a folder that exists: make demo JSON=FILE")
        })?;
    }
    Ok(())
}

async fn show_pods(screen: Screen, scene: &Scene<'_>) -> Result<()> {
    let timeline = scene.watcher.timeline();
    let now_ms = clock::now_ms();
    let mut pods = scene.pods().await?;
    pods.sort_by_key(ResourceExt::name_any);
    let rows: Vec<Vec<(Tone, String)>> = pods
        .iter()
        .map(|pod| {
            let uid = pod.uid().unwrap_or_default();
            let mut role = (false, now_ms);
            for event in timeline.since(0) {
                if let Change::Label {
                    uid: of, active, ..
                } = &event.change
                    && *of == uid
                    && (role.1 == now_ms || *active != role.0)
                {
                    role = (*active, event.at_ms);
                }
            }
            let (tone, name) = if role.0 {
                (Tone::Good, "active")
            } else {
                (Tone::Plain, "passive")
            };
            let ready = if scene::is_ready(pod) { "yes" } else { "no" };
            vec![
                (tone, pod.name_any()),
                (Tone::Plain, scene::node(pod)),
                (tone, name.to_owned()),
                (Tone::Plain, ready.to_owned()),
                (Tone::Plain, duration(now_ms - role.1)),
            ]
        })
        .collect();
    screen.line("");
    screen.table(&["POD", "NODE", "ROLE", "READY", "SINCE"], &rows);
    Ok(())
}

fn show_verdict(screen: Screen, verdict: &Verdict) {
    match verdict.new_active_ms {
        Some(ms) => screen.fact("new active pod", format!("after {}", duration(ms))),
        None => screen.fact("new active pod", "none: the role stayed"),
    }
    let failed = format!("{} failed of {}", verdict.failed, verdict.requests);
    let tone = if verdict.failed == 0 {
        Tone::Good
    } else {
        Tone::Bad
    };
    screen.fact("requests", screen.paint(tone, failed));
    screen.fact("longest gap", duration(verdict.longest_gap_ms));
    screen.fact(
        "not active",
        format!("{} answers from such a pod", verdict.answers_not_active),
    );
}

fn show_summary(screen: Screen, verdicts: &[Verdict]) {
    screen.heading("Summary");
    let rows: Vec<Vec<(Tone, String)>> = verdicts
        .iter()
        .map(|verdict| {
            let tone = |count: usize| if count == 0 { Tone::Good } else { Tone::Bad };
            let moved = verdict
                .new_active_ms
                .map_or_else(|| "stayed".to_owned(), duration);
            vec![
                (Tone::Plain, verdict.event.clone()),
                (Tone::Plain, moved),
                (
                    tone(verdict.failed),
                    format!("{} of {}", verdict.failed, verdict.requests),
                ),
                (Tone::Plain, duration(verdict.longest_gap_ms)),
                (
                    tone(verdict.answers_not_active),
                    verdict.answers_not_active.to_string(),
                ),
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
}

/// Who is active, in words.
fn whom(active: &Active) -> String {
    format!("{} on {}", active.name, active.node)
}
