//! The two servers as processes of this machine.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use tokio::process::{Child, Command};

use super::client::{Asked, Clients};
use super::record::Server;
use super::reviews::Review;
use crate::cluster::images::{self, Kind};
use crate::cluster::{Cluster, Doing, Error, Result};
use crate::project_root;
use crate::scene::SYSTEM_NAMESPACE;

/// The webhook's Secret, by its default name.
const SECRET: &str = "active-passive-webhook-certificate";
/// The name in its certificate: that of its Service.
const SERVICE: &str = "active-passive-webhook";
const FLOOR: &str = "tests/peer/floor";
const CLIENTS: &str = "tests/peer/reviews";
const AUTHORITY: &str = "ca.crt";
/// What is in the Secret.
const CERTIFICATE: [&str; 3] = [AUTHORITY, "tls.crt", "tls.key"];
/// Longest wait for the Secret.
const START_DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// The programs as files.
pub(super) struct Compiled {
    ours: PathBuf,
    floor: PathBuf,
    clients: PathBuf,
}

impl Compiled {
    /// Compiles them.
    ///
    /// # Errors
    /// If a compiler is missing or fails.
    pub(super) async fn new() -> Result<Self> {
        Ok(Self {
            ours: images::program(Kind::Webhook).await?,
            floor: images::compile_go(FLOOR, "floor").await?,
            clients: images::compile_go(CLIENTS, "reviews").await?,
        })
    }
}

/// The programs, and what they need.
pub(super) struct Programs<'a> {
    cluster: &'a Cluster,
    compiled: Compiled,
    folder: PathBuf,
}

impl<'a> Programs<'a> {
    /// Writes down what clients ask, and forgets the certificate of an earlier cluster.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(super) fn new(cluster: &'a Cluster, compiled: Compiled) -> Result<Self> {
        let folder = project_root().join("target/bench");
        fs::create_dir_all(&folder).doing(|| format!("create {}", folder.display()))?;
        for name in CERTIFICATE {
            // None is left of a first run.
            let _removed = fs::remove_file(folder.join(name));
        }
        for review in Review::ALL {
            let file = folder.join(review.name());
            fs::write(&file, review.request()?).doing(|| format!("write {}", file.display()))?;
        }
        Ok(Self {
            cluster,
            compiled,
            folder,
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
        let address = address.to_string();
        // Where there is a certificate already, the clients wait for the server.
        let known = self.file(AUTHORITY).exists();
        let mut clients = match known {
            true => Some(self.clients(&address, Review::Small, 1)?),
            false => None,
        };
        let began = Instant::now();
        let process = command.spawn().doing(action)?;
        let pid = process.id().and_then(|pid| i32::try_from(pid).ok());
        if !known {
            self.keep_certificate().await?;
            clients = Some(self.clients(&address, Review::Small, 1)?);
        }
        if let Some(mut clients) = clients {
            clients.first().await.map_err(|error| error.log(&log))?;
        }
        Ok(Running {
            answer_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            pid: pid.ok_or_else(|| Error::new(action(), "it has ended"))?,
            address,
            _process: process,
        })
    }

    /// So many clients, which send this review.
    ///
    /// # Errors
    /// If they do not start.
    pub(super) fn clients(&self, address: &str, review: Review, count: usize) -> Result<Clients> {
        let asked = Asked {
            program: &self.compiled.clients,
            address,
            name: &format!("{SERVICE}.{SYSTEM_NAMESPACE}.svc"),
            authority: &self.file(AUTHORITY),
            request: &self.file(review.name()),
        };
        Clients::start(&asked, count)
    }

    /// The webhook by its defaults, but for the ports: other programs of this machine may have them.
    fn webhook(&self, address: SocketAddr) -> Result<std::process::Command> {
        let mut command = std::process::Command::new(&self.compiled.ours);
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
        let mut command = std::process::Command::new(&self.compiled.floor);
        command
            .arg(address.to_string())
            .arg(self.file("tls.crt"))
            .arg(self.file("tls.key"));
        command
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes what is in the Secret into files, once the webhook has made it.
    async fn keep_certificate(&self) -> Result<()> {
        let action = || format!("read Secret {SECRET}");
        let secrets: Api<Secret> = Api::namespaced(self.cluster.client(), SYSTEM_NAMESPACE);
        let began = Instant::now();
        let data = loop {
            match secrets.get_opt(SECRET).await.doing(action)? {
                Some(secret) => break secret.data.unwrap_or_default(),
                None if began.elapsed() > START_DEADLINE => {
                    return Err(Error::new(action(), "the webhook has not made it"));
                }
                None => tokio::time::sleep(POLL).await,
            }
        };
        for name in CERTIFICATE {
            let content = data.get(name);
            let content =
                content.ok_or_else(|| Error::new(action(), format!("no {name} in it")))?;
            fs::write(self.file(name), &content.0).doing(|| format!("write {name}"))?;
        }
        Ok(())
    }
}

/// A server that answers. Dropping it ends it.
pub(super) struct Running {
    /// From its start to its first answer, microseconds.
    pub(super) answer_us: u64,
    pub(super) pid: i32,
    pub(super) address: String,
    _process: Child,
}

/// An address that nobody listens on.
fn free_address() -> Result<SocketAddr> {
    let action = || "find a free port".to_owned();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing(action)?;
    listener.local_addr().doing(action)
}
