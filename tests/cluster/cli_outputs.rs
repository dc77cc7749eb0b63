//! What the plugin says of a group as text, as data and as a picture.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::scene::Active;

use crate::cli::Plugin;

/// Moves that the group has behind it, its first one among them.
const MOVES: usize = 3;

/// All of them, of a group whose active pod is this one.
pub(crate) async fn outputs(plugin: &Plugin<'_>, group: &str, active: &Active) -> Result<()> {
    status(plugin, group, active).await?;
    history(plugin, group, active).await?;

    let explained = plugin.say(&["explain", &active.name]).await?;
    let first = explained.lines().next().context("a line")?;
    ensure!(first == format!("Pod/{}", active.name), "{explained}");
    let rule = format!(": the template of ReplicaSet/{group}-");
    let version = env!("CARGO_PKG_VERSION");
    let has = format!("  has the sidecar, version {version}");
    let told = explained.contains(&has) && explained.contains(&rule);
    ensure!(
        told && explained.contains("has everything already"),
        "{explained}"
    );

    let versions = plugin.say(&["version"]).await?;
    let lines: Vec<&str> = versions.lines().collect();
    let client = format!("client    {version}");
    ensure!(lines.len() == 3 && lines[0] == client, "{versions}");
    let versions = plugin.say(&["version", "-o", "json"]).await?;
    let versions: Value = serde_json::from_str(&versions)?;
    ensure!(versions["webhook"] == version, "{versions}");
    ensure!(
        versions["sidecars"][version].as_u64() > Some(0),
        "{versions}"
    );
    Ok(())
}

async fn status(plugin: &Plugin<'_>, group: &str, active: &Active) -> Result<()> {
    // As a flag of kubectl's, a number without a unit is one of seconds.
    let name = plugin
        .say(&["status", "-o", "name", "--request-timeout=5"])
        .await?;
    ensure!(
        name == format!("lease.coordination.k8s.io/{group}\n"),
        "{name:?}"
    );
    let wide = plugin.say(&["status", "-o", "wide"]).await?;
    let mut lines = wide.lines();
    let titles = lines.next().context("titles")?;
    let line = lines.next().context("a line")?;
    for title in ["NODE", "OWNER", "SERVICES"] {
        ensure!(titles.contains(title), "{wide}");
    }
    let owner = format!("Deployment/{group}");
    let [name, node] = [&active.name, &active.node];
    for part in [group, name.as_str(), node.as_str(), owner.as_str()] {
        ensure!(line.contains(part), "no {part} in\n{wide}");
    }
    let yaml = plugin.say(&["status", group, "-o", "yaml"]).await?;
    let yaml: Value = serde_saphyr::from_str(&yaml)?;
    ensure!(yaml["active"] == name.as_str(), "{yaml:#}");
    ensure!(
        yaml["pods"].as_array().is_some_and(|it| it.len() > 1),
        "{yaml:#}"
    );
    Ok(())
}

async fn history(plugin: &Plugin<'_>, group: &str, active: &Active) -> Result<()> {
    let text = plugin.say(&["history", group]).await?;
    let lines: Vec<&str> = text.lines().collect();
    let newest = lines.get(1).context("a move")?;
    ensure!(lines.len() == MOVES + 1, "{text}");
    ensure!(
        newest.contains(&active.name) && newest.contains("switchover"),
        "{text}"
    );
    let json = plugin.say(&["history", group, "-o", "json"]).await?;
    let json: Value = serde_json::from_str(&json)?;
    ensure!(json[MOVES - 1]["pod"] == active.name.as_str(), "{json:#}");
    let file = plugin.folder().join("moves.svg");
    let drawn = ["history", group, "--svg", &file.to_string_lossy()];
    let said = plugin.say(&drawn).await?;
    ensure!(said.starts_with("3 moves are drawn in "), "{said}");
    let svg = std::fs::read_to_string(&file)?;
    ensure!(
        svg.starts_with("<svg") && svg.contains(&active.name),
        "{svg}"
    );
    Ok(())
}
