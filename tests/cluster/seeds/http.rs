//! What contrib's elector and those like it answer by HTTP.

use anyhow::Result;
use common::contract::SIDECAR_PORT;
use serde_json::{Value, json};
use tests::scene::Scene;

use super::journal::{Entries, Kind};
use super::stage::{SETTLED_MS, Stage, label, ready_pods};
use crate::context::{Case, Context, eventually};

const ROLE: &str = "active-passive.dev/role";
/// How soon standbys name the new leader, milliseconds.
const NAMED_MS: u64 = 5_000;

pub(crate) const CASES: &[Case] = &[Case {
    name: "seeds: http_name_of_the_leader_is_fresh_on_standbys",
    run: |context| Box::pin(name_of_the_leader(context)),
}];

async fn name_of_the_leader(context: &Context<'_>) -> Result<()> {
    let mut stage = Stage::open(context, &Scene::example()?).await?;
    let active = |entries: &Entries| {
        let pods = entries.now(Kind::Pod);
        let mut active = pods
            .iter()
            .filter(|(_, pod)| label(pod, ROLE) == Some("active"));
        active.next().map(|(name, _)| (*name).to_owned())
    };
    let settled = |entries: &Entries| {
        let pods = ready_pods(entries, 3)?;
        let pods: Vec<String> = pods.into_iter().map(str::to_owned).collect();
        Some((active(entries)?, pods))
    };
    let (old, pods) = stage
        .until("three pods are ready", SETTLED_MS, settled)
        .await?;
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
