//! Service mode under requests, while pods become not ready and ready again.

use anyhow::{Context as _, Result, ensure};
use common::contract;
use kube::ResourceExt;
use kube::api::ListParams;
use nix::sys::signal::Signal;
use tests::clock;
use tests::load::{Load, LoadOptions, Request};
use tests::observe::is_ready;

use crate::context::{Case, Context, eventually};
use crate::service_mode::{FOLLOWS_MS, Stage, in_service_mode};

/// A probe every second, of which three fail.
const PROBED_MS: u64 = 15_000;
/// How long a move may take to reach the nodes, milliseconds: kube-proxy may hold a second change back
/// for one second.
const NODES_MS: u64 = 2_000;
/// How long an open request is waited for, milliseconds.
const GIVEN_UP_MS: u64 = 300;

pub(crate) const CASES: &[Case] = &[Case {
    name: "seeds: active_standby_controller_fixed_flapping_costs_no_more_than_the_move",
    run: |context| Box::pin(flapping(context)),
}];

async fn flapping(context: &Context<'_>) -> Result<()> {
    let mut stage = Stage::open(context, contract::ROLE).await?;
    context.apply(&in_service_mode("web")).await?;
    let (active, _) = stage.designated("web", None, FOLLOWS_MS).await?;
    stage.is_the_endpoint("web", &active).await?;
    let address = address(context).await?;
    let load = Load::start(context.cluster, &LoadOptions::new(address))?;
    load.answered(None, FOLLOWS_MS).await?;
    let from_ms = clock::now_ms();

    let standby = other(context, &active).await?;
    flap(&stage, &standby).await?;
    let alone_ms = clock::now_ms();
    ensure!(
        stage.watcher.timeline().routed("web") == Some(&active),
        "a standby that flaps moved it"
    );

    let cluster = context.cluster;
    cluster.signal(&active, "app", Signal::SIGSTOP).await?;
    let moved = stage.designated("web", Some(&active), PROBED_MS).await;
    cluster.signal(&active, "app", Signal::SIGCONT).await?;
    let (_, moved_ms) = moved?;
    is(&stage, &active, true).await?;
    tokio::time::sleep(std::time::Duration::from_millis(NODES_MS)).await;
    let requests = load.stop().await?;
    // Before its first good answer the Service had just begun to lead to one pod.
    let counted = requests.iter().filter(|it| it.sent_ms >= from_ms);
    let failed: Vec<&Request> = counted.filter(|it| it.outcome.is_err()).collect();
    println!("{} of {} requests failed", failed.len(), requests.len());
    let allowed = (alone_ms - GIVEN_UP_MS)..=(moved_ms + NODES_MS);
    for request in &failed {
        ensure!(
            allowed.contains(&request.sent_ms),
            "{request:?}, allowed in {allowed:?}"
        );
    }
    ensure!(
        !failed.is_empty(),
        "an app that stood still has answered: a bad test"
    );
    stage.never_two(from_ms)
}

/// Stands still until it is not ready, and goes on until it is.
async fn flap(stage: &Stage<'_>, uid: &str) -> Result<()> {
    let cluster = stage.context.cluster;
    cluster.signal(uid, "app", Signal::SIGSTOP).await?;
    let unready = is(stage, uid, false).await;
    cluster.signal(uid, "app", Signal::SIGCONT).await?;
    unready?;
    is(stage, uid, true).await
}

/// Waits until a pod is ready, or not.
async fn is(stage: &Stage<'_>, uid: &str, ready: bool) -> Result<()> {
    eventually("the pod's readiness", PROBED_MS, async || {
        let found = is_ready(&stage.pod(uid).await?);
        Ok(if found == ready {
            Ok(())
        } else {
            Err(format!("ready: {found}"))
        })
    })
    .await
}

async fn other(context: &Context<'_>, active: &str) -> Result<String> {
    let pods = context.api::<k8s_openapi::api::core::v1::Pod>();
    let list = ListParams::default().labels("app=web");
    let pods = pods.list(&list).await?.items.into_iter();
    let mut uids = pods.filter_map(|pod| pod.uid());
    uids.find(|uid| uid != active).context("no other pod")
}

async fn address(context: &Context<'_>) -> Result<String> {
    let services = context.api::<k8s_openapi::api::core::v1::Service>();
    let spec = services.get("web").await?.spec.unwrap_or_default();
    let ip = spec.cluster_ip.context("no ClusterIP")?;
    let port = spec.ports.unwrap_or_default().first().map(|port| port.port);
    Ok(format!("{ip}:{}", port.context("no port")?))
}
