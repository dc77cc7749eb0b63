//! The two servers: bound first, so that a port in use ends the program at once.

mod threads;

use crate::certificate::resolver::Resolver;
use crate::connections::{ADMIN_CONNECTIONS_MAX, Bounded, Place, connections_max};
use crate::routes::Admission;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use threads::Threads;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::Service;

/// A connection without the header of a request is closed after this, also between two requests:
/// so it is longer than the 90 s after which the API server closes an idle one itself. A request
/// sent into a connection that is just being closed would fail.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);
/// Largest header of a request, bytes.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Longest handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Rest after a connection that could not be accepted: no file is left for it, most of the time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The kernel gives no threads.
    #[error("cannot start the threads that answer: {0}")]
    Threads(#[source] io::Error),
    /// One of the threads is no more.
    #[error("a thread that answers has ended")]
    ThreadEnded,
    /// The server ended by itself.
    #[error("the server on {address} ended: {source}")]
    Ended {
        /// Its address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Listens; where the machine has no IPv6, "all addresses" means all of IPv4.
///
/// # Errors
/// If the address is taken or not ours.
pub fn listen(address: SocketAddr) -> Result<std::net::TcpListener, ServeError> {
    let bind = |address| {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    let refused = |source| ServeError::Bind { address, source };
    match bind(address) {
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && !in_use(&error) => {
            bind((Ipv4Addr::UNSPECIFIED, address.port()).into()).map_err(|_| refused(error))
        }
        bound => bound.map_err(refused),
    }
}

fn in_use(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
    )
}

/// Serves `admission` over TLS, in threads of its own, until `end` says otherwise, and for how long
/// requests that have begun may go on.
///
/// # Errors
/// If TLS or the threads cannot be set up, or the listener or a thread breaks.
pub async fn tls(
    listener: std::net::TcpListener,
    resolver: Arc<Resolver>,
    admission: impl Answers,
    end: impl Future<Output = Duration>,
) -> Result<(), ServeError> {
    let tls = TlsAcceptor::from(Arc::new(server_config(resolver)?));
    let threads = Threads::start().map_err(ServeError::Threads)?;
    let server = Server::new(admission, Some(tls), connections_max());
    server.serve(listener, &threads, end).await
}

/// Serves `router` without TLS, for as long as it is polled.
///
/// # Errors
/// If the listener breaks.
pub async fn plain(listener: std::net::TcpListener, router: Router) -> Result<(), ServeError> {
    let server = Server::new(router, None, ADMIN_CONNECTIONS_MAX);
    server
        .serve(listener, &Threads::none(), std::future::pending())
        .await
}

/// Who answers requests.
pub trait Answers: Clone + Send + 'static {
    /// Answers one request, and says when its connection is in use.
    fn answer(
        &self,
        request: Request<Incoming>,
        place: &Place,
    ) -> impl Future<Output = Response> + Send;
}

impl Answers for Admission {
    async fn answer(&self, request: Request<Incoming>, place: &Place) -> Response {
        Self::answer(self, request, place).await
    }
}

impl Answers for Router {
    async fn answer(&self, request: Request<Incoming>, _: &Place) -> Response {
        let Ok(response) = self.clone().call(request).await;
        response
    }
}

/// What the connections of a server have in common.
#[derive(Clone)]
struct Server<A> {
    answers: A,
    tls: Option<TlsAcceptor>,
    bounded: Bounded,
}

impl<A: Answers> Server<A> {
    fn new(answers: A, tls: Option<TlsAcceptor>, connections_max: usize) -> Self {
        Self {
            answers,
            tls,
            bounded: Bounded::new(connections_max),
        }
    }

    /// Accepts connections, and has the threads serve them.
    async fn serve(
        self,
        listener: std::net::TcpListener,
        threads: &Threads,
        end: impl Future<Output = Duration>,
    ) -> Result<(), ServeError> {
        let address = address(&listener)?;
        let ended = |source| ServeError::Ended { address, source };
        let listener = TcpListener::from_std(listener).map_err(ended)?;
        let connections = GracefulShutdown::new();
        let mut end = pin!(end);
        let deadline = loop {
            let accept = async {
                let room = self.bounded.room().await?;
                let (stream, _) = listener.accept().await?;
                // A thread has a stream among its own events from its beginning on.
                Ok::<_, io::Error>((stream.into_std()?, room))
            };
            // All are cancel-safe.
            let accepted = tokio::select! {
                deadline = &mut end => break deadline,
                () = threads.ended() => return Err(ServeError::ThreadEnded),
                accepted = accept => accepted,
            };
            let (stream, room) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "no connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (server, watcher) = (self.clone(), connections.watcher());
            threads.spawn(async move {
                // What a client does to its connection is its own affair.
                if let Err(error) = server.connection(stream, watcher).await {
                    tracing::debug!(%error, "a connection ended");
                }
                drop(room);
            });
        };
        // Nobody waits for a connection that is not served any more.
        drop(listener);
        // What takes longer ends with the threads.
        timeout(deadline, connections.shutdown()).await.ok();
        Ok(())
    }

    async fn connection(self, stream: std::net::TcpStream, watcher: Watcher) -> io::Result<()> {
        let Self {
            answers,
            tls,
            bounded,
        } = self;
        let conversation = |stream, place| async move {
            let Some(tls) = tls else {
                return converse(stream, place, answers, watcher).await;
            };
            let stream = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await??;
            converse(stream, place, answers, watcher).await
        };
        let stream = TcpStream::from_std(stream)?;
        bounded.seat(stream, conversation).await
    }
}

/// Answers the requests of one connection.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    place: Arc<Place>,
    answers: impl Answers,
    watcher: Watcher,
) -> io::Result<()> {
    let service = service_fn(move |request| {
        let (place, answers) = (place.clone(), answers.clone());
        async move { Ok::<_, Infallible>(answers.answer(request, &place).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    watcher.watch(connection).await.map_err(io::Error::other)
}

/// The address that a listener has.
///
/// # Errors
/// If the kernel does not say.
pub fn address(listener: &std::net::TcpListener) -> Result<SocketAddr, ServeError> {
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    listener.local_addr().map_err(|source| ServeError::Bind {
        address: unknown,
        source,
    })
}

/// TLS 1.2 and 1.3, HTTP/1.1 only: API servers speak nothing else to webhooks.
fn server_config(resolver: Arc<Resolver>) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests;
