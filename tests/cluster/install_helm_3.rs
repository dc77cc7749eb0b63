//! The same life with Helm 3, which merges on its side where Helm 4 leaves it to the API server. It
//! begins with what an uninstall by Helm 4 has left.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::cluster::{Binaries, Cluster, images};
use tests::scene::{RELEASE, SYSTEM_NAMESPACE};

use crate::chart::of_the_release;
use crate::context::eventually;
use crate::install::{injects, only_what_is_kept};
use crate::policy::{ENTRIES_MS, apply, entries};

/// Objects by kind and name.
type Objects = std::collections::BTreeMap<String, Value>;

/// Installs, upgrades, rolls back and removes.
pub(crate) async fn lives(cluster: &Cluster, binaries: Binaries) -> Result<()> {
    let helm = Helm { cluster, binaries };
    helm.with_values(&["install"], &["--create-namespace"])
        .await?;
    injects(cluster).await?;
    let first = of_the_release(cluster).await?;

    helm.with_values(&["upgrade"], &[]).await?;
    same(&first, &of_the_release(cluster).await?).context("an upgrade to itself")?;

    let other = [
        "--set=webhook.failurePolicy=Ignore",
        "--set=webhook.replicas=1",
        "--set=webhook.timeoutSeconds=7",
    ];
    helm.with_values(&["upgrade"], &other).await?;
    let changed = of_the_release(cluster).await?;
    let entry = &changed["MutatingWebhookConfiguration/active-passive"]["webhooks"][0];
    ensure!(
        entry["failurePolicy"] == "Ignore" && entry["timeoutSeconds"] == 7,
        "{entry:#}"
    );
    ensure!(
        entry["clientConfig"]["caBundle"].is_string(),
        "the upgrade took the caBundle away"
    );
    let budget = "PodDisruptionBudget/active-passive-webhook";
    ensure!(!changed.contains_key(budget), "one replica has a budget");

    helm.run(&["rollback", RELEASE, "2", "--wait", "--timeout=90s"])
        .await?;
    same(&first, &of_the_release(cluster).await?).context("a rollback")?;
    injects(cluster).await?;
    switches_policies_off(&helm).await?;

    helm.run(&["uninstall", RELEASE]).await?;
    only_what_is_kept(cluster).await
}

/// What a policy needs goes with the rights that policies take.
async fn switches_policies_off(helm: &Helm<'_>) -> Result<()> {
    let cluster = helm.cluster;
    apply(cluster, &policy()).await?;
    entries(cluster, &[ENTRY], &[]).await?;
    helm.with_values(&["upgrade"], &["--set=policies.enabled=false"])
        .await?;
    eventually("no entry is left", ENTRIES_MS, async || {
        let left = entries_of(cluster).await?;
        Ok(if left.contains(ENTRY) {
            Err(left)
        } else {
            Ok(())
        })
    })
    .await?;
    cluster
        .kubectl(&["delete", "activepassivepolicy", POLICY])
        .await?;
    Ok(())
}

const POLICY: &str = "left";
const ENTRY: &str = "left.policy.active-passive.dev";

fn policy() -> Value {
    json!({
        "apiVersion": "active-passive.dev/v1alpha1",
        "kind": "ActivePassivePolicy",
        "metadata": {"name": POLICY},
        "spec": {"namespaceSelector": {"matchLabels": {"nobody": "has"}}, "inject": "Default"},
    })
}

/// Names of the entries about pods.
async fn entries_of(cluster: &Cluster) -> Result<String> {
    let names = "--output=jsonpath={.webhooks[*].name}";
    let get = [
        "get",
        "mutatingwebhookconfiguration",
        "active-passive",
        names,
    ];
    Ok(cluster.kubectl(&get).await?)
}

struct Helm<'a> {
    cluster: &'a Cluster,
    binaries: Binaries,
}

impl Helm<'_> {
    /// Runs a command that takes the chart, with the images of the project.
    async fn with_values(&self, command: &[&str], more: &[&str]) -> Result<()> {
        let chart = tests::project_root().join("charts/active-passive");
        let chart = chart.to_string_lossy();
        let mut args = [command, &[RELEASE, &chart, "--wait", "--timeout=90s"], more].concat();
        let images = images::chart_values();
        for value in &images {
            args.extend(["--set", value]);
        }
        self.run(&args).await
    }

    async fn run(&self, args: &[&str]) -> Result<()> {
        let args = [args, &["--namespace", SYSTEM_NAMESPACE]].concat();
        let kube = self.cluster.kube();
        kube.helm_of(&self.binaries, &args).await?;
        Ok(())
    }
}

fn same(before: &Objects, after: &Objects) -> Result<()> {
    for (name, object) in before {
        let now = after.get(name);
        ensure!(
            now == Some(object),
            "{name} is another:\n{object:#}\nis now\n{now:#?}"
        );
    }
    ensure!(after.len() == before.len(), "there is more than there was");
    Ok(())
}
