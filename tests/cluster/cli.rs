//! The kubectl plugin, through a real kubectl: what people see, and how they move the role.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::observe::process;
use tests::scene::Scene;
use tokio::process::Command;

use crate::cli_outputs;
use crate::context::{Case, Context, eventually};

const GROUP: &str = "web";
const REPLICAS: usize = 3;
/// What kubectl looks for on the PATH.
const PLUGIN: &str = "kubectl-active_passive";
/// Variable that names a file: into it the plugin writes how much memory it has held, kB.
pub(crate) const PEAK: &str = "PLUGIN_PEAK";
/// How long an Event may take to be there, milliseconds.
const EVENT_MS: u64 = 10_000;
/// Exit code of what cannot be done.
const REFUSED: i32 = 3;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "cli: status tells who is active, switchover moves the role and waits for it",
        run: |context| Box::pin(switchover(context)),
    },
    Case {
        name: "cli: what cannot be done is refused with the reason, also by the leader",
        run: |context| Box::pin(refusals(context)),
    },
];

/// Another role of this program: the plugin, when it is started under its name.
pub(crate) fn divert() -> Option<ExitCode> {
    let mut args = std::env::args_os();
    let name = args.next()?;
    let named = Path::new(&name).file_name()?.to_str() == Some(PLUGIN);
    named.then(|| {
        let code = ::cli::run(std::env::args_os());
        if let Some(file) = std::env::var_os(PEAK) {
            let peak_kb = process::peak_rss_kb(std::process::id().cast_signed());
            // Without it the test that asked for it fails.
            let _written = peak_kb.map(|kb| std::fs::write(file, kb.to_string()));
        }
        code
    })
}

async fn open<'a>(context: &'a Context<'_>) -> Result<Scene<'a>> {
    let (cluster, namespace) = (context.cluster, &context.namespace);
    let manifest = Scene::example()?;
    Ok(Scene::open(cluster, namespace, GROUP, &manifest, REPLICAS).await?)
}

async fn switchover(context: &Context<'_>) -> Result<()> {
    let plugin = Plugin::new(context)?;
    let scene = open(context).await?;
    let old = scene.settled().await?;
    let status = plugin.say(&["status", GROUP]).await?;
    let active = format!("Active:     {} on {}, for ", old.name, old.node);
    ensure!(status.contains(&active), "no {active:?} in\n{status}");
    ensure!(!status.contains("Warnings"), "{status}");

    let moved = plugin.say(&["switchover", GROUP, "--wait"]).await?;
    let new = scene.settled().await?;
    ensure!(new.uid != old.uid, "the role did not move: {moved}");
    let expected = format!(
        "{} is active: role and traffic moved from {} within ",
        new.name, old.name
    );
    ensure!(moved.starts_with(&expected), "no {expected:?} in {moved}");

    let back = ["switchover", GROUP, "--to", &old.name, "--wait"];
    plugin.say(&back).await?;
    let active = scene.settled().await?;
    ensure!(active.uid == old.uid, "{active:?} instead of {old:?}");

    cli_outputs::outputs(&plugin, GROUP, &active).await?;
    let json = plugin.say(&["status", "-o", "json"]).await?;
    let json: Value = serde_json::from_str(&json)?;
    let group = &json["groups"][0];
    ensure!(group["active"] == old.name.as_str(), "{json:#}");
    ensure!(
        group["services"][0]["routes_to"] == old.name.as_str(),
        "{json:#}"
    );
    let history = group["history"].as_array().context("a history")?;
    let last: Vec<_> = history.iter().rev().take(2).collect();
    for (entry, pod) in last.iter().zip([&old.name, &new.name]) {
        ensure!(
            entry["kind"] == "switchover" && entry["pod"] == pod.as_str(),
            "{json:#}"
        );
        ensure!(entry["duration_ms"].is_u64(), "{json:#}");
    }
    // What a move leaves behind for `kubectl describe`.
    for (kind, name, reasons) in [
        ("Lease", GROUP, ["RoleMoved", "SwitchoverDone"]),
        ("Pod", &old.name, ["BecameActive", "BecamePassive"]),
        ("Pod", &new.name, ["BecameActive", "BecamePassive"]),
        ("Service", GROUP, ["TrafficMoved", "TrafficMoved"]),
    ] {
        for reason in reasons {
            let message = event(context, kind, name, reason).await?;
            println!("{kind} {name}: {reason}: {message}");
        }
    }
    plugin.end()
}

async fn refusals(context: &Context<'_>) -> Result<()> {
    let plugin = Plugin::new(context)?;
    let scene = open(context).await?;
    let active = scene.settled().await?;
    let pods = scene.pods().await?;
    let names = pods.iter().filter_map(|pod| pod.metadata.name.as_deref());
    let standby = names.into_iter().find(|name| *name != active.name);
    let standby = standby.context("a standby")?;
    let never = "active-passive.dev/priority=-1";
    context
        .kubectl(&["annotate", "pod", standby, never])
        .await?;

    let asked = ["switchover", GROUP, "--to", standby, "--wait"];
    let refused = plugin.refusal(&asked).await?;
    ensure!(refused.contains("its priority is negative"), "{refused}");
    // Past the plugin: the leader itself says no, and why.
    let asked = format!("active-passive.dev/switchover={standby}");
    context
        .kubectl(&["annotate", "lease", GROUP, &asked])
        .await?;
    let answer = event(context, "Lease", GROUP, "SwitchoverRefused").await?;
    let expected = format!("the role does not go to {standby}: its priority is negative");
    ensure!(answer == expected, "{answer}");

    missing_rights(context, &plugin).await?;
    plugin.say(&["pause", GROUP]).await?;
    let refused = plugin.refusal(&["switchover", GROUP]).await?;
    ensure!(refused.contains("paused"), "{refused}");
    plugin.say(&["resume", GROUP]).await?;
    let missing = plugin.answer(&["status", "wbe"]).await?;
    ensure!(missing.code == Some(1), "{missing:?}");
    ensure!(missing.stderr.contains("did you mean web?"), "{missing:?}");
    let settled = scene.settled().await?;
    ensure!(settled.uid == active.uid, "the role went to {settled:?}");
    plugin.end()
}

/// What a user may not see is named, and the rest is shown.
async fn missing_rights(context: &Context<'_>, plugin: &Plugin<'_>) -> Result<()> {
    let some = ["--verb=list", "--resource=leases.coordination.k8s.io,pods"];
    let role = [&["create", "role", "looker"], &some[..]].concat();
    context.kubectl(&role).await?;
    let binding = [
        "create",
        "rolebinding",
        "looker",
        "--role=looker",
        "--user=looker",
    ];
    context.kubectl(&binding).await?;
    // RBAC reaches the API server's own view a moment later.
    let seen = eventually("the right to list", EVENT_MS, async || {
        let said = plugin.answer(&["status", GROUP, "--as", "looker"]).await?;
        Ok(match said.code {
            Some(0) => Ok(said.stdout),
            _ => Err(format!("{said:?}")),
        })
    })
    .await?;
    let note = "note: you may not list services: ";
    ensure!(seen.contains("Active: ") && seen.contains(note), "{seen}");
    let nothing = plugin.answer(&["status", "--as", "stranger"]).await?;
    ensure!(nothing.code == Some(1), "{nothing:?}");
    let told = "you may not list leases";
    ensure!(nothing.stderr.contains(told), "{nothing:?}");
    Ok(())
}

/// The newest message of an Event about this object, once it is there.
async fn event(context: &Context<'_>, kind: &str, name: &str, reason: &str) -> Result<String> {
    let selector = format!(
        "--field-selector=involvedObject.kind={kind},involvedObject.name={name},reason={reason}"
    );
    let args = [
        "get",
        "events",
        &selector,
        "--output=jsonpath={.items[-1:].message}",
    ];
    let what = format!("an Event {reason} on {kind} {name}");
    eventually(&what, EVENT_MS, async || {
        let message = context.kubectl(&args).await?;
        let none = message.is_empty();
        Ok(if none {
            Err("none".to_owned())
        } else {
            Ok(message)
        })
    })
    .await
}

/// A folder on kubectl's PATH that holds the plugin.
pub(crate) struct Plugin<'a> {
    context: &'a Context<'a>,
    folder: PathBuf,
}

/// What the plugin answered.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl<'a> Plugin<'a> {
    pub(crate) fn new(context: &'a Context<'a>) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("plugin-{}", context.namespace));
        std::fs::create_dir_all(&folder)?;
        let plugin = folder.join(PLUGIN);
        // A link that a run of before has left is of another program.
        std::fs::remove_file(&plugin).ok();
        std::os::unix::fs::symlink(std::env::current_exe()?, plugin)?;
        Ok(Self { context, folder })
    }

    /// Where kubectl finds it.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whose cluster and namespace it is for.
    pub(crate) fn context(&self) -> &'a Context<'a> {
        self.context
    }

    /// Writes a file beside it, and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    pub(crate) fn end(self) -> Result<()> {
        Ok(std::fs::remove_dir_all(self.folder)?)
    }

    /// What it says; fails unless it succeeds.
    pub(crate) async fn say(&self, args: &[&str]) -> Result<String> {
        let said = self.answer(args).await?;
        ensure!(said.code == Some(0), "{args:?}: {said:?}");
        Ok(said.stdout)
    }

    /// Why it refuses.
    async fn refusal(&self, args: &[&str]) -> Result<String> {
        let said = self.answer(args).await?;
        ensure!(said.code == Some(REFUSED), "{args:?}: {said:?}");
        Ok(said.stderr)
    }

    pub(crate) async fn answer(&self, args: &[&str]) -> Result<Said> {
        let namespace = ["--namespace", &self.context.namespace];
        let words = [&["active-passive"], args, &namespace].concat();
        self.kubectl(&words).await
    }

    /// kubectl, where it finds the plugin.
    pub(crate) fn command(&self) -> Command {
        let cluster = self.context.cluster;
        let mut command = Command::new(cluster.binaries().path("kubectl"));
        command
            .env("PATH", &self.folder)
            .env("KUBECONFIG", cluster.kubeconfig())
            .kill_on_drop(true);
        command
    }

    /// What it answers.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> Result<Said> {
        let output = self.command().args(args).output().await?;
        Ok(Said {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }
}
