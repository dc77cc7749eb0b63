//! A cluster as its administrator has it: client, kubectl and helm.

use std::path::{Path, PathBuf};

use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use tokio::process::Command;

use super::error::{Doing, Error, Result};
use super::{Binaries, binaries, run};

const COMMAND_DEADLINE_MS: u64 = 120_000;

/// A cluster that somebody started, by its kubeconfig.
pub struct Kube {
    client: kube::Client,
    kubeconfig: PathBuf,
    binaries: Binaries,
    /// Where helm keeps its files.
    home: PathBuf,
}

impl Kube {
    /// Uses the current context of `kubeconfig`. `home` is where helm may keep its files.
    ///
    /// # Errors
    /// If the file cannot be read or names no cluster.
    pub async fn open(kubeconfig: &Path, binaries: Binaries, home: PathBuf) -> Result<Self> {
        let action = || format!("make a client from {}", kubeconfig.display());
        let file = Kubeconfig::read_from(kubeconfig)
            .doing(action)
            .map_err(|error| error.cure("name a kubeconfig file"))?;
        let options = KubeConfigOptions::default();
        let mut config = kube::Config::from_custom_kubeconfig(file, &options)
            .await
            .doing(action)?;
        // A test says itself what it tries again.
        config.default_retry = false;
        Ok(Self {
            client: kube::Client::try_from(config).doing(action)?,
            kubeconfig: kubeconfig.into(),
            binaries,
            home,
        })
    }

    /// Uses a cluster that runs elsewhere, with the kubectl and helm of this machine.
    ///
    /// # Errors
    /// As [`Self::open`], or if kubectl or helm can neither be found nor built.
    pub async fn elsewhere(kubeconfig: &Path) -> Result<Self> {
        let home = binaries::cache()?.join("helm");
        Self::open(kubeconfig, Binaries::clients().await?, home).await
    }

    /// The same cluster as whoever holds `token` sees it. `name` becomes part of a file's.
    ///
    /// # Errors
    /// If its kubeconfig cannot be written.
    pub async fn with_token(&self, name: &str, token: &str) -> Result<Self> {
        let bearer = AuthInfo {
            token: Some(token.to_owned().into()),
            ..AuthInfo::default()
        };
        self.with_users(name, |user| *user = bearer.clone()).await
    }

    /// The same cluster as the user `name`, of one group, sees it.
    ///
    /// # Errors
    /// If its kubeconfig cannot be written.
    pub async fn with_user(&self, name: &str, group: &str) -> Result<Self> {
        let impersonate = |user: &mut AuthInfo| {
            user.impersonate = Some(name.to_owned());
            user.impersonate_groups = Some(vec![group.to_owned()]);
        };
        self.with_users(name, impersonate).await
    }

    async fn with_users(&self, name: &str, change: impl Fn(&mut AuthInfo)) -> Result<Self> {
        let path = self.home.join(format!("{name}.conf"));
        let action = || format!("write {}", path.display());
        let mut file = Kubeconfig::read_from(&self.kubeconfig).doing(action)?;
        let users = file.auth_infos.iter_mut();
        users
            .filter_map(|named| named.auth_info.as_mut())
            .for_each(change);
        // JSON is YAML, which kubectl and helm read.
        let text = serde_json::to_vec(&file).doing(action)?;
        std::fs::create_dir_all(&self.home).doing(action)?;
        std::fs::write(&path, text).doing(action)?;
        Self::open(&path, self.binaries.clone(), self.home.clone()).await
    }

    /// Client with the rights of the kubeconfig.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Its file.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Name of the current context of the file and address of its API server.
    ///
    /// # Errors
    /// If the file has no current context, or not the cluster of it.
    pub fn destination(&self) -> Result<(String, String)> {
        let action = || format!("find the current context of {}", self.kubeconfig.display());
        let file = Kubeconfig::read_from(&self.kubeconfig).doing(action)?;
        let missing =
            || Error::new(action(), "it has none").cure("kubectl config use-context NAME");
        let name = file.current_context.ok_or_else(missing)?;
        let context = file
            .contexts
            .into_iter()
            .find(|context| context.name == name);
        let cluster = context
            .and_then(|context| context.context)
            .ok_or_else(missing)?
            .cluster;
        let named = file
            .clusters
            .into_iter()
            .find(|named| named.name == cluster);
        let server = named
            .and_then(|named| named.cluster?.server)
            .ok_or_else(missing)?;
        Ok((name, server))
    }

    /// Runs kubectl and returns what it printed.
    ///
    /// # Errors
    /// If it fails, with its output.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.kubectl_with_input(args, "").await
    }

    /// Like [`Self::kubectl`], with `input` for `-f -`.
    ///
    /// # Errors
    /// If it fails, with its output.
    pub async fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(self.binaries.path("kubectl"));
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        let action = format!("run kubectl {}", args.join(" "));
        run::output_with_input(&action, command, input, COMMAND_DEADLINE_MS).await
    }

    /// Runs helm and returns what it printed.
    ///
    /// # Errors
    /// If it fails, with its output.
    pub async fn helm(&self, args: &[&str]) -> Result<String> {
        self.helm_of(&self.binaries, args).await
    }

    /// The same, with the helm of other binaries.
    ///
    /// # Errors
    /// As [`Self::helm`].
    pub async fn helm_of(&self, binaries: &Binaries, args: &[&str]) -> Result<String> {
        let mut command = Command::new(binaries.path("helm"));
        // Whatever the caller's shell says about another cluster, namespace or plugin.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("HELM_") {
                command.env_remove(variable);
            }
        }
        for (variable, folder) in [
            ("HELM_CACHE_HOME", "cache"),
            ("HELM_CONFIG_HOME", "config"),
            ("HELM_DATA_HOME", "data"),
        ] {
            command.env(variable, self.home.join(folder));
        }
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        let action = format!("run helm {}", args.join(" "));
        run::output(&action, command, COMMAND_DEADLINE_MS).await
    }

    /// What a person would look at after something in `namespace` failed: pods, warnings, logs.
    pub async fn describe(&self, namespace: &str) -> String {
        let mut text = String::new();
        let (pods, warnings) = (["get", "pods", "--no-headers"], EVENTS);
        for args in [&LOGS[..], &warnings[..], &pods[..]] {
            let args = [&["--namespace", namespace], args].concat();
            let shown = self.kubectl(&args).await;
            text.push_str(&shown.unwrap_or_else(|error| format!("{error}\n")));
        }
        text
    }
}

/// The end of the log of every container. Every pod lacks the label.
const LOGS: [&str; 7] = [
    "logs",
    "--selector=!no-such-label",
    "--all-containers",
    "--ignore-errors",
    "--prefix",
    "--max-log-requests=20",
    "--tail=3",
];
const EVENTS: [&str; 3] = ["events", "--types=Warning", "--no-headers"];
