//! An installation that is broken on purpose, and mended by what `check` says.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use tests::scene;

use crate::cli::Plugin;
use crate::cli_check::{Found, GROUP, SEEN_MS, UNSOUND, cure, finds, in_order, system};
use crate::context::{Context, eventually};
use crate::injector_meddler::Meddler;

const WEBHOOK: &str = "deployment/active-passive-webhook";
const WEBHOOK_PODS: &str = "--selector=app.kubernetes.io/component=webhook";
/// The chart's default.
const WEBHOOK_REPLICAS: &str = "--replicas=2";
const CONFIGURATION: &str = "mutatingwebhookconfiguration/active-passive";
const SECRET: &str = "secret/active-passive-webhook-certificate";
/// One of the fencing policies, and what sidecars may.
const POLICY: &str = "validatingadmissionpolicy/sidecar-lease.active-passive.dev";
const ROLE: &str = "clusterrole/active-passive-sidecar";
/// What finds something while no webhook runs.
const DOWN: [&str; 3] = ["WebhookReady", "WebhookEndpoints", "Injection"];

/// Another webhook takes the sidecar's restartPolicy away.
pub(crate) async fn meddled_with(context: &Context<'_>, plugin: &Plugin<'_>) -> Result<()> {
    let meddler = Meddler::start(context.cluster).await?;
    // Asked last, and again after whatever changes the pod: nobody can repair what it does.
    let other = "zz-old-types";
    let namespace = &context.namespace;
    let configuration = meddler.configuration(other, "strip", true, namespace);
    context.apply(&configuration).await?;
    let found = finds(plugin, &["Injection"], UNSOUND).await;
    let listed = async {
        let found = found?;
        ensure!(found[0].text.contains("restartPolicy"), "{found:?}");
        let listed = plugin.kubectl(&found[0].command("--pre")?).await?;
        let other = "other webhooks that change pods: strip.example.com";
        ensure!(listed.stdout.contains(other), "{listed:?}");
        Ok(())
    }
    .await;
    let kind = format!("mutatingwebhookconfiguration/{other}");
    context.cluster.kubectl(&["delete", &kind]).await?;
    listed?;
    in_order(plugin).await
}

/// A policy and a cluster role are gone.
pub(crate) async fn in_parts(context: &Context<'_>, plugin: &Plugin<'_>) -> Result<()> {
    system(context, &["delete", POLICY, ROLE]).await?;
    let found = finds(plugin, &["GroupRoles", "Fencing"], UNSOUND).await;
    // What the cure says; and other tests need it, whatever was found.
    scene::install_chart(context.cluster.kube(), &[]).await?;
    for (found, (_, name)) in found?.iter().zip([ROLE, POLICY].map(split)) {
        ensure!(found.text.contains(name), "{found:?}");
        ensure!(
            found.cure.contains("`helm upgrade active-passive "),
            "{found:?}"
        );
    }
    in_order(plugin).await
}

fn split(named: &str) -> (&str, &str) {
    named.split_once('/').unwrap_or_default()
}

/// The webhook would mend the rest at once: it goes first.
pub(crate) async fn without_webhook(context: &Context<'_>, plugin: &Plugin<'_>) -> Result<()> {
    // Other tests need the webhook, whatever becomes of this one.
    let found = broken_behind_its_back(context, plugin).await;
    system(context, &["scale", WEBHOOK, WEBHOOK_REPLICAS]).await?;
    found?;
    in_order(plugin).await
}

async fn broken_behind_its_back(context: &Context<'_>, plugin: &Plugin<'_>) -> Result<()> {
    system(context, &["scale", WEBHOOK, "--replicas=0"]).await?;
    let left = ["get", WEBHOOK, "--output=jsonpath={.status.replicas}"];
    eventually("no webhook is wanted", SEEN_MS, async || {
        let left = system(context, &left).await?;
        let none = matches!(left.as_str(), "" | "0");
        Ok(if none { Ok(()) } else { Err(left) })
    })
    .await?;
    // They would serve on for a while, for whoever still has a connection.
    let away = ["delete", "pods", WEBHOOK_PODS, "--grace-period=1"];
    system(context, &away).await?;
    foreign_authority(context).await?;
    let checks = [&["Authority"], &DOWN[..]].concat();
    let found = finds(plugin, &checks, UNSOUND).await?;
    ensure!(found[1].text.contains("scaled to 0"), "{found:?}");

    without_binding(context, plugin, &checks).await?;
    let found = without_certificate(context, plugin).await?;
    // It makes its certificate and publishes its authority again by itself.
    let scaled = found.iter().find(|it| it.check == "WebhookReady");
    cure(plugin, scaled.context("the webhook")?, "scale").await
}

/// The group's account has lost its rights.
async fn without_binding(
    context: &Context<'_>,
    plugin: &Plugin<'_>,
    checks: &[&str],
) -> Result<()> {
    let binding = format!("active-passive-group-{GROUP}.sidecar");
    context
        .kubectl(&["delete", "rolebinding", &binding])
        .await?;
    let more = [checks, &["GroupRights"]].concat();
    let found = finds(plugin, &more, UNSOUND).await?;
    cure(plugin, &found[more.len() - 1], "rolebinding").await?;
    finds(plugin, checks, UNSOUND).await.map(drop)
}

/// The Secret is emptied, and then holds a certificate that has expired.
async fn without_certificate(context: &Context<'_>, plugin: &Plugin<'_>) -> Result<Vec<Found>> {
    let keys = ["ca.crt", "tls.crt", "tls.key"];
    let empty: Value = keys
        .map(|key| (key.to_owned(), json!("")))
        .into_iter()
        .collect();
    hold(context, &empty).await?;
    let checks = [&["Certificate", "Authority"], &DOWN[..]].concat();
    let found = finds(plugin, &checks, UNSOUND).await?;
    ensure!(
        found[0].text.contains("somebody has emptied it"),
        "{found:?}"
    );

    let mut expired = rcgen::CertificateParams::new(vec!["webhook".to_owned()])?;
    expired.not_before = rcgen::date_time_ymd(2020, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2020, 4, 1);
    let expired = expired.self_signed(&rcgen::KeyPair::generate()?)?.pem();
    let expired = serde_json::to_value(ByteString(expired.into_bytes()))?;
    hold(context, &json!({"tls.crt": expired, "ca.crt": expired})).await?;
    let found = finds(plugin, &checks, UNSOUND).await?;
    ensure!(found[0].text.contains("has expired"), "{found:?}");
    cure(plugin, &found[0], "delete").await?;
    Ok(found)
}

/// Changes what the webhook's Secret holds.
async fn hold(context: &Context<'_>, data: &Value) -> Result<()> {
    let patch = json!({"data": data}).to_string();
    let patch = ["patch", SECRET, "--type=merge", "--patch", &patch];
    system(context, &patch).await.map(drop)
}

/// Has API servers trust somebody else.
async fn foreign_authority(context: &Context<'_>) -> Result<()> {
    let root = ["get", "configmap", "kube-root-ca.crt", "--output=json"];
    let root: Value = serde_json::from_str(&context.kubectl(&root).await?)?;
    let root = root["data"]["ca.crt"].as_str().context("an authority")?;
    let bundle = serde_json::to_value(ByteString(root.as_bytes().to_vec()))?;
    let path = "/webhooks/0/clientConfig/caBundle";
    let patch = json!([{"op": "replace", "path": path, "value": bundle}]).to_string();
    let args = ["patch", CONFIGURATION, "--type=json", "--patch", &patch];
    context.kubectl(&args).await?;
    Ok(())
}
