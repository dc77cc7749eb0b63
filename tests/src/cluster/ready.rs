//! Waits for what the cluster becomes ready by. A program that ends meanwhile ends the wait.

use std::future::Future;
use std::time::Duration;

use futures_util::TryStreamExt;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{Api, WatchEvent, WatchParams};
use tokio::time::{sleep, timeout};

use super::control_plane::{API_SERVER, CONTROLLERS, PROXY};
use super::error::{Error, Result};
use super::machine::Machine;
use super::network::API_SERVICE_ADDRESS;
use super::node::KUBELET;
use super::run;

const DEADLINE_MS: u64 = 60_000;
const RETRY_MS: u64 = 50;
const REQUEST_MS: u64 = 5_000;
/// How often a program is looked at while it is waited for.
const ALIVE_MS: u64 = 300;
/// How often in a row it must be missed to be taken for dead.
const ALIVE_MISSED: u32 = 3;

/// Until the API server says that it is ready.
pub(crate) async fn api_server(client: &kube::Client, hub: &Machine) -> Result<()> {
    let ready = until(async || {
        let request = http::Request::get("/readyz").body(Vec::new());
        let Ok(request) = request else { return false };
        let answer = client.request_text(request).await;
        answer.is_ok_and(|answer| answer == "ok")
    });
    while_alive(hub, API_SERVER, "it does not become ready", ready).await
}

/// Until the API server's own ClusterIP has been written into the rules of a machine.
pub(crate) async fn proxy(machine: &Machine) -> Result<()> {
    let ready = until(async || {
        let mut nft = machine.command("nft");
        nft.args(["list", "table", "ip", "kube-proxy"]);
        let rules = run::output("list the rules of kube-proxy", nft, REQUEST_MS).await;
        rules.is_ok_and(|rules| rules.contains(API_SERVICE_ADDRESS))
    });
    while_alive(machine, PROXY, "it writes no rules", ready).await
}

/// Until the namespace `default` can take pods.
pub(crate) async fn default_account(client: &kube::Client, hub: &Machine) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let ready = until(async || {
        let account = accounts.get_opt("default").await;
        account.is_ok_and(|account| account.is_some())
    });
    let cause = "it does not create the default service account";
    while_alive(hub, CONTROLLERS, cause, ready).await
}

/// Until a node says that it is ready.
pub(crate) async fn node(client: &kube::Client, machine: &Machine) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let only = WatchParams::default().fields(&format!("metadata.name={}", machine.name));
    let ready = async {
        let events = nodes
            .watch(&only, "0")
            .await
            .map_err(|error| error.to_string())?;
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.try_next().await.map_err(|error| error.to_string())? {
            if let WatchEvent::Added(node) | WatchEvent::Modified(node) = event
                && is_ready(&node)
            {
                return Ok(());
            }
        }
        Err("the watch ended".to_string())
    };
    while_alive(machine, KUBELET, "its node does not become ready", ready).await
}

/// Until no process of `program` is left.
pub(crate) async fn ended(machine: &Machine, program: &str) -> Result<()> {
    let ended = async {
        while !machine.processes(program).is_empty() {
            sleep(Duration::from_millis(RETRY_MS)).await;
        }
    };
    timeout(Duration::from_millis(DEADLINE_MS), ended)
        .await
        .map_err(|_| Error::new(format!("end {program}"), "it does not end"))
}

fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|one| one.type_ == "Ready" && one.status == "True")
}

/// Waits for `ready`, as long as `program` lives.
async fn while_alive(
    machine: &Machine,
    program: &str,
    cause: &str,
    ready: impl Future<Output = Result<(), String>>,
) -> Result<()> {
    let dead = async {
        // A process that has just been started has no name for an instant.
        let mut missed = 0;
        while missed < ALIVE_MISSED {
            sleep(Duration::from_millis(ALIVE_MS)).await;
            let alive = !machine.processes(program).is_empty();
            missed = if alive { 0 } else { missed + 1 };
        }
    };
    tokio::select! {
        biased;
        ended = timeout(Duration::from_millis(DEADLINE_MS), ready) => match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(machine.failure(program, &format!("{cause}: {error}"))),
            Err(_) => Err(machine.failure(program, cause)),
        },
        () = dead => Err(machine.failure(program, cause)),
    }
}

/// Asks until the answer is yes. For what sends no event.
async fn until<F: Future<Output = bool>>(ask: impl Fn() -> F) -> Result<(), String> {
    while !timeout(Duration::from_millis(REQUEST_MS), ask())
        .await
        .unwrap_or(false)
    {
        sleep(Duration::from_millis(RETRY_MS)).await;
    }
    Ok(())
}
