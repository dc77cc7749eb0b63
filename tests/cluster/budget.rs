//! A disruption budget that selects the active pod alone: nobody may evict it, and it is not told that
//! somebody tries. A switchover lets it go.

use anyhow::{Result, ensure};
use serde_json::json;
use tests::scene::{Active, Scene};

use crate::context::{Answer, Case, Context, eventually};

const GROUP: &str = "web";
const REPLICAS: usize = 3;
/// How long the control plane may take to count the pods of a new budget, milliseconds.
const COUNTED_MS: u64 = 10_000;
const MOVE_MS: u64 = 5_000;
const GONE_MS: u64 = 20_000;
/// What an eviction is told that a budget forbids.
const FORBIDDEN: &str = "would violate the pod's disruption budget";

pub(crate) const CASES: &[Case] = &[Case {
    name: "moves: a budget for the active pod forbids its eviction until a switchover",
    run: |context| Box::pin(forbidden(context)),
}];

async fn forbidden(context: &Context<'_>) -> Result<()> {
    let (cluster, namespace) = (context.cluster, &context.namespace);
    let manifest = Scene::example()?;
    let mut scene = Scene::open(cluster, namespace, GROUP, &manifest, REPLICAS).await?;
    let old = scene.settled().await?;
    let role = json!({"app": GROUP, "active-passive.dev/role": "active"});
    context
        .apply(&json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": GROUP},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": role}},
        }))
        .await?;
    eventually("the budget forbids the eviction", COUNTED_MS, async || {
        let answer = evict(context, &old).await?;
        // A pod that went all the same shows in what follows.
        let forbidden = !answer.succeeded && answer.stderr.contains(FORBIDDEN);
        Ok(if forbidden {
            Ok(())
        } else {
            Err(answer.stderr)
        })
    })
    .await?;
    let still = scene.settled().await?;
    ensure!(
        still.uid == old.uid,
        "{still:?} is active instead of {old:?}"
    );

    let switchover = "active-passive.dev/switchover=any";
    context
        .kubectl(&["annotate", "lease", GROUP, switchover])
        .await?;
    scene.moved_from(&old, MOVE_MS).await?;
    scene.stripped(&old, MOVE_MS).await?;
    eventually("the old pod may go", COUNTED_MS, async || {
        let answer = evict(context, &old).await?;
        Ok(if answer.succeeded {
            Ok(())
        } else {
            Err(answer.stderr)
        })
    })
    .await?;
    Ok(scene.gone(&old, GONE_MS).await?)
}

/// Asks for the eviction of a pod, as `kubectl drain` does.
async fn evict(context: &Context<'_>, pod: &Active) -> Result<Answer> {
    let path = format!(
        "/api/v1/namespaces/{}/pods/{}/eviction",
        context.namespace, pod.name
    );
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": context.namespace},
    });
    let args = ["create", "--raw", &path, "-f", "-"];
    context.kubectl_answer(&args, &eviction.to_string()).await
}
