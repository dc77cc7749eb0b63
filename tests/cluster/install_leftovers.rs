//! What `helm uninstall` leaves to groups that run, and the commands of docs/install.md that remove it.

use anyhow::{Context as _, Result, ensure};
use tests::cluster::Cluster;
use tests::project_root;
use tests::scene::SYSTEM_NAMESPACE;
use tokio::process::Command;

use crate::chart::installed;
use crate::install::is_of_the_cluster;

const PAGE: &str = "docs/install.md";
/// The last words before the commands.
const BEFORE: &str = "then delete it namespace by namespace:\n\n```sh\n";
const BLOCK_ENDS: &str = "```";
/// What stands there for a namespace of groups.
const PLACE: &str = "NAMESPACE";
/// Kinds of what a group has.
const OF_GROUPS: &str = "serviceaccounts,rolebindings,leases,clusterroles,\
                         customresourcedefinitions";

/// Runs them as somebody who copies them, with one namespace in which groups are.
pub(crate) async fn are_removed(cluster: &Cluster, namespace: &str) -> Result<()> {
    let page = std::fs::read_to_string(project_root().join(PAGE))?;
    let (_, commands) = page.split_once(BEFORE).context("no commands there")?;
    let (commands, _) = commands.split_once(BLOCK_ENDS).context("no end of them")?;
    let before = names(cluster).await?;
    let account = format!("active-passive-group-web {namespace}");
    ensure!(before.contains(&account), "nothing to remove: {before:#?}");

    let kubectl = cluster.binaries().path("kubectl");
    let folder = kubectl.parent().context("kubectl is in a folder")?;
    let path = format!("{}:{}", folder.display(), std::env::var("PATH")?);
    for line in commands.replace(PLACE, namespace).lines() {
        let output = Command::new("bash")
            .args(["-c", line])
            .env("PATH", &path)
            .env("KUBECONFIG", cluster.kubeconfig())
            .kill_on_drop(true)
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && said.is_empty(), "{line}: {said}");
    }

    let left = names(cluster).await?;
    ensure!(left.is_empty(), "left behind: {left:#?}");
    let labelled = installed(cluster).await?;
    let ours = labelled.keys().filter(|name| !is_of_the_cluster(name));
    let ours: Vec<&String> = ours.collect();
    ensure!(ours.is_empty(), "left behind: {ours:?}");
    let gone = ["get", "namespace", SYSTEM_NAMESPACE, "--ignore-not-found"];
    ensure!(cluster.kubectl(&gone).await?.is_empty(), "the namespace");
    Ok(())
}

/// Whatever is called like ours, or like a group, with its namespace.
async fn names(cluster: &Cluster) -> Result<Vec<String>> {
    let columns =
        "--output=jsonpath={range .items[*]}{.metadata.name} {.metadata.namespace}{\"\\n\"}";
    let all = ["get", OF_GROUPS, "--all-namespaces", columns];
    let all = cluster.kubectl(&all).await?;
    let ours = |name: &&str| name.contains("active-passive") || name.starts_with("web ");
    Ok(all.lines().filter(ours).map(str::to_owned).collect())
}
