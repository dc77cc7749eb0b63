//! Which certificate the TLS server shows: the one that was served last.

use arc_swap::ArcSwapOption;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// A certificate that changes while the server runs. Connections that are open keep theirs.
#[derive(Debug, Default)]
pub struct Resolver {
    key: ArcSwapOption<CertifiedKey>,
}

impl Resolver {
    /// From now on, new connections see this one.
    pub fn serve(&self, key: Arc<CertifiedKey>) {
        self.key.store(Some(key));
    }
}

impl ResolvesServerCert for Resolver {
    /// None before the first certificate: the handshake fails then, and the API server retries.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key.load_full()
    }
}
