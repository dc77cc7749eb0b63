//! Token and CA of the pod's service account: files that the kubelet replaces while we run.
//!
//! Each is read when it is used, so that nothing of them can be outdated: the token once a request,
//! the CA once a handshake. Both lie in memory and are small. Absent from it: clocks. A cache that
//! goes by one would send an expired token after a jump of that clock.

use http::{HeaderValue, Request, header};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why a credential cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file cannot be read.
    #[error("read {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// The token holds what no header may.
    #[error("{path:?} holds no token")]
    Token {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else than certificates.
    #[error("read the certificates in {path:?}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The certificates are not usable as roots.
    #[error("use the certificates in {path:?} as roots: {reason}")]
    Roots {
        /// The file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
}

/// The file with the token.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    /// Where the file cannot be read: a token that may be outdated is better than none.
    last: Mutex<HeaderValue>,
}

impl TokenFile {
    pub(crate) fn open(path: PathBuf) -> Result<Self, CredentialError> {
        let last = Mutex::new(HeaderValue::from_static(""));
        let file = Self { path, last };
        *locked(&file.last) = file.read()?;
        Ok(file)
    }

    /// The request with the present token.
    pub(crate) fn sign<B>(&self, mut request: Request<B>) -> Request<B> {
        let mut last = locked(&self.last);
        match self.read() {
            Ok(token) => *last = token,
            Err(error) => tracing::debug!(%error, "the last token is used again"),
        }
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, last.clone());
        request
    }

    fn read(&self) -> Result<HeaderValue, CredentialError> {
        let path = || self.path.clone();
        let token =
            std::fs::read_to_string(&self.path).map_err(|source| CredentialError::Read {
                path: path(),
                source,
            })?;
        // Written by a person, it may end in a line feed.
        let header = HeaderValue::try_from(format!("Bearer {}", token.trim()));
        let mut header = header.map_err(|_| CredentialError::Token { path: path() })?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// The file with the certificates that vouch for the API server's.
#[derive(Debug)]
pub(crate) struct RootsFile {
    path: PathBuf,
    last: Mutex<Arc<WebPkiServerVerifier>>,
}

impl RootsFile {
    pub(crate) fn open(path: PathBuf) -> Result<Self, CredentialError> {
        let last = Mutex::new(read_roots(&path)?);
        Ok(Self { path, last })
    }

    fn last(&self) -> Arc<WebPkiServerVerifier> {
        locked(&self.last).clone()
    }
}

impl ServerCertVerifier for RootsFile {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match read_roots(&self.path) {
            Ok(roots) => *locked(&self.last) = roots,
            Err(error) => tracing::debug!(%error, "the last roots are used again"),
        }
        self.last()
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.last().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.last().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.last().supported_verify_schemes()
    }
}

fn read_roots(path: &PathBuf) -> Result<Arc<WebPkiServerVerifier>, CredentialError> {
    let unusable = |reason: String| CredentialError::Roots {
        path: path.clone(),
        reason,
    };
    let pem = std::fs::read(path).map_err(|source| CredentialError::Read {
        path: path.clone(),
        source,
    })?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|source| CredentialError::Pem {
            path: path.clone(),
            source,
        })?;
        roots
            .add(certificate)
            .map_err(|error| unusable(error.to_string()))?;
    }
    WebPkiServerVerifier::builder(Arc::new(roots))
        .build()
        .map_err(|error| unusable(error.to_string()))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
