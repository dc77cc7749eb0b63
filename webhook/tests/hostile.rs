//! Clients that do harm, and honest ones beside them: the program itself, on the loopback device.
#![allow(clippy::unwrap_used, clippy::panic)]

#[allow(dead_code, reason = "shared with the tests of the crate")]
#[path = "../src/fake_api.rs"]
mod fake_api;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use fake_api::FakeApi;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use std::io::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const SECRET: &str = "/api/v1/namespaces/ns/secrets/active-passive-webhook-certificate";
const REVIEW: &str = include_str!("../testdata/review-pod.json");
/// Whoever is hostile, and the API server, which comes from elsewhere.
const HOSTILE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
const API_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// How long an API server waits for a webhook, by the chart.
const HONEST: Duration = Duration::from_secs(5);
/// After this, something hangs.
const HANGS: Duration = Duration::from_secs(60);
/// Memory of its own that the program may have, kB. The code of a debug build is not counted.
const ANONYMOUS_KB_MAX: u64 = 30_000;
/// Connections in all, where the limit of open files lets a process have them.
const FLOOD: usize = 10_000;
/// Of these, so many shake hands.
const GREETED: usize = 200;

/// The program, with an API server that holds its Secret.
struct Hook {
    process: Child,
    address: SocketAddr,
    tls: TlsConnector,
}

async fn start(name: &str) -> Hook {
    let api = FakeApi::new();
    let listener = TcpListener::bind((API_SERVER, 0)).await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let router = api.router();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let kubeconfig = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let content = json!({
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    });
    std::fs::write(&kubeconfig, content.to_string()).unwrap();
    let address = free_address().await;
    let process = Command::new(env!("CARGO_BIN_EXE_active-passive-webhook"))
        .env("KUBECONFIG", &kubeconfig)
        .args(["--namespace", "ns", "--sidecar-image", "sidecar:1"])
        .args(["--listen", &address.to_string()])
        .args(["--admin-listen", &free_address().await.to_string()])
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
        tls: TlsConnector::from(Arc::new(config)),
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
    async fn connect(&self, from: Ipv4Addr) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        socket.connect(self.address).await
    }

    async fn greet(&self, from: Ipv4Addr) -> Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("active-passive-webhook.ns.svc").unwrap();
        self.tls.connect(name, self.connect(from).await?).await
    }

    /// The status of the answer to a body.
    async fn status(&self, from: Ipv4Addr, body: &[u8]) -> String {
        let mut stream = self.greet(from).await.unwrap();
        // Who answers early does not read on.
        let _sent = ask(&mut stream, body, body.len()).await;
        answer(&mut stream).await.chars().take(12).collect()
    }

    /// An honest client on a connection of its own is answered in time.
    async fn serves(&self) {
        let status = timeout(HONEST, self.status(API_SERVER, REVIEW.as_bytes())).await;
        assert_eq!(status.expect("no answer in time"), "HTTP/1.1 200");
    }

    fn anonymous_kb(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        line.unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .unwrap()
    }
}

async fn ask(stream: &mut TlsStream<TcpStream>, body: &[u8], said_bytes: usize) -> Result<()> {
    let head = format!(
        "POST /inject HTTP/1.1\r\nHost: hook\r\nContent-Type: application/json\r\n\
         Content-Length: {said_bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    stream.flush().await
}

/// What has come once the head of an answer is there, or the connection has ended.
async fn answer(stream: &mut TlsStream<TcpStream>) -> String {
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

/// Lets this process have the open files that it needs, as far as its hard limit goes, and says how
/// many it may have.
fn raise_open_files() -> usize {
    let (pid, limit) = (
        std::process::id().to_string(),
        format!("--nofile={}:", FLOOD + 1_000),
    );
    // Where this does not work, what is read then says so.
    let _raised = Command::new("prlimit")
        .args(["--pid", &pid, &limit])
        .status();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let mut lines = limits.lines();
    let open_files = lines.find_map(|line| line.strip_prefix("Max open files"));
    let soft = open_files.and_then(|line| line.split_whitespace().next());
    soft.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_flood_of_connections_takes_no_place_and_no_memory_from_honest_clients() {
    let hook = start("flood").await;
    let mut kept = hook.greet(API_SERVER).await.unwrap();
    let open_files = raise_open_files();
    let flood = FLOOD.min(open_files.saturating_sub(200));
    assert!(
        flood > 2_000,
        "ulimit -Hn is {open_files}: raise it to 11000"
    );
    let mut silent = Vec::new();
    let mut greeted = Vec::new();
    for number in 0..flood {
        if number % (flood / GREETED) == 0 {
            // Its place may be given away while it shakes hands.
            if let Ok(mut stream) = hook.greet(HOSTILE).await {
                // A header that never ends.
                let begun = stream
                    .write_all(b"POST /inject HTTP/1.1\r\nHost: h\r\nX: ")
                    .await;
                greeted.extend(begun.ok().map(|()| stream));
            }
        } else {
            let mut stream = hook.connect(HOSTILE).await.unwrap();
            // Every other one begins a handshake and goes no further.
            if number % 2 == 0 {
                let _begun = stream.write_all(&[0x16, 3, 1, 0]).await;
            }
            silent.push(stream);
        }
    }
    hook.serves().await;
    ask(&mut kept, REVIEW.as_bytes(), REVIEW.len())
        .await
        .unwrap();
    let on_kept = timeout(HONEST, answer(&mut kept))
        .await
        .expect("no answer in time");
    assert!(on_kept.starts_with("HTTP/1.1 200"), "{on_kept}");
    let anonymous_kb = hook.anonymous_kb();
    assert!(anonymous_kb < ANONYMOUS_KB_MAX, "{anonymous_kb} kB");
    drop((silent, greeted));
    hook.serves().await;
}

#[tokio::test]
async fn hostile_bodies_are_refused_and_leave_nothing() {
    let hook = start("bodies").await;
    let deep = "[".repeat(1_000_000);
    let other = REVIEW.replace("\"Pod\"", "\"Node\"");
    for (body, expected) in [
        ("", "HTTP/1.1 400"),
        ("no JSON", "HTTP/1.1 400"),
        ("{}", "HTTP/1.1 400"),
        (deep.as_str(), "HTTP/1.1 400"),
        (other.as_str(), "HTTP/1.1 400"),
    ] {
        let beginning: String = body.chars().take(20).collect();
        assert_eq!(
            hook.status(HOSTILE, body.as_bytes()).await,
            expected,
            "{beginning}"
        );
    }
    let large = vec![b' '; 8 * 1024 * 1024];
    assert_eq!(hook.status(HOSTILE, &large).await, "HTTP/1.1 413");
    hook.serves().await;
    let anonymous_kb = hook.anonymous_kb();
    assert!(anonymous_kb < ANONYMOUS_KB_MAX, "{anonymous_kb} kB");
}

#[tokio::test]
async fn who_sends_half_of_something_is_given_up() {
    let hook = start("halves").await;
    // As many large bodies as there is room for, of which the end never comes.
    let mut slow = Vec::new();
    for _ in 0..16 {
        let mut stream = hook.greet(HOSTILE).await.unwrap();
        ask(&mut stream, b"{", 7 * 1024 * 1024).await.unwrap();
        slow.push(stream);
    }
    // One that says nothing more, and one that ends its side in the middle of the handshake.
    let mut half_closed = hook.greet(HOSTILE).await.unwrap();
    half_closed.get_mut().0.shutdown().await.unwrap();
    let mut silent = hook.connect(HOSTILE).await.unwrap();
    silent.write_all(&[0x16, 3, 1, 0]).await.unwrap();
    silent.shutdown().await.unwrap();
    hook.serves().await;
    let mut rest = Vec::new();
    let ended = timeout(HANGS, half_closed.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a half-closed connection stays");
    let ended = timeout(HANGS, silent.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a half-closed handshake stays");
    for stream in &mut slow {
        let answer = answer(stream).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer:?}");
    }
    hook.serves().await;
}
