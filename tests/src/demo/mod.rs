//! `make demo`: a real cluster, one active pod moving around, and what its clients notice.

mod elsewhere;
mod events;
mod failure;
mod own;
mod picture;
mod screen;
mod show;

use std::path::{Path, PathBuf};

use common::shutdown::Shutdown;
use nix::unistd::{AccessFlags, access};

pub use elsewhere::Elsewhere;
pub use failure::Failure;

use crate::cluster::{Cluster, Doing, Error, Kube, Result};
use crate::observe::Verdict;
use crate::progress;
use crate::scene::{Scene, Source};
use events::{Event, Play};
use failure::{InStep, unless_interrupted};
use screen::Screen;
use show::Performed;

/// Namespace of the example.
const NAMESPACE: &str = "active-passive-demo";
/// Group, Service, Deployment and container of the example.
const GROUP: &str = "web";
/// Replicas of the example.
const REPLICAS: usize = 3;
const JSON_CURE: &str = "name a file in a folder that can be written: make demo JSON=FILE";

const PICTURE_CURE: &str = "name a file in a folder that can be written: make demo PICTURE=FILE";

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Leave the cluster, or what was installed, running.
    pub keep: bool,
    /// Write the summary for programs there.
    pub json: Option<PathBuf>,
    /// Draw who answered when there, as SVG.
    pub picture: Option<PathBuf>,
    /// Use this cluster instead of one of its own.
    pub elsewhere: Option<Elsewhere>,
}

/// Runs the whole demo.
///
/// # Errors
/// With the step that failed, the end of its log and the cure; or if a signal ended it.
pub async fn run(options: &Options) -> Result<(), Failure> {
    let registered = Shutdown::register().doing(|| "register for signals".into());
    let mut shutdown = registered.in_step("start", "run it on Linux")?;
    if let Some(path) = &options.json {
        check_file(path).in_step("look where JSON goes", JSON_CURE)?;
    }
    if let Some(path) = &options.picture {
        check_file(path).in_step("look where the picture goes", PICTURE_CURE)?;
    }
    let screen = Screen::new();
    screen.heading("active-passive: of three pods one serves, and another one follows it");
    if let Some(elsewhere) = &options.elsewhere {
        return Box::pin(elsewhere::run(screen, elsewhere, options, &mut shutdown)).await;
    }
    unless_interrupted(&mut shutdown, Box::pin(own::run(screen, options))).await
}

/// Finds out now what would fail after a minute.
fn check_file(path: &Path) -> Result<()> {
    let action = || format!("write {}", path.display());
    if path.is_dir() {
        return Err(Error::new(action(), "it is a folder"));
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or_else(|| Path::new("."));
    access(folder, AccessFlags::W_OK)
        .map_err(|errno| Error::new(action(), format!("{}: {}", folder.display(), errno.desc())))
}

/// Applies the example and waits until it has settled.
async fn applied<'a>(
    screen: Screen,
    kube: &'a Kube,
    source: Source<'a>,
    manifest: &str,
) -> Result<Scene<'a>> {
    let step = progress::step("applying deploy/examples/web.yaml, until one of 3 pods is active");
    kube.kubectl(&["create", "namespace", NAMESPACE]).await?;
    let scene = Scene::open_at(kube, source, NAMESPACE, GROUP, manifest, REPLICAS).await?;
    step.done();
    screen.fact(
        "example",
        format!("deploy/examples/web.yaml in {NAMESPACE}"),
    );
    let address = scene.address().await?;
    let requests = format!("200/s to Service {GROUP} ({address}), each given up after 300 ms");
    screen.fact("requests", requests);
    Ok(scene)
}

/// Where events are performed.
struct Stage<'a> {
    screen: Screen,
    scene: Scene<'a>,
    /// The cluster, if its nodes can be reached.
    cluster: Option<&'a Cluster>,
}

/// Performs the events, shows what they did, and writes it down.
async fn play(mut stage: Stage<'_>, events: &[Event], options: &Options) -> Result<(), Failure> {
    let screen = stage.screen;
    let mut all = Vec::new();
    for event in events {
        let performed = perform(&mut stage, *event).await;
        let cure = "try again; if it stays so, KEEP=1 leaves the cluster to be looked at";
        all.push(performed.in_step(event.title(), cure)?);
    }
    let shown = show::pods(screen, &stage.scene).await;
    shown.in_step("list the pods", "try again")?;
    show::summary(screen, &all);
    if let Some(path) = &options.json {
        write_json(path, &all).in_step("write JSON", JSON_CURE)?;
        screen.note(format!("the same for programs: {}", path.display()));
    }
    if let Some(path) = &options.picture {
        let written = std::fs::write(path, picture::svg(&all));
        let written = written.doing(|| format!("write {}", path.display()));
        written.in_step("draw the picture", PICTURE_CURE)?;
        screen.note(format!("who answered when: {}", path.display()));
    }
    Ok(())
}

async fn perform(stage: &mut Stage<'_>, event: Event) -> Result<Performed> {
    let screen = stage.screen;
    show::pods(screen, &stage.scene).await?;
    screen.heading(event.title());
    let mut play = Play {
        screen,
        scene: &mut stage.scene,
        cluster: stage.cluster,
        trigger_ms: 0,
    };
    let performed = match play.perform(event).await {
        Ok(performed) => performed,
        Err(error) => {
            let seen = stage.scene.kube.describe(NAMESPACE).await;
            return Err(error.output(&seen));
        }
    };
    show::figures(screen, &performed);
    Ok(performed)
}

fn write_json(path: &Path, all: &[Performed]) -> Result<()> {
    let action = || format!("write {}", path.display());
    let verdicts: Vec<&Verdict> = all.iter().map(|performed| &performed.verdict).collect();
    let text = serde_json::to_string_pretty(&verdicts).doing(action)?;
    std::fs::write(path, text + "\n").doing(action)
}
