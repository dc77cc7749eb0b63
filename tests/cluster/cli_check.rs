//! `kubectl active-passive check`: what is broken on purpose is found, and its cure is one.
//!
//! Twelve things are broken, one after the other: those of groups in `cli_check_groups`, those of the
//! installation in `cli_check_installation`. After each all is in order again.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::scene::{SYSTEM_NAMESPACE, Scene};

use crate::cli::Plugin;
use crate::context::{Case, Context, eventually};
use crate::{cli_check_groups as groups, cli_check_installation as installation};

pub(crate) const GROUP: &str = "web";
const REPLICAS: usize = 3;
/// How long a webhook may take until it is back and all is in order again, milliseconds.
const ORDER_MS: u64 = 30_000;
/// How long what was changed may take to be seen, milliseconds.
pub(crate) const SEEN_MS: u64 = 10_000;
/// Exit code of a check that has found an error.
pub(crate) const UNSOUND: i32 = 6;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "cli: check finds what is wrong with groups, and its cures work",
        run: |context| Box::pin(broken_groups(context)),
    },
    Case {
        name: "cli: check finds what is wrong with the installation, and its cures work",
        run: |context| Box::pin(broken_installation(context)),
    },
];

async fn open<'a>(context: &'a Context<'_>) -> Result<Scene<'a>> {
    let (cluster, namespace) = (context.cluster, &context.namespace);
    let manifest = Scene::example()?;
    Ok(Scene::open(cluster, namespace, GROUP, &manifest, REPLICAS).await?)
}

async fn broken_groups(context: &Context<'_>) -> Result<()> {
    let plugin = Plugin::new(context)?;
    let scene = open(context).await?;
    in_order(&plugin).await?;
    groups::paused(&plugin).await?;
    groups::served_by_nobody(context, &plugin).await?;
    groups::shared(context, &plugin).await?;
    groups::outdated(&plugin, &scene).await?;
    groups::by_somebody_without_rights(context, &plugin).await?;
    plugin.end()
}

async fn broken_installation(context: &Context<'_>) -> Result<()> {
    let plugin = Plugin::new(context)?;
    let _scene = open(context).await?;
    in_order(&plugin).await?;
    installation::meddled_with(context, &plugin).await?;
    installation::in_parts(context, &plugin).await?;
    installation::without_webhook(context, &plugin).await?;
    plugin.end()
}

/// kubectl where the webhook is.
pub(crate) async fn system(context: &Context<'_>, args: &[&str]) -> Result<String> {
    let args = [&["--namespace", SYSTEM_NAMESPACE], args].concat();
    Ok(context.cluster.kubectl(&args).await?)
}

/// A finding that is not ok.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) level: String,
    pub(crate) check: String,
    pub(crate) text: String,
    pub(crate) cure: String,
}

impl Found {
    /// The first command of its cure that has this word in it, without `kubectl`.
    pub(crate) fn command(&self, word: &str) -> Result<Vec<&str>> {
        let commands = self.cure.split('`').skip(1).step_by(2);
        let mut commands = commands.filter_map(|it| it.strip_prefix("kubectl "));
        let command = commands.find(|it| it.split(' ').any(|part| part == word));
        let command = command.with_context(|| format!("no command {word} in {self:?}"))?;
        Ok(command.split(' ').collect())
    }
}

/// What a check says, and how it ends.
pub(crate) async fn findings(
    plugin: &Plugin<'_>,
    args: &[&str],
) -> Result<(Vec<Found>, Option<i32>)> {
    let said = plugin
        .answer(&[&["check", "-o", "json"], args].concat())
        .await?;
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
pub(crate) async fn in_order(plugin: &Plugin<'_>) -> Result<()> {
    eventually("a check without findings", ORDER_MS, async || {
        let (found, code) = findings(plugin, &[]).await?;
        Ok(match (found.as_slice(), code) {
            ([], Some(0)) => Ok(()),
            _ => Err(format!("{found:#?}, exit code {code:?}")),
        })
    })
    .await
}

/// Waits until these checks and no others have found something, with this exit code.
pub(crate) async fn finds(plugin: &Plugin<'_>, checks: &[&str], code: i32) -> Result<Vec<Found>> {
    eventually(&format!("{checks:?}"), SEEN_MS, async || {
        let (found, ended) = findings(plugin, &[]).await?;
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

/// Does what a finding says: its command with this word.
pub(crate) async fn cure(plugin: &Plugin<'_>, found: &Found, word: &str) -> Result<()> {
    let said = plugin.kubectl(&found.command(word)?).await?;
    ensure!(said.code == Some(0), "{}: {said:?}", found.cure);
    Ok(())
}
