//! The demo on a cluster of its own.

use super::failure::{Failure, InStep};
use super::screen::Screen;
use super::{NAMESPACE, Options, Stage, applied, events, play};
use crate::cluster::images::{self, Kind};
use crate::cluster::{Cluster, ClusterOptions, Doing, Error};
use crate::progress;
use crate::scene::{self, Scene, Source};
use common::contract;

/// What helps where nothing better is known.
const LOOK: &str = "try again with KEEP=1, and look at the cluster that stays";

/// Dropping this at any time ends the cluster.
pub(super) async fn run(screen: Screen, options: &Options) -> Result<(), Failure> {
    let cluster = start(screen).await.in_step("start the cluster", LOOK)?;
    let result = Box::pin(show(screen, &cluster, options)).await;
    if options.keep {
        screen.heading("The cluster stays");
        screen.line(format!(
            "export KUBECONFIG={}",
            cluster.kubeconfig().display()
        ));
        let role = contract::ROLE;
        screen.note(format!(
            "look:     kubectl get pods -n {NAMESPACE} -L {role}"
        ));
        screen.note(format!("end it:   make down ID={}", cluster.id()));
        cluster.keep().in_step("keep the cluster", LOOK)?;
    } else {
        let step = progress::brief("ending the cluster");
        let again = "make down ends what is left";
        cluster.stop().in_step("end the cluster", again)?;
        step.done();
    }
    result
}

async fn start(screen: Screen) -> Result<Cluster, Error> {
    let cluster = Cluster::start(ClusterOptions {
        nodes: 2,
        ..Default::default()
    })
    .await?;
    let version = cluster.client().apiserver_version().await;
    let version = version.doing(|| "ask for a version".into())?.git_version;
    screen.fact("kubernetes", format!("{version}, 2 nodes"));
    Ok(cluster)
}

async fn show(screen: Screen, cluster: &Cluster, options: &Options) -> Result<(), Failure> {
    let step = progress::brief("building and loading the images");
    let images = async {
        let images = images::build(&Kind::ALL).await?;
        scene::load_images(cluster, &images).await?;
        Ok(images)
    };
    let images = images.await.in_step("build the images", LOOK)?;
    step.done();
    let sizes = Kind::ALL.iter().zip(&images).map(|(kind, image)| {
        let name = kind.package();
        let (mega, rest) = (
            image.archive_bytes / 1_000_000,
            image.archive_bytes % 1_000_000,
        );
        format!("{name} {mega}.{} MB", rest / 100_000)
    });
    screen.fact("images", sizes.collect::<Vec<_>>().join(", "));

    let step = progress::step("installing the chart, until the webhook is ready");
    let installed = scene::install_chart(cluster.kube(), &[]).await;
    installed.in_step("install the chart", LOOK)?;
    step.done();
    screen.fact(
        "chart",
        format!("charts/active-passive in {}", scene::SYSTEM_NAMESPACE),
    );

    let manifest = Scene::example().in_step("apply the example", LOOK)?;
    let source = Source::Hub(cluster);
    let scene = applied(screen, cluster.kube(), source, &manifest).await;
    let stage = Stage {
        screen,
        scene: scene.in_step("apply the example", LOOK)?,
        cluster: Some(cluster),
    };
    let all = [events::PLANNED, events::UNPLANNED].concat();
    play(stage, &all, options).await
}
