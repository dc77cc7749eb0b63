//! Waits for what the cluster becomes ready by.

use std::future::Future;
use std::time::Duration;

use futures_util::TryStreamExt;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{Api, WatchEvent, WatchParams};
use tokio::time::{sleep, timeout};

use super::control_plane::{API_SERVER, PROXY};
use super::error::{Error, Result};
use super::machine::Machine;
use super::network::API_SERVICE_ADDRESS;
use super::run;

const DEADLINE_MS: u64 = 60_000;
const RETRY_MS: u64 = 50;
const REQUEST_MS: u64 = 5_000;

/// Until the API server says that it is ready.
pub(crate) async fn api_server(client: &kube::Client, hub: &Machine) -> Result<()> {
    let ask = async || {
        let request = http::Request::get("/readyz").body(Vec::new());
        let Ok(request) = request else { return false };
        client
            .request_text(request)
            .await
            .is_ok_and(|answer| answer == "ok")
    };
    until(ask, || hub.failure(API_SERVER, "it does not become ready")).await
}

/// Until the API server's own ClusterIP has been written into the rules of a machine.
pub(crate) async fn proxy(machine: &Machine) -> Result<()> {
    let ask = async || {
        let mut nft = machine.command("nft");
        nft.args(["list", "table", "ip", "kube-proxy"]);
        let rules = run::output("list the rules of kube-proxy", nft, REQUEST_MS).await;
        rules.is_ok_and(|rules| rules.contains(API_SERVICE_ADDRESS))
    };
    until(ask, || machine.failure(PROXY, "it writes no rules")).await
}

/// Until no process of `program` is left.
pub(crate) async fn ended(machine: &Machine, program: &str) -> Result<()> {
    let ask = async || machine.processes(program).is_empty();
    until(ask, || {
        Error::new(format!("end {program}"), "it does not end")
    })
    .await
}

/// Until the namespace `default` can take pods.
pub(crate) async fn default_account(client: &kube::Client, hub: &Machine) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let ask = async || {
        accounts
            .get_opt("default")
            .await
            .is_ok_and(|account| account.is_some())
    };
    let name = "kube-controller-manager";
    until(ask, || {
        hub.failure(name, "it does not create the default service account")
    })
    .await
}

/// Until every node says that it is ready.
pub(crate) async fn nodes(client: &kube::Client, nodes: &[Machine]) -> Result<()> {
    let mut missing: Vec<&Machine> = nodes.iter().collect();
    let watch = async {
        let api: Api<Node> = Api::all(client.clone());
        let events = api.watch(&WatchParams::default(), "0").await?;
        let mut events = std::pin::pin!(events);
        while !missing.is_empty() {
            let Some(event) = events.try_next().await? else {
                break;
            };
            let (WatchEvent::Added(node) | WatchEvent::Modified(node)) = event else {
                continue;
            };
            missing.retain(|machine| {
                let named = node.metadata.name.as_deref() == Some(machine.name.as_str());
                !(named && is_ready(&node))
            });
        }
        Ok::<_, kube::Error>(())
    };
    let watched = timeout(Duration::from_millis(DEADLINE_MS), watch).await;
    let cause = match watched {
        Ok(Ok(())) => "the watch ended before it was ready".to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it is not ready after {DEADLINE_MS} ms"),
    };
    missing
        .first()
        .map_or(Ok(()), |machine| Err(machine.failure("kubelet", &cause)))
}

fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .iter()
        .filter_map(|status| status.conditions.as_ref())
        .flatten();
    conditions
        .into_iter()
        .any(|one| one.type_ == "Ready" && one.status == "True")
}

/// Asks until the answer is yes. For what sends no event.
async fn until<F: Future<Output = bool>>(
    ask: impl Fn() -> F,
    failure: impl FnOnce() -> Error,
) -> Result<()> {
    let asking = async {
        while !timeout(Duration::from_millis(REQUEST_MS), ask())
            .await
            .unwrap_or(false)
        {
            sleep(Duration::from_millis(RETRY_MS)).await;
        }
    };
    timeout(Duration::from_millis(DEADLINE_MS), asking)
        .await
        .map_err(|_| failure())
}
