//! `kubectl active-passive watch`, into a pipe: a line a change.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::scene::Scene;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use crate::cli::Plugin;
use crate::context::{Case, Context, eventually};

const GROUP: &str = "web";
const REPLICAS: usize = 2;
const LISTER: &str = "lister";
/// How long a new right may take to be there, milliseconds.
const RIGHT_MS: u64 = 10_000;
/// Longest time until a line is there.
const LINE: Duration = Duration::from_secs(20);

pub(crate) const CASES: &[Case] = &[Case {
    name: "watch: prints who is active, then each change as it happens",
    run: |context| Box::pin(watch(context)),
}];

async fn watch(context: &Context<'_>) -> Result<()> {
    let plugin = Plugin::new(context)?;
    let (cluster, namespace) = (context.cluster, &context.namespace);
    let manifest = Scene::example()?.replace("replicas: 3", "replicas: 2");
    let scene = Scene::open(cluster, namespace, GROUP, &manifest, REPLICAS).await?;
    let old = scene.settled().await?;
    list_only(context, &plugin).await?;
    let (mut watcher, mut said) = start(&plugin, &[])?;
    let (mut lister, mut listed) = start(&plugin, &["--as", LISTER])?;
    let first = line(&mut said, " is active").await?;
    let expected = format!(
        "{namespace}/{GROUP} {} is active; 2 of 2 pods are ready",
        old.name
    );
    ensure!(first.ends_with(&expected), "no {expected:?} in {first:?}");
    let first = line(&mut listed, " is active").await?;
    ensure!(first.ends_with(&expected), "no {expected:?} in {first:?}");

    plugin.say(&["switchover", GROUP, "--wait"]).await?;
    let new = scene.settled().await?;
    let moved = line(&mut said, " is active instead of ").await?;
    let expected = format!(
        "{} is active instead of {}: switchover, ",
        new.name, old.name
    );
    ensure!(moved.contains(&expected), "no {expected:?} in {moved:?}");
    line(&mut said, &format!("the move to {} took ", new.name)).await?;
    // Who may not watch sees it with the next list.
    let moved = line(&mut listed, " is active instead of ").await?;
    ensure!(moved.contains(&expected), "no {expected:?} in {moved:?}");
    lister.kill().await?;

    plugin.say(&["pause", GROUP]).await?;
    line(&mut said, "paused: the role stays where it is").await?;
    plugin.say(&["resume", GROUP]).await?;
    line(&mut said, "resumed").await?;
    scene.delete(&old.name).await?;
    line(&mut said, &format!("{} is draining", old.name)).await?;
    line(&mut said, &format!("{} is gone", old.name)).await?;
    watcher.kill().await?;
    plugin.end()
}

/// Starts it in a pipe; returns the lines that it prints.
fn start(plugin: &Plugin<'_>, flags: &[&str]) -> Result<(Child, Lines<BufReader<ChildStdout>>)> {
    let namespace = &plugin.context().namespace;
    let mut watcher = plugin
        .command()
        .args(["active-passive", "watch", GROUP, "--namespace", namespace])
        .args(flags)
        .stdout(Stdio::piped())
        .spawn()?;
    let said = watcher.stdout.take().context("no output")?;
    Ok((watcher, BufReader::new(said).lines()))
}

/// Somebody who may list, and not watch.
async fn list_only(context: &Context<'_>, plugin: &Plugin<'_>) -> Result<()> {
    let kinds = "--resource=leases.coordination.k8s.io,pods,services";
    let role = ["create", "role", LISTER, "--verb=list", kinds];
    context.kubectl(&role).await?;
    let [role, user] = ["role", "user"].map(|it| format!("--{it}={LISTER}"));
    let binding = ["create", "rolebinding", LISTER, &role, &user];
    context.kubectl(&binding).await?;
    eventually("the right to list", RIGHT_MS, async || {
        let said = plugin.answer(&["status", GROUP, "--as", LISTER]).await?;
        let may = said.code == Some(0) && !said.stdout.contains("you may not");
        Ok(if may {
            Ok(())
        } else {
            Err(format!("{said:?}"))
        })
    })
    .await
}

/// The next line with `part`.
async fn line(said: &mut Lines<BufReader<ChildStdout>>, part: &str) -> Result<String> {
    let mut before = Vec::new();
    let found = timeout(LINE, async {
        while let Some(line) = said.next_line().await? {
            if line.contains(part) {
                return Ok(line);
            }
            before.push(line);
        }
        anyhow::bail!("it ended")
    });
    let found = found.await.context("too late").and_then(|found| found);
    found.with_context(|| format!("a line with {part:?} after {before:#?}"))
}
