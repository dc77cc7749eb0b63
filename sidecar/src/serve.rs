//! Serves the routes: a bounded number of connections, each for one request.

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// Connections served at a time; more wait.
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
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    connection(stream, router).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection could not be taken");
                sleep(Duration::from_millis(ACCEPT_RETRY_MS)).await;
            }
        }
    }
}

/// One request a connection: an idle one would keep a slot from a probe.
async fn connection(stream: TcpStream, router: Router) {
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HEAD_MS_MAX))
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
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

    #[tokio::test]
    async fn serves_over_both_families_and_ends_the_connection() {
        let listener = listen(0).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route("/livez", get(async || "ok\n"));
        tokio::spawn(serve(listener, router));
        for host in ["127.0.0.1", "::1"] {
            let Ok(mut stream) = TcpStream::connect((host, port)).await else {
                assert_eq!(host, "::1", "IPv4 is always there");
                continue;
            };
            stream
                .write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.ends_with("ok\n"), "{answer}");
        }
    }
}
