//! Groups that are broken on purpose, and mended by what `check` says.

use anyhow::{Context as _, Result, ensure};
use common::contract;
use serde_json::{Value, json};
use tests::scene::Scene;

use crate::cli::Plugin;
use crate::cli_check::{GROUP, SEEN_MS, UNSOUND, cure, findings, finds, in_order};
use crate::context::{Context, eventually};

/// Another workload, which takes part in the group by mistake.
const OTHER: &str = "other";
/// Somebody who may look at the namespace, and at nothing else.
const SOMEBODY: &str = "somebody";

/// Paused and forgotten: a warning, which fails no script.
pub(crate) async fn paused(plugin: &Plugin<'_>) -> Result<()> {
    plugin.say(&["pause", GROUP]).await?;
    let found = finds(plugin, &["Paused"], 0).await?;
    ensure!(found[0].level == "warning", "{found:?}");
    let by = "(paused by kubectl-active-passive, ";
    ensure!(found[0].text.contains(by), "{found:?}");
    cure(plugin, &found[0], "resume").await?;
    in_order(plugin).await
}

/// A Service that selects nobody.
pub(crate) async fn served_by_nobody(context: &Context<'_>, plugin: &Plugin<'_>) -> Result<()> {
    let select = async |app: &str| {
        let patch = json!({"spec": {"selector": {"app": app}}}).to_string();
        let args = ["patch", "service", GROUP, "--patch", &patch];
        context.kubectl(&args).await
    };
    let service = context
        .kubectl(&["get", "service", GROUP, "--output=json"])
        .await?;
    let service: Value = serde_json::from_str(&service)?;
    let app = service["spec"]["selector"]["app"].as_str();
    let app = app.context("the example selects by app")?;
    select("wbe").await?;
    let found = finds(plugin, &["SelectorMatchesNoPod"], UNSOUND).await?;
    ensure!(
        found[0].text.contains("Service web serves nobody"),
        "{found:?}"
    );
    select(app).await?;
    in_order(plugin).await
}

/// Two owners on one Lease: another Deployment with the same group.
pub(crate) async fn shared(context: &Context<'_>, plugin: &Plugin<'_>) -> Result<()> {
    let manifest = Scene::example()?;
    let (deployment, _) = manifest.split_once("\n---\n").context("a Deployment")?;
    let mut deployment: Value = serde_saphyr::from_str(deployment)?;
    let annotations = |group: &str| json!({contract::INJECT: "true", contract::GROUP: group});
    deployment["metadata"]["name"] = json!(OTHER);
    deployment["spec"]["replicas"] = json!(2);
    deployment["spec"]["selector"]["matchLabels"]["app"] = json!(OTHER);
    deployment["spec"]["template"]["metadata"]["labels"]["app"] = json!(OTHER);
    deployment["spec"]["template"]["metadata"]["annotations"] = annotations(GROUP);
    context.apply(&deployment).await?;
    let found = finds(plugin, &["TwoOwners"], UNSOUND).await?;
    let shared = "Deployment/other and Deployment/web share it";
    ensure!(found[0].text.contains(shared), "{found:?}");
    let said = "give one of them a group of its own: the annotation active-passive.dev/group";
    ensure!(found[0].cure.starts_with(said), "{found:?}");
    deployment["spec"]["template"]["metadata"]["annotations"] = annotations(OTHER);
    context.apply(&deployment).await?;
    in_order(plugin).await
}

/// Sidecars of an older version than the webhook's.
pub(crate) async fn outdated(plugin: &Plugin<'_>, scene: &Scene<'_>) -> Result<()> {
    let old = format!("{}=0.0.9+00ff00ff00ff00ff", contract::INJECTED);
    let app = format!("--selector=app={GROUP}");
    let namespace = format!("--namespace={}", scene.namespace);
    let annotate = ["annotate", "pods", &app, &namespace, "--overwrite", &old];
    let said = plugin.kubectl(&annotate).await?;
    ensure!(said.code == Some(0), "{said:?}");
    let found = finds(plugin, &["Sidecars"], 0).await?;
    ensure!(found[0].text.contains("0.0.9 in 3 pods"), "{found:?}");
    cure(plugin, &found[0], "restart").await?;
    scene.settled().await?;
    in_order(plugin).await
}

/// Rights that are missing: each is named, the rest is checked, and nothing is called broken.
pub(crate) async fn by_somebody_without_rights(
    context: &Context<'_>,
    plugin: &Plugin<'_>,
) -> Result<()> {
    let user = format!("--user={SOMEBODY}");
    let bind = [
        "create",
        "rolebinding",
        SOMEBODY,
        "--clusterrole=view",
        &user,
    ];
    context.kubectl(&bind).await?;
    let unseen = ["Configuration", "Certificate", "WebhookReady", "Fencing"];
    let found = eventually("a check of who may not look", SEEN_MS, async || {
        let (found, code) = findings(plugin, &["--as", SOMEBODY]).await?;
        let told = |check: &&str| {
            let mut of_check = found.iter().filter(|it| it.check == **check);
            of_check.any(|it| it.text.starts_with("not checked: you may not "))
        };
        Ok(if code == Some(0) && unseen.iter().all(told) {
            Ok(found)
        } else {
            Err(format!("{found:#?}, exit code {code:?}"))
        })
    })
    .await?;
    let cures = found.iter().filter(|it| it.cure.contains("for that right"));
    ensure!(cures.count() == found.len(), "{found:#?}");
    let name = format!("{}-{SOMEBODY}", context.namespace);
    let grant = [
        "create",
        "clusterrolebinding",
        &name,
        "--clusterrole=cluster-admin",
        &user,
    ];
    context.cluster.kubectl(&grant).await?;
    let granted = eventually("a check of who may", SEEN_MS, async || {
        let (found, code) = findings(plugin, &["--as", SOMEBODY]).await?;
        Ok(if found.is_empty() && code == Some(0) {
            Ok(())
        } else {
            Err(format!("{found:#?}, exit code {code:?}"))
        })
    });
    let granted = granted.await;
    let revoke = ["delete", "clusterrolebinding", &name];
    context.cluster.kubectl(&revoke).await?;
    granted
}
