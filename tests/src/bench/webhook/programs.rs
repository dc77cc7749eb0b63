//! The two servers as processes of this machine.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use tokio::process::{Child, Command};

use super::client::Target;
use super::record::Server;
use crate::cluster::images::{self, Kind};
use crate::cluster::{Cluster, Doing, Error, Result};
use crate::project_root;
use crate::scene::SYSTEM_NAMESPACE;

/// The webhook's Secret, by its default name.
const SECRET: &str = "active-passive-webhook-certificate";
/// The name in its certificate: that of its Service.
const SERVICE: &str = "active-passive-webhook";
const FLOOR: &str = "tests/peer/floor";
/// Longest wait for a first answer.
const START_DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(1);

/// Both programs, and what they need.
pub(super) struct Programs<'a> {
    cluster: &'a Cluster,
    ours: PathBuf,
    floor: PathBuf,
    folder: PathBuf,
    /// A review that says that a server answers.
    request: Vec<u8>,
}

impl<'a> Programs<'a> {
    /// Compiles both.
    ///
    /// # Errors
    /// If a compiler is missing or fails.
    pub(super) async fn compile(cluster: &'a Cluster, request: Vec<u8>) -> Result<Self> {
        let folder = project_root().join("target/bench");
        fs::create_dir_all(&folder).doing(|| format!("create {}", folder.display()))?;
        Ok(Self {
            cluster,
            ours: images::program(Kind::Webhook).await?,
            floor: images::compile_go(FLOOR, "floor").await?,
            folder,
            request,
        })
    }

    /// Starts a server and waits for its first good answer. The floor serves the certificate that
    /// the webhook has made, so the webhook is started first.
    ///
    /// # Errors
    /// If it does not answer.
    pub(super) async fn start(&self, server: Server) -> Result<Running> {
        let address = free_address()?;
        let command = match server {
            Server::Ours => self.webhook(address)?,
            Server::Floor => self.floor(address),
        };
        let action = || format!("start {}", server.name());
        let log = self.folder.join(format!("{}.log", server.name()));
        let file = File::create(&log).doing(action)?;
        let mut command = Command::from(command);
        command
            .kill_on_drop(true)
            .stderr(file.try_clone().doing(action)?)
            .stdout(file);
        let began = Instant::now();
        let process = command.spawn().doing(action)?;
        let target = self
            .answering(address, began)
            .await
            .map_err(|error| error.log(&log))?;
        let pid = process.id().and_then(|pid| i32::try_from(pid).ok());
        Ok(Running {
            answer_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            pid: pid.ok_or_else(|| Error::new(action(), "it has ended"))?,
            target,
            _process: process,
        })
    }

    /// The webhook by its defaults, but for the ports: other programs of this machine may have them.
    fn webhook(&self, address: SocketAddr) -> Result<std::process::Command> {
        let mut command = std::process::Command::new(&self.ours);
        command
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .args([
                "--namespace",
                SYSTEM_NAMESPACE,
                "--sidecar-image",
                &Kind::Sidecar.name(),
            ])
            .args(["--listen", &address.to_string()])
            .args(["--admin-listen", &free_address()?.to_string()]);
        Ok(command)
    }

    fn floor(&self, address: SocketAddr) -> std::process::Command {
        let mut command = std::process::Command::new(&self.floor);
        command
            .arg(address.to_string())
            .arg(self.file("tls.crt"))
            .arg(self.file("tls.key"));
        command
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The server, once it has answered.
    async fn answering(&self, address: SocketAddr, began: Instant) -> Result<Target> {
        loop {
            let answered = match self.target(address).await {
                Ok(target) => target.ask_once(&self.request).await.map(|()| target),
                Err(error) => Err(error),
            };
            match answered {
                Ok(target) => return Ok(target),
                Err(error) if began.elapsed() > START_DEADLINE => return Err(error),
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// The server, by the certificate of the Secret.
    async fn target(&self, address: SocketAddr) -> Result<Target> {
        let authority = self.file("ca.crt");
        if !authority.exists() {
            self.keep_certificate().await?;
        }
        let authority = fs::read(&authority).doing(|| format!("read {}", authority.display()))?;
        let name = format!("{SERVICE}.{SYSTEM_NAMESPACE}.svc");
        Target::new(address, &name, &authority)
    }

    /// Writes what is in the Secret into files.
    async fn keep_certificate(&self) -> Result<()> {
        let action = || format!("read Secret {SECRET}");
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client(), SYSTEM_NAMESPACE);
        let secret = secrets.get(SECRET).await.doing(action)?;
        let data = secret.data.unwrap_or_default();
        for name in ["tls.key", "tls.crt", "ca.crt"] {
            let content = data.get(name);
            let content =
                content.ok_or_else(|| Error::new(action(), format!("no {name} in it")))?;
            fs::write(self.file(name), &content.0).doing(|| format!("write {name}"))?;
        }
        Ok(())
    }

    /// Forgets the certificate of an earlier cluster.
    pub(super) fn forget_certificate(&self) {
        for name in ["tls.key", "tls.crt", "ca.crt"] {
            // None is left of a first run.
            let _removed = fs::remove_file(Path::new(&self.file(name)));
        }
    }
}

/// A server that answers. Dropping it ends it.
pub(super) struct Running {
    /// From its start to its first answer, microseconds.
    pub(super) answer_us: u64,
    pub(super) pid: i32,
    pub(super) target: Target,
    _process: Child,
}

/// An address that nobody listens on.
fn free_address() -> Result<SocketAddr> {
    let action = || "find a free port".to_owned();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing(action)?;
    listener.local_addr().doing(action)
}
