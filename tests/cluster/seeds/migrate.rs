//! Manifests of other systems, run as they are with our image, then rewritten by the plugin and applied.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::journal::{Entries, Kind};
use super::stage::{SETTLED_MS, Stage, holder, label, ready_pods, text, with_our_image};
use crate::cli::Plugin;
use crate::context::{Case, Context, eventually};

/// How long a rollout of two pods may take, as kubectl takes it.
const ROLLOUT: &str = "--timeout=90s";
/// How soon after a deletion the Service leads to another pod alone, milliseconds.
const MOVED_MS: u64 = 15_000;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "seeds: migrate_apsc_elects_and_routes",
        run: |context| Box::pin(apsc(context)),
    },
    Case {
        name: "seeds: migrate_service_leader_election_elects_and_routes",
        run: |context| Box::pin(service_leader_election(context)),
    },
    Case {
        name: "seeds: migrate_leader_labeler_elects_and_routes",
        run: |context| Box::pin(leader_labeler(context)),
    },
    Case {
        name: "seeds: migrate_leader_elector_elects_and_labels",
        run: |context| Box::pin(leader_elector(context)),
    },
];

async fn apsc(context: &Context<'_>) -> Result<()> {
    let manifest = with_our_image(include_str!("apsc.yaml"), "knoppiks/apsc")?;
    let migrated = Migrated {
        deployment: "apsc-test",
        lease: "apsc-test-server",
        has_service: true,
    };
    let mut stage = migrated.play(context, &manifest).await?;
    let active = migrated.leads_to_the_holder(&stage).await?;
    stage.delete(&active).await?;
    let labelled = |entries: &Entries| {
        let pods = entries.now(Kind::Pod);
        let mut labelled = pods
            .iter()
            .filter(|(_, pod)| label(pod, "example.com/state").is_some());
        let (name, _) = labelled.next()?;
        (labelled.next().is_none() && **name != active).then_some(())
    };
    stage
        .until("another pod alone is labelled", MOVED_MS, labelled)
        .await?;
    migrated.leads_to_the_holder(&stage).await.map(drop)
}

async fn service_leader_election(context: &Context<'_>) -> Result<()> {
    let image = "paskalmaksim/service-leader-election:latest";
    let manifest = with_our_image(include_str!("service_leader_election.yaml"), image)?;
    let migrated = Migrated {
        deployment: "app",
        lease: "lockname",
        has_service: true,
    };
    let mut stage = migrated.play(context, &manifest).await?;
    let active = migrated.leads_to_the_holder(&stage).await?;
    let entries = stage.journal.entries();
    let selector = &entries.now(Kind::Service)["servicename"]["spec"]["selector"];
    let keys: Vec<&String> = selector.as_object().context("a selector")?.keys().collect();
    ensure!(
        keys == ["active-passive.dev/pod", "app", "tier"],
        "{selector}"
    );
    migrated.moves_on(&mut stage, &active).await.map(drop)
}

async fn leader_labeler(context: &Context<'_>) -> Result<()> {
    let image = "ghcr.io/middlendian/leader-labeler:latest";
    let manifest = with_our_image(include_str!("leader_labeler.yaml"), image)?;
    let migrated = Migrated {
        deployment: "my-app",
        lease: "my-app",
        has_service: true,
    };
    let mut stage = migrated.play(context, &manifest).await?;
    let active = migrated.leads_to_the_holder(&stage).await?;
    migrated
        .is_labelled(&mut stage, "my-app/is-leader", ["true", "false"])
        .await?;
    migrated.moves_on(&mut stage, &active).await?;
    migrated
        .is_labelled(&mut stage, "my-app/is-leader", ["true", "false"])
        .await
}

/// Its README has no Service, and labels only where they are asked for; under the profile they are there.
async fn leader_elector(context: &Context<'_>) -> Result<()> {
    let image = "supporttools/leader-elector:latest";
    let manifest = with_our_image(include_str!("leader_elector.yaml"), image)?;
    let migrated = Migrated {
        deployment: "myapp",
        lease: "myapp-lock",
        has_service: false,
    };
    let mut stage = migrated.play(context, &manifest).await?;
    let active = migrated.leads_to_the_holder(&stage).await?;
    migrated
        .is_labelled(&mut stage, "role", ["leader", "follower"])
        .await?;
    migrated.moves_on(&mut stage, &active).await?;
    migrated
        .is_labelled(&mut stage, "role", ["leader", "follower"])
        .await
}

/// What a manifest makes.
struct Migrated {
    deployment: &'static str,
    lease: &'static str,
    /// A Service leads to the active pod.
    has_service: bool,
}

impl Migrated {
    /// Runs it as it is, then as the plugin rewrites it, with the commands that the plugin names.
    async fn play<'a>(&self, context: &'a Context<'a>, manifest: &str) -> Result<Stage<'a>> {
        let mut stage = Stage::open(context, manifest).await?;
        let settled = |entries: &Entries| ready_pods(entries, 2).map(drop);
        stage
            .until("both pods are ready", SETTLED_MS, settled)
            .await?;
        self.leads_to_the_holder(&stage).await?;
        let commands = rewrite(context, manifest).await?;
        let (meanwhile, last) = commands.split_at(commands.len() - 1);
        shell(context, meanwhile).await?;
        let deployment = format!("deployment/{}", self.deployment);
        context
            .kubectl(&["rollout", "status", &deployment, ROLLOUT])
            .await?;
        let new = |entries: &Entries| {
            let names = ready_pods(entries, 2)?;
            let pods = entries.now(Kind::Pod);
            names
                .iter()
                .all(|name| has_our_sidecar(pods[name]))
                .then_some(())
        };
        stage.until("all pods are new", SETTLED_MS, new).await?;
        shell(context, last).await?;
        Ok(stage)
    }

    /// Deletes the active pod; returns who holds the Lease and is led to then.
    async fn moves_on(&self, stage: &mut Stage<'_>, active: &str) -> Result<String> {
        stage.delete(active).await?;
        let other = |entries: &Entries| {
            let leases = entries.now(Kind::Lease);
            let holder = holder(leases.get(self.lease)?);
            (!holder.is_empty() && holder != active).then_some(())
        };
        stage
            .until("another pod holds the Lease", MOVED_MS, other)
            .await?;
        self.leads_to_the_holder(stage).await
    }

    /// Waits until of two pods the holder has the first value of a label, and the other one the second.
    async fn is_labelled(
        &self,
        stage: &mut Stage<'_>,
        key: &str,
        [active, passive]: [&str; 2],
    ) -> Result<()> {
        let labelled = |entries: &Entries| {
            ready_pods(entries, 2)?;
            let leases = entries.now(Kind::Lease);
            let holder = holder(leases.get(self.lease)?);
            let pods = entries.now(Kind::Pod);
            let right = |(name, pod): (&&str, &&Value)| {
                let value = if *name == holder { active } else { passive };
                label(pod, key) == Some(value)
            };
            (pods.contains_key(holder) && pods.iter().all(right)).then_some(())
        };
        stage
            .until("both pods are labelled", SETTLED_MS, labelled)
            .await
    }

    /// The holder of the Lease, once all Services lead to it alone. Without a Service: once it is a pod.
    async fn leads_to_the_holder(&self, stage: &Stage<'_>) -> Result<String> {
        eventually("Services lead to the holder", SETTLED_MS, async || {
            let led = stage.led_to().await?;
            let entries = stage.journal.entries();
            let (leases, pods) = (entries.now(Kind::Lease), entries.now(Kind::Pod));
            let names: Vec<&str> = leases.keys().copied().collect();
            let holder = leases.get(self.lease).map(|lease| holder(lease));
            let led = if self.has_service {
                led
            } else {
                let pod = holder.filter(|holder| pods.contains_key(holder));
                pod.into_iter().map(str::to_owned).collect()
            };
            Ok(match (&led[..], holder) {
                ([led], Some(holder)) if led == holder && names == [self.lease] => Ok(led.clone()),
                _ => Err(format!("{led:?} of Leases {names:?}, held by {holder:?}")),
            })
        })
        .await
    }
}

fn has_our_sidecar(pod: &Value) -> bool {
    let sidecar = text(pod, "/spec/initContainers/0/name");
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    sidecar == Some("active-passive") && containers.is_some_and(|it| it.len() == 1)
}

/// Lets the plugin rewrite a manifest, and applies what came out. Returns the commands that it names.
pub(crate) async fn rewrite(context: &Context<'_>, manifest: &str) -> Result<Vec<String>> {
    let plugin = Plugin::new(context)?;
    let path = plugin.file("app.yaml", manifest)?;
    let shown = plugin.say(&["migrate", "-f", &path]).await?;
    ensure!(
        std::fs::read_to_string(&path)? == manifest,
        "it was written without --write"
    );
    let said = plugin.say(&["migrate", "-f", &path, "--write"]).await?;
    ensure!(said.starts_with("wrote "), "{said}");
    let again = plugin.say(&["migrate", "-f", &path, "--write"]).await?;
    let changes = ["wrote ", "dropped ", "added "];
    ensure!(!changes.iter().any(|it| again.contains(it)), "{again}");
    context.kubectl(&["apply", "-f", &path]).await?;
    plugin.end()?;
    Ok(commands(&shown))
}

/// The commands that a person would copy, one a step.
fn commands(said: &str) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in said.lines() {
        let command = line
            .strip_prefix("     ")
            .filter(|it| it.starts_with("kubectl "));
        if let (true, Some(last), Some(command)) = (goes_on, commands.last_mut(), command) {
            last.push_str(&format!("\n{command}"));
        } else {
            commands.extend(command.map(str::to_owned));
        }
        goes_on = command.is_some_and(|command| command.ends_with('\\'));
    }
    commands
}

/// Runs commands as a person would.
pub(crate) async fn shell(context: &Context<'_>, commands: &[String]) -> Result<()> {
    let cluster = context.cluster;
    let mut path = cluster.binaries().search_path();
    path.push(":/usr/bin:/bin");
    for command in commands {
        let output = Command::new(Path::new("/bin/sh"))
            .args(["-ec", command])
            .env("PATH", &path)
            .env("KUBECONFIG", cluster.kubeconfig())
            .kill_on_drop(true)
            .output()
            .await?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command}: {error}");
    }
    Ok(())
}
