//! The proof that the server works: a handshake with ourselves, trusting only what API servers are
//! told to trust.

use crate::certificate::bundle::{Names, Served};
use crate::readiness::{Part, Readiness};
use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longest time for one handshake.
const DEADLINE: Duration = Duration::from_secs(5);
/// Time between two handshakes while they work.
const AGAIN: Duration = Duration::from_secs(60);
/// Time after one that failed.
const RETRY: Duration = Duration::from_millis(500);

/// Why there was no handshake.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client cannot be set up.
    #[error("cannot set up a TLS client: {0}")]
    Client(#[from] rustls::Error),
    /// The Service's name is none that TLS knows.
    #[error("{0:?} is no name of a server")]
    Name(String),
    /// Connecting or the handshake failed.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("no handshake within 5s")]
    Deadline,
}

/// Shakes hands after every change of the certificate, and once a minute.
pub async fn verify(
    listening: SocketAddr,
    names: Names,
    mut served: watch::Receiver<Option<Arc<Served>>>,
    readiness: Arc<Readiness>,
) -> Infallible {
    loop {
        let now_served = served.borrow_and_update().clone();
        let mut wait = AGAIN;
        if let Some(now_served) = now_served {
            let done = shake(listening, &names, &now_served).await;
            readiness.set(Part::Handshake, done.is_ok());
            if let Err(error) = done {
                tracing::warn!(%error, "the handshake with ourselves failed");
                wait = RETRY;
            }
        }
        // Also when the sender is gone, which is when the program ends.
        if let Ok(Err(_)) = timeout(wait, served.changed()).await {
            std::future::pending::<()>().await;
        }
    }
}

/// One handshake, as an API server does it.
async fn shake(
    listening: SocketAddr,
    names: &Names,
    served: &Served,
) -> Result<(), HandshakeError> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(served.roots.clone())
        .with_no_client_auth();
    let primary = names.primary();
    let name = ServerName::try_from(primary.clone()).map_err(|_| HandshakeError::Name(primary))?;
    let address = own_address(listening);
    let connected = async {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    };
    match timeout(DEADLINE, connected).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(source)) => Err(HandshakeError::Connect { address, source }),
        Err(_) => Err(HandshakeError::Deadline),
    }
}

/// Where to reach a server that listens on all addresses.
fn own_address(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}
