//! Making certificates.

use crate::certificate::bundle::{CA_CRT, CA_KEY, Data, Names, TLS_CRT, TLS_KEY};
use inject::certs::{CA_LIFE_S, LEAF_LIFE_S, Validity};
use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use time::OffsetDateTime;

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The generator refuses.
    #[error("the generator refuses: {0}")]
    Generator(#[from] rcgen::Error),
    /// The time cannot be written into a certificate.
    #[error("the clock is out of range: {0}")]
    Clock(#[from] time::error::ComponentRange),
    /// The authority in the Secret cannot be read.
    #[error("{0} of the Secret is no text")]
    NoText(&'static str),
}

/// An authority, and a serving certificate signed by it.
///
/// # Errors
/// If the generator refuses; it has no reason to.
pub fn issue(names: &Names, now_s: i64) -> Result<Data, IssueError> {
    let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    // The time tells two generations apart: with one name for both, clients try the wrong one.
    let mut ca = params(
        &format!("active-passive webhook authority {now_s}"),
        now_s,
        CA_LIFE_S,
    )?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_pem = ca.self_signed(&ca_key)?.pem();
    let ca_key_pem = ca_key.serialize_pem();
    let mut data = leaf(&Issuer::new(ca, ca_key), names, now_s)?;
    data.insert(CA_CRT.to_owned(), ByteString(ca_pem.into_bytes()));
    data.insert(CA_KEY.to_owned(), ByteString(ca_key_pem.into_bytes()));
    Ok(data)
}

/// The same authority with a new serving certificate.
///
/// # Errors
/// If the authority in `data` cannot be read.
pub fn renew(data: &Data, names: &Names, now_s: i64) -> Result<Data, IssueError> {
    let text = |key: &'static str| {
        let bytes = data.get(key).map_or(&[][..], |value| &value.0);
        std::str::from_utf8(bytes).map_err(|_| IssueError::NoText(key))
    };
    let issuer = Issuer::from_ca_cert_pem(text(CA_CRT)?, KeyPair::from_pem(text(CA_KEY)?)?)?;
    let mut renewed = data.clone();
    renewed.extend(leaf(&issuer, names, now_s)?);
    Ok(renewed)
}

fn leaf(issuer: &Issuer<'_, KeyPair>, names: &Names, now_s: i64) -> Result<Data, IssueError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut leaf = params("active-passive webhook", now_s, LEAF_LIFE_S)?;
    leaf.subject_alt_names = CertificateParams::new(names.all())?.subject_alt_names;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let pem = leaf.signed_by(&key, issuer)?.pem();
    Ok(Data::from([
        (TLS_CRT.to_owned(), ByteString(pem.into_bytes())),
        (
            TLS_KEY.to_owned(),
            ByteString(key.serialize_pem().into_bytes()),
        ),
    ]))
}

/// Without the generator's own defaults: valid from 1975 to 4096, and one name for everybody.
fn params(common_name: &str, now_s: i64, life_s: i64) -> Result<CertificateParams, IssueError> {
    let validity = Validity::starting(now_s, life_s);
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::from_unix_timestamp(validity.not_before_s)?;
    params.not_after = OffsetDateTime::from_unix_timestamp(validity.not_after_s)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    Ok(params)
}
