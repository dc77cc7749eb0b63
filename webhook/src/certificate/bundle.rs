//! The contents of the Secret: written by us, read by us, and never trusted to be whole.

use crate::certificate::Origin;
use inject::certs::{BACKDATE_S, Found, Rotation, Validity};
use k8s_openapi::ByteString;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Key of the authorities' certificates: whom clients are told to trust. The first one signs.
pub const CA_CRT: &str = "ca.crt";
/// Key of the first authority's private key.
pub const CA_KEY: &str = "ca.key";
/// Key of the second authority's private key, from when it is announced until it signs.
pub const NEXT_CA_KEY: &str = "next-ca.key";
/// Key of the serving certificate.
pub const TLS_CRT: &str = "tls.crt";
/// Key of the serving certificate's private key.
pub const TLS_KEY: &str = "tls.key";
/// All keys that are ours.
pub const KEYS: [&str; 5] = [CA_CRT, CA_KEY, NEXT_CA_KEY, TLS_CRT, TLS_KEY];

/// The data of a Secret.
pub type Data = BTreeMap<String, ByteString>;

/// The names under which the Service is reached. API servers use the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    service: String,
    namespace: String,
}

impl Names {
    /// Names of a Service in its namespace.
    pub fn new(service: &str, namespace: &str) -> Self {
        Self {
            service: service.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    /// Where the Service is.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name that API servers verify.
    pub fn primary(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    /// All names.
    pub fn all(&self) -> Vec<String> {
        let primary = self.primary();
        let (short, long) = (
            format!("{}.{}", self.service, self.namespace),
            format!("{primary}.cluster.local"),
        );
        vec![primary, short, long]
    }
}

/// Certificates that can be served.
#[derive(Debug)]
pub struct Served {
    /// What they were read from.
    pub data: Data,
    /// The authorities as API servers want it.
    pub bundle: Vec<u8>,
    /// The serving certificate with its key.
    pub key: Arc<CertifiedKey>,
    /// Whom clients must trust.
    pub roots: Arc<RootCertStore>,
    /// Validity of the authority that signs.
    pub ca: Validity,
    /// Validity of the serving certificate.
    pub leaf: Validity,
    /// How far a rotation of the authority has come.
    pub rotation: Rotation,
    /// Until when another authority may be published beside somebody else's.
    pub settles_at: Option<Instant>,
    /// What is served after this, while somebody else's authority is replaced.
    pub later: Option<Arc<Self>>,
}

/// Why a Secret cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// An entry is missing or empty.
    #[error("{0} is missing or empty")]
    Missing(&'static str),
    /// An entry is no PEM of what it should be.
    #[error("{0} is no PEM of what it should hold")]
    NoPem(&'static str),
    /// A certificate does not parse.
    #[error("{0} does not parse")]
    NoCertificate(&'static str),
    /// There is the key of a next authority, and no such authority.
    #[error("{NEXT_CA_KEY} belongs to no certificate of {CA_CRT}")]
    NoAuthority,
    /// Certificate and key do not belong together, or the algorithm is unknown.
    #[error("certificate and key do not go together: {0}")]
    Mismatch(#[source] rustls::Error),
    /// The authority has not signed the certificate, or not for this name.
    #[error("the authority does not vouch for {name}: {source}")]
    NotVouched {
        /// The name.
        name: String,
        /// What a client would say.
        source: rustls::Error,
    },
}

impl Served {
    /// Reads a Secret, and makes sure that a client which trusts its authority takes its
    /// certificate for `names`: for all of them if it is our own, for the one that API servers use
    /// if somebody else has made it. Validity in time is another question.
    ///
    /// # Errors
    /// [`Unusable`] says what is wrong.
    pub fn read(data: Data, names: &Names, origin: &Origin) -> Result<Self, Unusable> {
        let authorities = certificates(&data, CA_CRT)?;
        let chain = certificates(&data, TLS_CRT)?;
        let needed = match origin {
            Origin::Own(_) => {
                entry(&data, CA_KEY)?;
                names.all()
            }
            Origin::Given => vec![names.primary()],
        };
        let key = PrivateKeyDer::from_pem_slice(entry(&data, TLS_KEY)?)
            .map_err(|_| Unusable::NoPem(TLS_KEY))?;
        let ca = validity(authorities.first(), CA_CRT)?;
        let leaf = validity(chain.first(), TLS_CRT)?;
        let rotation = match (authorities.get(1), data.contains_key(NEXT_CA_KEY)) {
            (None, false) => Rotation::None,
            (None, true) => return Err(Unusable::NoAuthority),
            (next, true) => Rotation::Announced {
                since_s: made_s(validity(next, CA_CRT)?),
            },
            // The step that let it sign made a new serving certificate.
            (Some(_), false) => Rotation::Switched {
                since_s: made_s(leaf),
            },
        };

        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities);
        let roots = Arc::new(roots);
        let at_s = u64::try_from(ca.not_before_s.max(leaf.not_before_s)).unwrap_or(0);
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at_s));
        for name in needed {
            vouches(&roots, &chain, &name, at)
                .map_err(|source| Unusable::NotVouched { name, source })?;
        }
        let key =
            CertifiedKey::from_der(chain, key, &default_provider()).map_err(Unusable::Mismatch)?;
        let bundle = entry(&data, CA_CRT)?.to_vec();
        Ok(Self {
            data,
            bundle,
            key: Arc::new(key),
            roots,
            ca,
            leaf,
            rotation,
            settles_at: None,
            later: None,
        })
    }

    /// The authorities as API servers want it.
    pub fn ca_bundle(&self) -> &[u8] {
        &self.bundle
    }

    /// Whether neither certificate has expired at this time, seconds since 1970.
    pub fn is_valid(&self, now_s: i64) -> bool {
        !self.ca.is_over(now_s) && !self.leaf.is_over(now_s)
    }

    /// What [`inject::certs::plan`] wants to know.
    pub fn found(&self) -> Found {
        Found::Certificates {
            ca: self.ca,
            leaf: self.leaf,
            rotation: self.rotation,
        }
    }
}

fn entry<'a>(data: &'a Data, key: &'static str) -> Result<&'a [u8], Unusable> {
    let value = data.get(key).map(|value| value.0.as_slice());
    value
        .filter(|value| !value.is_empty())
        .ok_or(Unusable::Missing(key))
}

fn certificates(data: &Data, key: &'static str) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(entry(data, key)?).collect();
    all.ok()
        .filter(|all| !all.is_empty())
        .ok_or(Unusable::NoPem(key))
}

/// Validity of a certificate of the entry `key`.
fn validity(
    certificate: Option<&CertificateDer<'_>>,
    key: &'static str,
) -> Result<Validity, Unusable> {
    let certificate = certificate.ok_or(Unusable::NoPem(key))?;
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|_| Unusable::NoCertificate(key))?;
    let validity = parsed.validity();
    Ok(Validity {
        not_before_s: validity.not_before.timestamp(),
        not_after_s: validity.not_after.timestamp(),
    })
}

/// When a certificate of ours was made, seconds since 1970.
fn made_s(validity: Validity) -> i64 {
    validity.not_before_s.saturating_add(BACKDATE_S)
}

/// Does what a client does.
fn vouches(
    roots: &Arc<RootCertStore>,
    chain: &[CertificateDer<'_>],
    name: &str,
    at: UnixTime,
) -> Result<(), rustls::Error> {
    let refused = |error: &dyn std::fmt::Display| rustls::Error::General(error.to_string());
    let (leaf, rest) = chain
        .split_first()
        .ok_or(rustls::Error::NoCertificatesPresented)?;
    let name = ServerName::try_from(name).map_err(|error| refused(&error))?;
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider)
        .build()
        .map_err(|error| refused(&error))?;
    verifier
        .verify_server_cert(leaf, rest, &name, &[], at)
        .map(|_| ())
}

#[cfg(test)]
mod tests;
