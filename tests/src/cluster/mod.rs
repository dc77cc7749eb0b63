//! A real Kubernetes cluster on one machine, without a container engine.
//!
//! The control plane and each node live in namespaces of their own, joined by a bridge; see
//! `namespace` for what keeps them from outliving their owner. Any number of clusters may run at
//! the same time.

mod admin;
mod audit;
mod binaries;
mod cgroup;
mod containers;
mod control_plane;
mod detour;
mod enter;
mod error;
mod helper;
pub mod images;
mod keeper;
mod limits;
mod machine;
mod namespace;
mod network;
mod node;
mod packages;
mod pki;
mod ready;
mod refuse;
mod relay;
pub mod run;
mod start;
mod state;

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin};
use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::process::Command;

pub use admin::Kube;
pub use audit::{AuditEvent, AuditLog};
pub use binaries::Binaries;
pub(crate) use binaries::cache;
pub use detour::{Detour, Road, Traffic};
pub use error::{Doing, Error, Result};
pub use helper::divert;
pub use nix::sys::signal::Signal;
pub use packages::{browser as ensure_browser, ensure as ensure_packages};

use crate::progress;
use machine::Machine;
use refuse::Whose;

const STOP_DEADLINE_MS: u64 = 20_000;
const STOP_POLL_MS: u64 = 20;

/// What to start.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Number of nodes; they are named n1, n2, and so on.
    pub nodes: usize,
    /// More arguments of kube-apiserver.
    pub api_server_args: Vec<String>,
    /// More arguments of kube-controller-manager.
    pub controller_manager_args: Vec<String>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            nodes: 2,
            api_server_args: Vec::new(),
            controller_manager_args: Vec::new(),
        }
    }
}

/// A running cluster. Dropping it ends it.
pub struct Cluster {
    id: String,
    folder: PathBuf,
    kube: Kube,
    binaries: Binaries,
    hub: Machine,
    nodes: Vec<Machine>,
    api_server_arguments: Vec<String>,
    /// `None` for a cluster that another process owns.
    keeper: Option<Keeper>,
}

/// The process that ends the cluster when this end of its standard input is closed.
pub(crate) struct Keeper {
    process: Child,
    lifeline: Option<ChildStdin>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ended = self.process.wait();
    }
}

impl Cluster {
    /// Starts a cluster and waits until its nodes are ready. Binaries and system packages are
    /// found or made first. Clusters whose owner was killed are cleaned up.
    ///
    /// # Errors
    /// If a step fails; nothing is left behind then.
    pub async fn start(options: ClusterOptions) -> Result<Self> {
        packages::ensure().await?;
        let binaries = Binaries::find_or_build().await?;
        let step = progress::step("starting Kubernetes");
        let cluster = start::start(binaries, &options).await?;
        step.done();
        Ok(cluster)
    }

    /// Uses a cluster that another process started: the one with this id, or the only one.
    ///
    /// # Errors
    /// If there is no such cluster.
    pub async fn attach(id: Option<&str>) -> Result<Self> {
        start::attach(Binaries::find_or_build().await?, id).await
    }

    /// Ids of all clusters of this machine that live.
    ///
    /// # Errors
    /// If the folder for temporary files cannot be read.
    pub fn running() -> Result<Vec<String>> {
        Ok(state::find()?.alive)
    }

    /// Ends the cluster `id`, whoever owns it.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn end(id: &str) -> Result<()> {
        let folder = state::folder(id);
        let action = || format!("end cluster {id}");
        match state::is_alive(&folder) {
            None => return Err(Error::new(action(), "there is none of that name")),
            Some(false) => state::remove_dead(id)?,
            Some(true) => {
                let keeper = Pid::from_raw(state::keeper_pid(&folder)?);
                kill(keeper, Signal::SIGTERM).doing(action)?;
            }
        }
        wait_until_gone(&folder).doing(action)
    }

    /// Distinguishes the clusters of a machine.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Client, kubectl and helm of its administrator.
    #[must_use]
    pub fn kube(&self) -> &Kube {
        &self.kube
    }

    /// Administrator's kubeconfig, for this machine.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.kube.kubeconfig()
    }

    /// Administrator's client.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        self.kube.client()
    }

    /// Programs of Kubernetes.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Names of the nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(|node| node.name.as_str())
    }

    /// Folder with the log of every program and the audit log.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.join(start::LOGS)
    }

    /// The folders in which the nodes' kubelets keep the logs of pods, as
    /// `<namespace>_<pod>_<uid>/<container>/<start>.log`.
    pub fn pod_logs(&self) -> impl Iterator<Item = PathBuf> {
        self.nodes
            .iter()
            .map(|node| node.folder.join(node::POD_LOGS))
    }

    /// What the API server was asked so far and from now on.
    #[must_use]
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.logs().join(audit::FILE))
    }

    /// A command in the hub's network, from which ClusterIPs and pods can be reached.
    #[must_use]
    pub fn hub_command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.hub.command(program)
    }

    /// A helper of this executable in the hub's network.
    pub(crate) fn hub_helper(&self, name: &str) -> Command {
        // Not the link of the process itself: nsenter would start itself again.
        let mut command = self
            .hub
            .command(format!("/proc/{}/exe", std::process::id()));
        command.args(helper::arguments(name));
        command
    }

    /// A command in the network of a node.
    ///
    /// # Errors
    /// If there is no such node.
    pub fn node_command(
        &self,
        node: &str,
        program: impl AsRef<std::ffi::OsStr>,
    ) -> Result<Command> {
        Ok(self.node(node)?.1.command(program))
    }

    /// As [`Kube::kubectl`].
    ///
    /// # Errors
    /// If it fails, with its output.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.kube.kubectl(args).await
    }

    /// As [`Kube::kubectl_with_input`].
    ///
    /// # Errors
    /// If it fails, with its output.
    pub async fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<String> {
        self.kube.kubectl_with_input(args, input).await
    }

    /// Cuts a node off from everything else: a partition, its containers run on.
    ///
    /// # Errors
    /// If there is no such node.
    pub async fn cut(&self, node: &str) -> Result<()> {
        network::cut(self.hub.init, self.node(node)?.0).await
    }

    /// Ends the partition of a node: packets pass once this returns.
    ///
    /// # Errors
    /// If there is no such node.
    pub async fn heal(&self, node: &str) -> Result<()> {
        let (index, node) = self.node(node)?;
        network::heal(self.hub.init, index, node.init).await
    }

    /// Keeps the API server from all pods but those in the network of a node, for good: as where pods
    /// have an overlay network that the control plane is no part of.
    ///
    /// # Errors
    /// If the routes cannot be changed.
    pub async fn hide_pods(&self) -> Result<()> {
        network::hide_pods(self.hub.init, self.nodes.len()).await
    }

    /// Lets the API server refuse whatever comes from other machines than its own: kubelets and
    /// pods. Watches of this process go on.
    ///
    /// # Errors
    /// If the rule cannot be made.
    pub async fn refuse_api(&self) -> Result<()> {
        refuse::refuse(&self.hub, &Whose::All).await
    }

    /// Ends whatever keeps machines and pods from the API server: [`Self::refuse_api`], detours,
    /// cuts, and an API server that was stopped.
    ///
    /// # Errors
    /// If a rule cannot be taken away, or the API server does not start.
    pub async fn mend(&self) -> Result<()> {
        detour::remove(&self.hub, &self.nodes).await?;
        for node in self.nodes() {
            self.heal(node).await?;
        }
        match self.hub.processes(control_plane::API_SERVER).is_empty() {
            true => self.start_api_server().await,
            false => Ok(()),
        }
    }

    /// Makes room for load that lasts: hub and nodes forget closed connections after a second.
    ///
    /// # Errors
    /// If the setting cannot be written.
    pub async fn forget_closed_connections(&self) -> Result<()> {
        for machine in self.nodes.iter().chain([&self.hub]) {
            network::forget_closed(machine.init).await?;
        }
        Ok(())
    }

    /// Ends [`Self::refuse_api`].
    ///
    /// # Errors
    /// If the rule cannot be taken away.
    pub async fn serve_api(&self) -> Result<()> {
        refuse::serve(&self.hub).await
    }

    /// Loads an image into every node, from an OCI archive.
    ///
    /// # Errors
    /// If a node's containerd refuses it.
    pub async fn load_image(&self, archive: &Path) -> Result<()> {
        let loads = self
            .nodes
            .iter()
            .map(|node| containers::load(node, &self.binaries, archive));
        futures_util::future::try_join_all(loads).await?;
        Ok(())
    }

    /// Process ids of the running container `container` of the pod with this uid.
    ///
    /// # Errors
    /// If a node's containerd does not answer.
    pub async fn container_processes(&self, pod_uid: &str, container: &str) -> Result<Vec<i32>> {
        for node in &self.nodes {
            let pids = containers::processes(node, &self.binaries, pod_uid, container).await?;
            if !pids.is_empty() {
                return Ok(pids);
            }
        }
        Ok(Vec::new())
    }

    /// Sends a signal to every process of a container, behind the kubelet's back: SIGKILL crashes
    /// it, SIGSTOP freezes it and SIGCONT wakes it up again.
    ///
    /// # Errors
    /// If no such container runs.
    pub async fn signal(&self, pod_uid: &str, container: &str, signal: Signal) -> Result<()> {
        let action = || format!("send {signal} to container {container} of pod {pod_uid}");
        let pids = self.container_processes(pod_uid, container).await?;
        if pids.is_empty() {
            return Err(Error::new(action(), "it does not run"));
        }
        for pid in pids {
            kill(Pid::from_raw(pid), signal).doing(action)?;
        }
        Ok(())
    }

    /// Ends the API server's process at once. etcd stays.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn stop_api_server(&self) -> Result<()> {
        self.hub
            .signal(control_plane::API_SERVER, Signal::SIGKILL)?;
        ready::ended(&self.hub, control_plane::API_SERVER).await
    }

    /// Starts the API server again and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn start_api_server(&self) -> Result<()> {
        let arguments = self.api_server_arguments.clone();
        self.hub
            .start(&self.binaries, control_plane::API_SERVER, arguments)
            .await?;
        ready::api_server(&self.client(), &self.hub).await
    }

    /// Lets the cluster outlive this process; [`Self::end`] ends it.
    ///
    /// # Errors
    /// If the keeper does not listen.
    pub fn keep(mut self) -> Result<()> {
        use std::io::Write;
        let Some(mut keeper) = self.keeper.take() else {
            return Ok(());
        };
        let Some(mut lifeline) = keeper.lifeline.take() else {
            return Ok(());
        };
        writeln!(lifeline, "{}", keeper::KEEP).doing(|| "keep the cluster".into())?;
        // Its destructor would wait for the end of the cluster.
        std::mem::forget(keeper);
        Ok(())
    }

    /// Ends the cluster and everything in it, and waits until nothing of it is left.
    ///
    /// # Errors
    /// If something is left.
    pub fn stop(mut self) -> Result<()> {
        drop(self.keeper.take());
        wait_until_gone(&self.folder).doing(|| format!("end cluster {}", self.id))
    }

    fn node(&self, name: &str) -> Result<(usize, &Machine)> {
        let nodes = (1..).zip(&self.nodes);
        nodes
            .into_iter()
            .find(|(_, node)| node.name == name)
            .ok_or_else(|| {
                let names: Vec<&str> = self.nodes().collect();
                Error::new(
                    format!("find node {name}"),
                    format!("there are {}", names.join(", ")),
                )
            })
    }
}

fn wait_until_gone(folder: &Path) -> Result<(), String> {
    let start = Instant::now();
    while folder.exists() {
        if start.elapsed() > Duration::from_millis(STOP_DEADLINE_MS) {
            return Err(format!("{} is still there", folder.display()));
        }
        std::thread::sleep(Duration::from_millis(STOP_POLL_MS));
    }
    Ok(())
}
