//! What contrib's elector and those like it answer by HTTP.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use common::contract::SIDECAR_PORT;
use serde_json::{Value, json};
use tests::scene::Scene;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::journal::{Entries, Kind};
use super::stage::{SETTLED_MS, Stage, label, ready_pods};
use crate::context::{Case, Context, eventually};

const ROLE: &str = "active-passive.dev/role";
/// How soon standbys name the new leader, milliseconds.
const NAMED_MS: u64 = 5_000;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "seeds: http_name_of_the_leader_is_fresh_on_standbys",
        run: |context| Box::pin(name_of_the_leader(context)),
    },
    Case {
        name: "seeds: http_streams_tell_changes_and_apps_know_where",
        run: |context| Box::pin(streams(context)),
    },
];

fn active(entries: &Entries) -> Option<String> {
    let pods = entries.now(Kind::Pod);
    let mut active = pods
        .iter()
        .filter(|(_, pod)| label(pod, ROLE) == Some("active"));
    active.next().map(|(name, _)| (*name).to_owned())
}

/// The active pod and all pods of an example.
async fn settled<'a>(
    context: &'a Context<'a>,
    manifest: &str,
) -> Result<(Stage<'a>, String, Vec<String>)> {
    let mut stage = Stage::open(context, manifest).await?;
    let settled = |entries: &Entries| {
        let pods = ready_pods(entries, 3)?;
        let pods: Vec<String> = pods.into_iter().map(str::to_owned).collect();
        Some((active(entries)?, pods))
    };
    let (active, pods) = stage
        .until("three pods are ready", SETTLED_MS, settled)
        .await?;
    Ok((stage, active, pods))
}

async fn name_of_the_leader(context: &Context<'_>) -> Result<()> {
    let (mut stage, old, pods) = settled(context, &Scene::example()?).await?;
    named_by_all(context, &old, &pods).await?;
    stage.delete(&old).await?;
    let moved = |entries: &Entries| active(entries).filter(|now| *now != old);
    let new = stage.until("the role moves", SETTLED_MS, moved).await?;
    let others: Vec<String> = pods.into_iter().filter(|pod| *pod != old).collect();
    named_by_all(context, &new, &others).await
}

/// Waits until each pod answers with the name of the leader.
async fn named_by_all(context: &Context<'_>, leader: &str, pods: &[String]) -> Result<()> {
    let expected = json!({"name": leader});
    for pod in pods {
        let namespace = &context.namespace;
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{SIDECAR_PORT}/proxy/");
        eventually("the leader's name", NAMED_MS, async || {
            let answer = context.cluster.kubectl(&["get", "--raw", &path]).await?;
            let found: Value = serde_json::from_str(&answer)?;
            Ok(if found == expected {
                Ok(())
            } else {
                Err(answer)
            })
        })
        .await?;
    }
    Ok(())
}

async fn streams(context: &Context<'_>) -> Result<()> {
    let inject = "active-passive.dev/inject: \"true\"\n";
    let told = format!("{inject}        active-passive.dev/elector-env: \"true\"\n");
    let manifest = Scene::example()?;
    ensure!(
        manifest.contains(inject),
        "the example does not ask for the sidecar"
    );
    let (mut stage, old, pods) = settled(context, &manifest.replace(inject, &told)).await?;
    app_knows_where(&stage, &old)?;

    let standbys: Vec<&String> = pods.iter().filter(|pod| **pod != old).collect();
    let mut leaders = Stream::open(context, standbys[0], "/sse")?;
    ensure!(
        leaders.next().await? == json!({"name": old}),
        "another leader than {old}"
    );
    let mut roles = Vec::new();
    for pod in &standbys {
        let mut stream = Stream::open(context, pod, "/events")?;
        let first = stream.next().await?;
        ensure!(
            first["role"] == "passive" && first["pod"] == **pod,
            "{first}"
        );
        roles.push((*pod, stream));
    }
    stage.delete(&old).await?;
    let moved = |entries: &Entries| active(entries).filter(|now| *now != old);
    let new = stage.until("the role moves", SETTLED_MS, moved).await?;
    // Whoever listens needs no other look: the last word is right.
    while leaders.next().await? != json!({"name": new}) {}
    let (_, stream) = roles
        .iter_mut()
        .find(|(pod, _)| **pod == new)
        .context("the role went to a pod that is new")?;
    let last = stream.next().await?;
    ensure!(last["role"] == "active" && last["pod"] == *new, "{last}");
    Ok(())
}

/// The variables that programs of the family look for.
fn app_knows_where(stage: &Stage<'_>, pod: &str) -> Result<()> {
    let entries = stage.journal.entries();
    let pods = entries.now(Kind::Pod);
    let env = pods[pod]["spec"]["containers"][0]["env"].as_array();
    let value = |name: &str| {
        let mut env = env.into_iter().flatten();
        env.find(|it| it["name"] == name)
            .and_then(|it| it["value"].as_str())
    };
    let host = format!("localhost:{SIDECAR_PORT}");
    for (name, expected) in [
        ("ELECTOR_PATH", host.clone()),
        ("ELECTOR_GET_URL", format!("http://{host}/")),
        ("ELECTOR_SSE_URL", format!("http://{host}/sse")),
    ] {
        ensure!(
            value(name) == Some(&expected),
            "{name} is {:?}",
            value(name)
        );
    }
    Ok(())
}

/// Server-sent events of a pod, through the API server.
struct Stream {
    lines: Lines<BufReader<ChildStdout>>,
    _kubectl: Child,
}

impl Stream {
    fn open(context: &Context<'_>, pod: &str, path: &str) -> Result<Self> {
        let namespace = &context.namespace;
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{SIDECAR_PORT}/proxy{path}");
        let mut kubectl = Command::new(context.cluster.binaries().path("kubectl"))
            .arg("--kubeconfig")
            .arg(context.cluster.kubeconfig())
            .args(["get", "--raw", &path])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = kubectl.stdout.take().context("no output")?;
        Ok(Self {
            lines: BufReader::new(output).lines(),
            _kubectl: kubectl,
        })
    }

    /// What the next event carries.
    async fn next(&mut self) -> Result<Value> {
        let next = async {
            loop {
                let line = self.lines.next_line().await?.context("the stream ended")?;
                if let Some(data) = line.strip_prefix("data:") {
                    return anyhow::Ok(serde_json::from_str(data)?);
                }
            }
        };
        let waited = timeout(Duration::from_millis(NAMED_MS), next).await;
        waited.context("no event")?
    }
}
