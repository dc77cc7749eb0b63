//! Service mode when the node of the replica that acts is cut off: Services point where they pointed, and
//! the other replica takes over.

use anyhow::{Context as _, Result, ensure};
use common::contract;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use tests::clock;
use tests::scene::SYSTEM_NAMESPACE;

use crate::context::{Case, Context, eventually};
use crate::service_mode::{
    DESIGNATED_MS, FOLLOWS_MS, Stage, TAKEN_OVER_MS, acting, in_service_mode,
};

pub(crate) const CASES: &[Case] = &[Case {
    name: "service mode: the node of the replica that acts is cut off, and traffic flows on",
    run: |context| Box::pin(cut_off(context)),
}];

async fn cut_off(context: &Context<'_>) -> Result<()> {
    let mut stage = Stage::open(context, contract::ROLE).await?;
    context.apply(&in_service_mode("web")).await?;
    let (active, from_ms) = stage.designated("web", None, FOLLOWS_MS).await?;
    let (name, replica) = acting(context).await?;
    let replicas: Api<Pod> = Api::namespaced(context.cluster.client(), SYSTEM_NAMESPACE);
    let node = node_of(&replicas.get(&name).await?)?;
    // Traffic is to a pod that the cut leaves alone.
    let active = if node_of(&stage.pod(&active).await?)? == node {
        stage.delete(&active).await?;
        let next = stage
            .designated("web", Some(&active), DESIGNATED_MS)
            .await?;
        next.0
    } else {
        active
    };
    ensure!(
        node_of(&stage.pod(&active).await?)? != node,
        "both pods run on {node}"
    );
    context.cluster.cut(&node).await?;
    let cut_ms = clock::now_ms();
    let followed = another_acts(&mut stage, &replica, &active).await;
    context.cluster.heal(&node).await?;
    println!(
        "another replica has acted {} ms after the cut",
        followed? - cut_ms
    );
    let moves = stage.watcher.timeline().moves("web", cut_ms);
    ensure!(
        moves == 0,
        "{moves} moves while a replica's node was cut off"
    );
    stage.never_two(from_ms)
}

/// Waits until another replica than this one acts: it points a Service that is new at the same pod.
/// Returns when it has.
async fn another_acts(stage: &mut Stage<'_>, replica: &str, active: &str) -> Result<u64> {
    let context = stage.context;
    eventually("another replica acts", TAKEN_OVER_MS, async || {
        let (name, uid) = acting(context).await?;
        Ok(if uid == replica { Err(name) } else { Ok(()) })
    })
    .await?;
    context.apply(&in_service_mode("late")).await?;
    let (uid, at_ms) = stage.designated("late", None, DESIGNATED_MS).await?;
    ensure!(uid == active, "{uid} beside {active}");
    Ok(at_ms)
}

fn node_of(pod: &Pod) -> Result<String> {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    node.context("a pod without node")
}
