//! The program itself, on the loopback device, and clients of it.

use crate::fake_api::FakeApi;
use crate::resident::anonymous_kb;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use std::fs::File;
use std::io::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const SECRET: &str = "/api/v1/namespaces/ns/secrets/active-passive-webhook-certificate";
pub(crate) const REVIEW: &str = include_str!("../../testdata/review-pod.json");
/// Whoever is hostile, and the API server, which comes from elsewhere.
pub(crate) const HOSTILE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
pub(crate) const API_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// How long an API server waits for a webhook, by the chart.
pub(crate) const HONEST: Duration = Duration::from_secs(5);
/// After this, something hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(60);

/// The program, with an API server that holds its Secret.
pub(crate) struct Hook {
    process: Child,
    address: SocketAddr,
    admin: SocketAddr,
    tls: TlsConnector,
    /// Holds what it says.
    log: PathBuf,
}

/// Starts it, where it has the soft limit of open files that containerd gives; names tell the files
/// of tests apart.
pub(crate) async fn start(name: &str) -> Hook {
    start_limited(name, "1024:").await
}

/// Starts it with these limits of open files, soft and hard.
pub(crate) async fn start_limited(name: &str, open_files: &str) -> Hook {
    let api = FakeApi::new();
    let listener = TcpListener::bind((API_SERVER, 0)).await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let router = api.router();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (kubeconfig, log) = (folder.join(name), folder.join(format!("{name}.log")));
    let content = json!({
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    });
    std::fs::write(&kubeconfig, content.to_string()).unwrap();
    let (address, admin) = (free_address().await, free_address().await);
    let process = Command::new("prlimit")
        .arg(format!("--nofile={open_files}"))
        .arg(env!("CARGO_BIN_EXE_active-passive-webhook"))
        .env("KUBECONFIG", &kubeconfig)
        .args([
            "--namespace",
            "ns",
            "--sidecar-image",
            "sidecar:1",
            "--log",
            "debug",
        ])
        .args(["--listen", &address.to_string()])
        .args(["--admin-listen", &admin.to_string()])
        .stdout(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    api.wait_for(SECRET, |secret| secret.is_some()).await;
    let authority = api.get(SECRET).unwrap()["data"]["ca.crt"].clone();
    let authority = BASE64.decode(authority.as_str().unwrap()).unwrap();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&authority) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let hook = Hook {
        process,
        address,
        admin,
        tls: TlsConnector::from(Arc::new(config)),
        log,
    };
    let answers = async {
        while hook.greet(API_SERVER).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(HANGS, answers).await.expect("it never answers");
    hook
}

async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((API_SERVER, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.process
            .kill()
            .and_then(|()| self.process.wait())
            .unwrap();
    }
}

impl Hook {
    pub(crate) async fn connect(&self, from: Ipv4Addr) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        socket.connect(self.address).await
    }

    pub(crate) async fn greet(&self, from: Ipv4Addr) -> Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("active-passive-webhook.ns.svc").unwrap();
        self.tls.connect(name, self.connect(from).await?).await
    }

    /// The status of the answer to a body.
    pub(crate) async fn status(&self, from: Ipv4Addr, body: &[u8]) -> String {
        let mut stream = self.greet(from).await.unwrap();
        // Who answers early does not read on.
        let _sent = ask(&mut stream, body, body.len()).await;
        answer(&mut stream).await.chars().take(12).collect()
    }

    /// An honest client on a connection of its own is answered in time.
    pub(crate) async fn serves(&self) {
        let status = timeout(HONEST, self.status(API_SERVER, REVIEW.as_bytes())).await;
        assert_eq!(status.expect("no answer in time"), "HTTP/1.1 200");
    }

    /// An honest client on a connection that it has kept is answered in time.
    pub(crate) async fn serves_on(&self, kept: &mut TlsStream<TcpStream>) {
        ask(kept, REVIEW.as_bytes(), REVIEW.len()).await.unwrap();
        let said = timeout(HONEST, answer(kept)).await;
        let said = said.expect("no answer in time");
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    }

    /// Whether it says that it is alive.
    pub(crate) async fn lives(&self) -> bool {
        let asked = async {
            let mut stream = TcpStream::connect(self.admin).await?;
            let request = b"GET /livez HTTP/1.1\r\nHost: hook\r\nConnection: close\r\n\r\n";
            stream.write_all(request).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Result::Ok(answer.starts_with("HTTP/1.1 200"))
        };
        matches!(timeout(HONEST, asked).await, Ok(Ok(true)))
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn anonymous_kb(&self) -> u64 {
        anonymous_kb(self.process.id())
    }
}

pub(crate) async fn ask(
    stream: &mut TlsStream<TcpStream>,
    body: &[u8],
    said_bytes: usize,
) -> Result<()> {
    let head = format!(
        "POST /inject HTTP/1.1\r\nHost: hook\r\nContent-Type: application/json\r\n\
         Content-Length: {said_bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.flush().await
}

/// What has come once the head of an answer is there, or the connection has ended.
pub(crate) async fn answer(stream: &mut TlsStream<TcpStream>) -> String {
    let mut answer = Vec::new();
    let read = async {
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            if !matches!(stream.read_buf(&mut answer).await, Ok(1..)) {
                return;
            }
        }
    };
    timeout(HANGS, read).await.expect("neither answer nor end");
    String::from_utf8(answer).unwrap()
}
