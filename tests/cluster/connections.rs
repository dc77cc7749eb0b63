//! What a move means for connections that are open: nobody takes them away from the old pod, which
//! is told that its role is over.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::scene::Scene;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout};

use crate::context::{Case, Context};

const GROUP: &str = "web";
const REPLICAS: usize = 3;
const MOVE_MS: u64 = 4_000;
/// Connects, says so, and sends its request once it is told to.
const CLIENT: &str = "exec 3<>/dev/tcp/$0/$1 && echo connected && read -r && \
    printf 'GET / HTTP/1.1\\r\\nHost: web\\r\\n\\r\\n' >&3 && cat <&3";

pub(crate) const CASES: &[Case] = &[Case {
    name: "moves: a connection that is open stays with the old pod, new ones do not",
    run: |context| Box::pin(open_connection(context)),
}];

async fn open_connection(context: &Context<'_>) -> Result<()> {
    let (cluster, namespace) = (context.cluster, &context.namespace);
    let manifest = Scene::example()?;
    let mut scene = Scene::open(cluster, namespace, GROUP, &manifest, REPLICAS).await?;
    let old = scene.settled().await?;
    let load = scene.load().await?;
    let before = Connection::open(context, &scene.address().await?).await?;

    let switchover = json!({"metadata": {"annotations": {"active-passive.dev/switchover": "any"}}});
    let params = PatchParams::default();
    let leases = context.api::<Lease>();
    leases
        .patch(GROUP, &params, &Patch::Merge(&switchover))
        .await?;
    let new = scene.moved_from(&old, MOVE_MS).await?;

    let answer = before.ask().await?;
    ensure!(
        answer.ends_with(&old.name),
        "{} did not answer: {answer}",
        old.name
    );
    // What kube-proxy has not learnt yet it learns in its next round.
    let served = |request: &tests::load::Request| request.body() == Some(new.as_str());
    load.until("an answer of the new pod", MOVE_MS, served)
        .await?;
    let after = Connection::open(context, &scene.address().await?).await?;
    let answer = after.ask().await?;
    ensure!(answer.ends_with(&new), "{new} did not answer: {answer}");
    Ok(())
}

/// A client in the hub's network whose connection is open and which has not asked anything yet.
struct Connection {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Connection {
    async fn open(context: &Context<'_>, address: &str) -> Result<Self> {
        let (ip, port) = address
            .rsplit_once(':')
            .context("the address has no port")?;
        let mut process = context
            .cluster
            .hub_command("bash")
            .args(["-c", CLIENT, ip, port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().context("no output")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).await?;
        ensure!(line == "connected\n", "no connection to {address}");
        Ok(Self { process, output })
    }

    /// Asks, and returns the answer when the other side has closed the connection.
    async fn ask(mut self) -> Result<String> {
        let mut input = self.process.stdin.take().context("no input")?;
        input.write_all(b"\n").await?;
        let mut answer = String::new();
        while self.output.read_line(&mut answer).await? > 0 {}
        Ok(answer.trim_end().to_owned())
    }
}
