//! `kubectl active-passive check`: what is broken on purpose is found, and its cure is one.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use tests::scene::{SYSTEM_NAMESPACE, Scene};

use crate::cli::Plugin;
use crate::context::{Case, Context, eventually};

const GROUP: &str = "web";
const REPLICAS: usize = 3;
const WEBHOOK: &str = "deployment/active-passive-webhook";
const WEBHOOK_PODS: &str = "--selector=app.kubernetes.io/component=webhook";
/// The chart's default.
const WEBHOOK_REPLICAS: &str = "--replicas=2";
const CONFIGURATION: &str = "mutatingwebhookconfiguration/active-passive";
/// How long a webhook may take until it is back and all is in order again, milliseconds.
const ORDER_MS: u64 = 30_000;
/// How long what was changed may take to be seen, milliseconds.
const SEEN_MS: u64 = 10_000;
/// Exit code of a check that has found an error.
const UNSOUND: i32 = 6;

pub(crate) const CASES: &[Case] = &[Case {
    name: "cli: check finds what is broken on purpose, and its cures work",
    run: |context| Box::pin(check(context)),
}];

async fn check(context: &Context<'_>) -> Result<()> {
    let plugin = Plugin::new(context)?;
    let (cluster, namespace) = (context.cluster, &context.namespace);
    let manifest = Scene::example()?;
    let _scene = Scene::open(cluster, namespace, GROUP, &manifest, REPLICAS).await?;
    in_order(&plugin).await?;
    paused(&plugin).await?;
    served_by_nobody(context, &plugin).await?;
    // Other tests need the webhook, whatever becomes of this one.
    let found = without_webhook(context, &plugin).await;
    system(context, &["scale", WEBHOOK, WEBHOOK_REPLICAS]).await?;
    found?;
    in_order(&plugin).await?;
    plugin.end()
}

/// kubectl where the webhook is.
async fn system(context: &Context<'_>, args: &[&str]) -> Result<String> {
    let args = [&["--namespace", SYSTEM_NAMESPACE], args].concat();
    Ok(context.cluster.kubectl(&args).await?)
}

/// A finding that is not ok.
#[derive(Debug)]
struct Found {
    level: String,
    check: String,
    text: String,
    cure: String,
}

impl Found {
    /// The first command that its cure names, without `kubectl`.
    fn command(&self) -> Result<Vec<&str>> {
        let mut commands = self.cure.split('`').skip(1).step_by(2);
        let command = commands.find_map(|it| it.strip_prefix("kubectl "));
        let command = command.with_context(|| format!("no command in {self:?}"))?;
        Ok(command.split(' ').collect())
    }
}

/// What a check says, and how it ends.
async fn findings(plugin: &Plugin<'_>) -> Result<(Vec<Found>, Option<i32>)> {
    let said = plugin.answer(&["check", "-o", "json"]).await?;
    let report: Value =
        serde_json::from_str(&said.stdout).with_context(|| format!("no report: {said:?}"))?;
    let sections = report["sections"].as_array().context("sections")?;
    let findings = sections.iter().flat_map(|it| it["findings"].as_array());
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let found = findings
        .flatten()
        .filter(|finding| finding["level"] != "ok")
        .map(|finding| Found {
            level: text(finding, "level"),
            check: text(finding, "check"),
            text: text(finding, "text"),
            cure: text(finding, "cure"),
        });
    Ok((found.collect(), said.code))
}

/// Waits until nothing is found.
async fn in_order(plugin: &Plugin<'_>) -> Result<()> {
    eventually("a check without findings", ORDER_MS, async || {
        let (found, code) = findings(plugin).await?;
        Ok(match (found.as_slice(), code) {
            ([], Some(0)) => Ok(()),
            _ => Err(format!("{found:#?}, exit code {code:?}")),
        })
    })
    .await
}

/// Waits until these checks and no others have found something, with this exit code.
async fn finds(plugin: &Plugin<'_>, checks: &[&str], code: i32) -> Result<Vec<Found>> {
    eventually(&format!("{checks:?}"), SEEN_MS, async || {
        let (found, ended) = findings(plugin).await?;
        let named: Vec<&str> = found.iter().map(|it| it.check.as_str()).collect();
        let fits = named == checks && ended == Some(code);
        Ok(if fits {
            Ok(found)
        } else {
            Err(format!("{found:#?}, exit code {ended:?}"))
        })
    })
    .await
}

async fn cure(plugin: &Plugin<'_>, found: &Found) -> Result<()> {
    let said = plugin.kubectl(&found.command()?).await?;
    ensure!(said.code == Some(0), "{}: {said:?}", found.cure);
    Ok(())
}

/// A warning, which fails no script.
async fn paused(plugin: &Plugin<'_>) -> Result<()> {
    plugin.say(&["pause", GROUP]).await?;
    let found = finds(plugin, &["Paused"], 0).await?;
    ensure!(found[0].level == "warning", "{found:?}");
    let by = "(paused by kubectl-active-passive, ";
    ensure!(found[0].text.contains(by), "{found:?}");
    cure(plugin, &found[0]).await?;
    in_order(plugin).await
}

async fn served_by_nobody(context: &Context<'_>, plugin: &Plugin<'_>) -> Result<()> {
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

/// The webhook would mend the rest at once: it goes first.
async fn without_webhook(context: &Context<'_>, plugin: &Plugin<'_>) -> Result<()> {
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
    let checks = ["Authority", "WebhookReady", "WebhookEndpoints", "Injection"];
    let found = finds(plugin, &checks, UNSOUND).await?;
    ensure!(found[1].text.contains("scaled to 0"), "{found:?}");

    let binding = "active-passive-group-web.sidecar";
    context.kubectl(&["delete", "rolebinding", binding]).await?;
    let more = [&checks[..], &["GroupRights"]].concat();
    let found = finds(plugin, &more, UNSOUND).await?;
    cure(plugin, &found[4]).await?;
    finds(plugin, &checks, UNSOUND).await?;
    // It publishes its authority again by itself.
    cure(plugin, &found[1]).await
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
