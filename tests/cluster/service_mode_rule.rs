//! Service mode where neither a policy nor the webhook derives selectors (`routing.rule=Sidecar`): it
//! writes them itself, and takes its keys out again.

use anyhow::{Context as _, Result, ensure};
use common::contract;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use serde_json::json;
use tests::clock;
use tests::scene;

use crate::context::{Case, Context, eventually};
use crate::fencing_cast::developer;
use crate::routing::{in_force, selector_owners};
use crate::service_mode::{DESIGNATED_MS, FOLLOWS_MS, Stage, in_service_mode};

/// Twice as long as where one write does it: here each move takes two.
const WRITTEN_MS: u64 = 2 * DESIGNATED_MS;
const SERVICE_MODE: &str = "serviceMode.enabled=true";
/// Who owns a selector that Service mode has written.
const MANAGER: &str = "active-passive-webhook";

pub(crate) const CASES: &[Case] = &[Case {
    name: "service mode: where nobody derives selectors it writes them, and takes them back",
    run: |context| Box::pin(underived(context)),
}];

async fn underived(context: &Context<'_>) -> Result<()> {
    let kube = context.cluster.kube();
    scene::install_chart(kube, &[SERVICE_MODE, "routing.rule=Sidecar"]).await?;
    let result = written(context).await;
    // Other tests need the default, however this one ended.
    let restored = scene::install_chart(kube, &[SERVICE_MODE]).await;
    result?;
    restored?;
    in_force(context, "Policy").await
}

async fn written(context: &Context<'_>) -> Result<()> {
    in_force(context, "Sidecar").await?;
    let mut stage = Stage::open(context, contract::ROLE).await?;
    // Both ways to ask, so both keys.
    let mut object = in_service_mode("web");
    object["metadata"]["annotations"][contract::COMPAT_MODE] = json!("active-standby");
    let from_ms = clock::now_ms();
    context.apply(&object).await?;
    let (active, at_ms) = stage.designated("web", None, FOLLOWS_MS).await?;
    println!("designated {} ms after it was there", at_ms - from_ms);
    points(&stage, &active).await?;
    stage.is_the_endpoint("web", &active).await?;
    let owners = selector_owners(&context.api::<Service>().get("web").await?);
    ensure!(
        owners.iter().any(|it| it == MANAGER),
        "it belongs to {owners:?}"
    );

    let deleted_ms = stage.delete(&active).await?;
    let next = stage.designated("web", Some(&active), WRITTEN_MS).await;
    let (next, at_ms) = next.context("after a deletion")?;
    println!("another one {} ms after a deletion", at_ms - deleted_ms);
    points(&stage, &next).await?;
    stage.is_the_endpoint("web", &next).await?;

    // What is in somebody's file takes the keys and the annotation away.
    let at = ["--namespace", &context.namespace, "replace", "-f", "-"];
    let developer = developer(context).await?;
    developer
        .kubectl_with_input(&at, &object.to_string())
        .await?;
    points(&stage, &next).await?;
    stage.never_two(from_ms)?;

    for key in [contract::MODE, contract::COMPAT_MODE] {
        stage.annotate("web", key, None).await?;
    }
    eventually("the owner's selector", FOLLOWS_MS, async || {
        let service = context.api::<Service>().get("web").await?;
        let selector = stage.selector("web").await?;
        let pointed = service.annotations().contains_key(contract::ACTIVE);
        Ok(if selector == json!({"app": "web"}) && !pointed {
            Ok(())
        } else {
            Err(format!("{selector}, {:?}", service.annotations()))
        })
    })
    .await
}

/// Waits until the selector has both keys, beside its owner's.
async fn points(stage: &Stage<'_>, uid: &str) -> Result<()> {
    let wanted = json!({
        "app": "web",
        contract::POD: uid,
        contract::COMPAT_DESIGNATION: "active",
    });
    eventually("a selector with both keys", WRITTEN_MS, async || {
        let selector = stage.selector("web").await?;
        Ok(if selector == wanted {
            Ok(())
        } else {
            Err(selector.to_string())
        })
    })
    .await
}
