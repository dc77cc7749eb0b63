//! Serves the routes: a bounded number of connections, each for one request. Where all places are
//! taken, who has most of them gives one up, so that a probe of the kubelet finds one at any time.

use axum::Router;
use axum::extract::ConnectInfo;
use common::crowd::gives_way;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tower::ServiceExt;

/// Connections served at a time.
pub(crate) const CONNECTIONS_MAX: usize = 64;
/// Longest time from the connection to the end of the request's head, milliseconds.
const HEAD_MS_MAX: u64 = 5_000;
/// Largest head of a request, bytes; hyper takes no less.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Wait after a connection that could not be taken, milliseconds: out of file descriptors.
const ACCEPT_RETRY_MS: u64 = 100;

/// The port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "listen on port {port}, which another container of the pod may use, or with hostNetwork another \
     pod of this node: keep pods of one group on nodes of their own by anti-affinity"
)]
pub struct ListenError {
    port: u16,
    #[source]
    source: io::Error,
}

/// Listens on every address, IPv6 and IPv4, or on IPv4 alone where there is nothing else.
pub(crate) async fn listen(port: u16) -> Result<TcpListener, ListenError> {
    let both = TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await;
    match both {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
            .await
            .map_err(|source| ListenError { port, source }),
    }
}

/// Serves until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, router: Router) {
    let mut connections = Connections::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => connections.begin(stream, peer, router.clone()),
                Err(error) => {
                    tracing::debug!(%error, "a connection could not be taken");
                    sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
                }
            },
            Some(_) = connections.tasks.join_next() => connections.forget_ended(),
        }
    }
}

/// Connections that are served now.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    /// The oldest first.
    places: Vec<(IpAddr, AbortHandle)>,
}

impl Connections {
    fn begin(&mut self, stream: TcpStream, peer: SocketAddr, router: Router) {
        self.forget_ended();
        let sources = self.places.iter().map(|(source, _)| *source);
        if self.places.len() >= CONNECTIONS_MAX
            && let Some(oldest) = gives_way(sources.zip(0..))
        {
            let (source, connection) = self.places.remove(oldest);
            connection.abort();
            tracing::debug!(%source, "too many connections; one was ended");
        }
        let handle = self.tasks.spawn(connection(stream, peer, router));
        self.places.push((peer.ip().to_canonical(), handle));
    }

    fn forget_ended(&mut self) {
        self.places.retain(|(_, handle)| !handle.is_finished());
    }
}

/// One request a connection: an idle one would keep its place from a probe.
async fn connection(stream: TcpStream, peer: SocketAddr, router: Router) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HEAD_MS_MAX))
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    async fn served() -> u16 {
        let listener = listen(0).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route("/livez", get(async || "ok\n"));
        tokio::spawn(serve(listener, router));
        port
    }

    async fn is_live(mut stream: TcpStream) {
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("ok\n"), "{answer}");
    }

    #[tokio::test]
    async fn serves_over_both_families_and_ends_the_connection() {
        let port = served().await;
        for host in ["127.0.0.1", "::1"] {
            let Ok(stream) = TcpStream::connect((host, port)).await else {
                assert_eq!(host, "::1", "IPv4 is always there");
                continue;
            };
            is_live(stream).await;
        }
    }

    #[tokio::test]
    async fn connections_without_a_request_keep_no_place_from_a_probe() {
        let port = served().await;
        let mut silent = Vec::new();
        for _ in 0..3 * CONNECTIONS_MAX {
            silent.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        }
        // Well before the silent ones run into their deadline.
        let probe = async { is_live(TcpStream::connect(("127.0.0.1", port)).await.unwrap()).await };
        let in_time = timeout(Duration::from_millis(HEAD_MS_MAX / 2), probe).await;
        assert!(in_time.is_ok(), "a probe waits for silent connections");
        // The oldest have given way.
        let mut first = silent.swap_remove(0);
        let ended = timeout(Duration::from_secs(1), first.read(&mut [0])).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    }
}
