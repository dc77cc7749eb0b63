//! The demo on a cluster that runs already: it asks first, and takes away what it brought.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use common::contract::SIDECAR_CLUSTER_ROLE;
use common::shutdown::Shutdown;
use tokio::sync::oneshot;

use super::failure::{Failure, InStep, unless_interrupted};
use super::screen::Screen;
use super::{NAMESPACE, Options, Stage, applied, events, play};
use crate::cluster::images::Kind;
use crate::cluster::{Error, Kube, Result};
use crate::progress;
use crate::scene::{self, RELEASE, SYSTEM_NAMESPACE, Scene, Source};

const LOOK: &str = "look at what the cluster's nodes and events say";
/// How long a namespace may take to be gone, as kubectl takes it.
const DELETE: &str = "--timeout=100s";

/// A cluster that somebody else started.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// Its current context is used.
    pub kubeconfig: PathBuf,
    /// Images are `<images>/sidecar`, `<images>/webhook` and `<images>/example-app`.
    pub images: String,
    /// The question has been answered.
    pub yes: bool,
}

/// Runs until the end or a signal; what was brought is taken away in any case.
pub(super) async fn run(
    screen: Screen,
    elsewhere: &Elsewhere,
    options: &Options,
    shutdown: &mut Shutdown,
) -> Result<(), Failure> {
    let opened = async {
        let opened = open(screen, elsewhere, options.keep).await;
        opened.in_step("use the cluster", LOOK)
    };
    let kube = unless_interrupted(shutdown, opened).await?;
    let shown = Box::pin(show(screen, &kube, &elsewhere.images, options));
    let result = unless_interrupted(shutdown, shown).await;
    if options.keep && !matches!(result, Err(Failure::Interrupted)) {
        screen.heading("What was installed stays. To remove it:");
        removal().iter().for_each(|line| screen.line(line));
        return result;
    }
    let step = progress::step("removing what was installed");
    let removed = async {
        let removed = remove(&kube).await;
        removed.in_step("remove what was installed", &removal().join("; "))
    };
    let removed = unless_interrupted(shutdown, removed).await;
    match (&result, &removed) {
        (_, Ok(())) => step.done(),
        (_, Err(Failure::Interrupted)) => {
            screen.heading("Not all that was installed has been removed. To remove it:");
            removal().iter().for_each(|line| screen.line(line));
        }
        (Err(failure), Err(_)) => screen.line(failure),
        (Ok(()), Err(_)) => {}
    }
    removed.and(result)
}

/// Shows what would be used, and asks.
async fn open(screen: Screen, elsewhere: &Elsewhere, keep: bool) -> Result<Kube> {
    let kube = Kube::elsewhere(&elsewhere.kubeconfig).await?;
    let (context, server) = kube.destination()?;
    screen.fact("context", context);
    screen.fact("server", server);
    screen.fact("images", format!("{}/...", elsewhere.images));
    screen.fact(
        "installs",
        "charts/active-passive, with a webhook and policies for the cluster",
    );
    let namespaces = format!("{SYSTEM_NAMESPACE} and {NAMESPACE}");
    let again = if keep {
        ""
    } else {
        ", and removes all of it again"
    };
    screen.fact("makes", format!("namespaces {namespaces}{again}"));
    if !elsewhere.yes {
        let action = "be allowed to use this cluster";
        if !std::io::stdin().is_terminal() {
            return Err(Error::new(action, "there is no terminal to ask on")
                .cure("say so beforehand: make demo CLUSTER=FILE IMAGES=PREFIX YES=1"));
        }
        if !confirmed().await {
            return Err(Error::new(action, "the answer was no").cure("nothing was changed"));
        }
    }
    unused(&kube).await?;
    Ok(kube)
}

/// A thread reads the answer: it must not keep the program from ending.
async fn confirmed() -> bool {
    let (answer, answered) = oneshot::channel();
    print!("go on? [y/N] ");
    std::io::stdout().flush().unwrap_or_default();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        let yes = read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes");
        answer.send(yes).unwrap_or_default();
    });
    answered.await.unwrap_or(false)
}

/// What is removed afterwards must not have been there before.
async fn unused(kube: &Kube) -> Result<()> {
    let webhook = format!("mutatingwebhookconfiguration/{RELEASE}");
    let (system, demo) = (
        format!("namespace/{SYSTEM_NAMESPACE}"),
        format!("namespace/{NAMESPACE}"),
    );
    let get = [
        "get",
        "--ignore-not-found",
        "--output=name",
        &webhook,
        &system,
        &demo,
    ];
    let found = kube.kubectl(&get).await?;
    let found: Vec<&str> = found.split_whitespace().collect();
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        "install into this cluster",
        format!("it has {}", found.join(", ")),
    )
    .cure(format!("if nobody needs them: {}", removal().join("; "))))
}

async fn show(screen: Screen, kube: &Kube, images: &str, options: &Options) -> Result<(), Failure> {
    let step = progress::step("installing the chart, until the webhook is ready");
    let values = [Kind::Webhook, Kind::Sidecar]
        .map(|kind| format!("{0}.image.repository={images}/{0}", kind.package()));
    let installed = scene::install_chart(kube, &values.each_ref().map(String::as_str)).await;
    let cure = "push the images below IMAGES, and let the nodes pull them";
    installed.in_step("install the chart", cure)?;
    step.done();
    screen.fact(
        "chart",
        format!("charts/active-passive in {SYSTEM_NAMESPACE}"),
    );

    let name = Kind::ExampleApp.name();
    let (_, last) = name.rsplit_once('/').unwrap_or(("", &name));
    let image = format!("{images}/{last}");
    let manifest = Scene::example().in_step("apply the example", LOOK)?;
    let manifest = manifest.replace(&name, &image);
    let scene = applied(screen, kube, Source::Pod { image }, &manifest).await;
    let stage = Stage {
        screen,
        scene: scene.in_step("apply the example", LOOK)?,
        cluster: None,
    };
    screen.note("times are compared between nodes: their clocks are assumed synchronised");
    screen.note("left out, for they need the nodes' machines: kill -9 of the app, cut a node off");
    play(stage, &events::PLANNED, options).await
}

async fn remove(kube: &Kube) -> Result<()> {
    // A namespace that is deleted looks for the end of its pods every now and then only.
    let pods = ["delete", "deployments,pods", "--all", DELETE, "--namespace"];
    kube.kubectl(&[&pods[..], &[NAMESPACE]].concat()).await?;
    let delete = ["delete", "namespace", "--ignore-not-found", DELETE];
    kube.kubectl(&[&delete[..], &[NAMESPACE]].concat()).await?;
    let uninstall = ["uninstall", RELEASE, "--namespace", SYSTEM_NAMESPACE];
    kube.helm(&[&uninstall[..], &["--ignore-not-found", "--wait"]].concat())
        .await?;
    kube.kubectl(&[&delete[..], &[SYSTEM_NAMESPACE]].concat())
        .await?;
    // Helm leaves it to groups that run; here none does.
    let role = ["delete", "clusterrole", "--ignore-not-found"];
    kube.kubectl(&[&role[..], &[SIDECAR_CLUSTER_ROLE]].concat())
        .await?;
    Ok(())
}

/// The same as commands.
fn removal() -> [String; 4] {
    [
        format!("kubectl delete namespace {NAMESPACE}"),
        format!("helm uninstall {RELEASE} --namespace {SYSTEM_NAMESPACE} --wait"),
        format!("kubectl delete namespace {SYSTEM_NAMESPACE}"),
        format!("kubectl delete clusterrole {SIDECAR_CLUSTER_ROLE}"),
    ]
}
