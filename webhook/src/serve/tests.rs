//! The TLS server on a port of its own.

use super::*;
use crate::certificate::Origin;
use crate::certificate::bundle::{Names, Served};
use crate::certificate::issue::issue;
use crate::handshake;
use crate::readiness::Readiness;
use axum::routing::get;
use inject::certs::Lives;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

struct Running {
    address: SocketAddr,
    resolver: Arc<Resolver>,
    end: oneshot::Sender<Duration>,
}

fn start() -> Running {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let resolver = Arc::new(Resolver::default());
    let (end, ends) = oneshot::channel();
    let ends = async { ends.await.unwrap_or_default() };
    let router = Router::new().route("/", get(|| async { "hello" }));
    tokio::spawn(tls(listener, resolver.clone(), router, ends));
    Running {
        address,
        resolver,
        end,
    }
}

fn served() -> Arc<Served> {
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let names = Names::new("hook", "ns");
    Arc::new(
        Served::read(
            issue(&names, &Lives::default(), now_s as i64).unwrap(),
            &names,
            &Origin::Given,
        )
        .unwrap(),
    )
}

async fn connect(address: SocketAddr, trusted: &Served) -> io::Result<TlsStream<TcpStream>> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted.roots.clone())
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("hook.ns.svc").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: hook.ns.svc\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let mut part = [0; 1024];
        let read = stream.read(&mut part).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&part[..read]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_is_served() {
    let running = start();
    let served = served();
    assert!(
        connect(running.address, &served).await.is_err(),
        "no certificate yet"
    );
    running.resolver.serve(served.key.clone());
    let mut stream = connect(running.address, &served).await.unwrap();
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(
        stream.get_ref().1.alpn_protocol(),
        None,
        "none was asked for"
    );
}

#[tokio::test]
async fn a_new_certificate_is_shown_at_once_and_open_connections_stay() {
    let running = start();
    let (first, second) = (served(), served());
    running.resolver.serve(first.key.clone());
    let mut open = connect(running.address, &first).await.unwrap();
    ask(&mut open).await;
    running.resolver.serve(second.key.clone());
    assert!(connect(running.address, &first).await.is_err());
    connect(running.address, &second).await.unwrap();
    ask(&mut open).await;
}

#[tokio::test]
async fn a_graceful_end_closes_idle_connections_and_the_port() {
    let running = start();
    let served = served();
    running.resolver.serve(served.key.clone());
    let mut open = connect(running.address, &served).await.unwrap();
    ask(&mut open).await;
    running.end.send(Duration::from_secs(5)).unwrap();
    let mut rest = Vec::new();
    assert_eq!(open.read_to_end(&mut rest).await.unwrap(), 0);
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_handshake_with_ourselves_proves_that_all_of_it_works() {
    let running = start();
    let readiness = Arc::new(Readiness::default());
    let served = served();
    let (tell, told) = watch::channel(Some(served.clone()));
    let names = Names::new("hook", "ns");
    tokio::spawn(handshake::verify(
        running.address,
        names,
        told,
        readiness.clone(),
    ));
    let handshake_missing = || {
        readiness
            .missing()
            .iter()
            .any(|missing| missing.contains("handshake"))
    };
    assert!(handshake_missing());
    running.resolver.serve(served.key.clone());
    while handshake_missing() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(tell);
}

#[tokio::test]
async fn the_server_ends_with_any_of_its_threads() {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut threads = Threads::start().unwrap();
    threads.end_one();
    let server = Server::new(Router::new(), None, 1);
    let ended = server.serve(listener, &threads, std::future::pending());
    let ended = timeout(Duration::from_secs(10), ended).await;
    let error = ended.expect("it goes on").unwrap_err();
    assert_eq!(error.to_string(), "a thread that answers has ended");
}

#[test]
fn a_port_in_use_is_said() {
    let taken = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = listen(taken.local_addr().unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("cannot listen on 127.0.0.1:"), "{error}");
}
