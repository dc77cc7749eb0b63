//! The two servers: bound first, so that a port in use ends the program at once.

use crate::certificate::resolver::Resolver;
use crate::connections::{Bounded, CONNECTIONS_MAX};
use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

/// A connection without the header of a request is closed after this, also between two requests:
/// so it is longer than the 90 s after which the API server closes an idle one itself. A request
/// sent into a connection that is just being closed would fail.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);
/// Largest header of a request, bytes.
const HEADER_BYTES_MAX: usize = 16 * 1024;

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
pub fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bind = |address| {
        let listener = TcpListener::bind(address)?;
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

/// Serves `router` over TLS until `handle` says otherwise.
///
/// # Errors
/// If TLS cannot be set up, or the listener breaks.
pub async fn tls(
    listener: TcpListener,
    resolver: Arc<Resolver>,
    router: Router,
    handle: Handle<SocketAddr>,
) -> Result<(), ServeError> {
    let address = address(&listener)?;
    let ended = |source| ServeError::Ended { address, source };
    let config = RustlsConfig::from_config(Arc::new(server_config(resolver)?));
    let acceptor = RustlsAcceptor::new(config).acceptor(Bounded::new(CONNECTIONS_MAX));
    let mut server = axum_server::from_tcp(listener).map_err(ended)?.http1_only();
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX);
    let service = router.into_make_service();
    server
        .acceptor(acceptor)
        .handle(handle)
        .serve(service)
        .await
        .map_err(ended)
}

/// Serves `router` without TLS until `handle` says otherwise.
///
/// # Errors
/// If the listener breaks.
pub async fn plain(
    listener: TcpListener,
    router: Router,
    handle: Handle<SocketAddr>,
) -> Result<(), ServeError> {
    let address = address(&listener)?;
    let ended = |source| ServeError::Ended { address, source };
    let mut server = axum_server::from_tcp(listener).map_err(ended)?.http1_only();
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    let service = router.into_make_service();
    server
        .acceptor(Bounded::new(CONNECTIONS_MAX))
        .handle(handle)
        .serve(service)
        .await
        .map_err(ended)
}

/// The address that a listener has.
///
/// # Errors
/// If the kernel does not say.
pub fn address(listener: &TcpListener) -> Result<SocketAddr, ServeError> {
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
