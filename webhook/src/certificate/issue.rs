//! Making certificates.

use crate::certificate::bundle::{CA_CRT, CA_KEY, Data, NEXT_CA_KEY, Names, TLS_CRT, TLS_KEY};
use inject::certs::{Lives, Validity};
use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
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
pub fn issue(names: &Names, lives: &Lives, now_s: i64) -> Result<Data, IssueError> {
    let (certificate, key) = authority(lives, now_s)?;
    let data = Data::from([text(CA_CRT, certificate), text(CA_KEY, key)]);
    renew(&data, names, lives, now_s)
}

/// A new serving certificate of the first authority in `data`.
///
/// # Errors
/// If the authority in `data` cannot be read.
pub fn renew(data: &Data, names: &Names, lives: &Lives, now_s: i64) -> Result<Data, IssueError> {
    let first = first_of(entry(data, CA_CRT)?).0;
    let issuer = Issuer::from_ca_cert_pem(first, KeyPair::from_pem(entry(data, CA_KEY)?)?)?;
    let ends_s = CertificateDer::from_pem_slice(first.as_bytes())
        .ok()
        .and_then(|der| {
            let (_, parsed) = x509_parser::parse_x509_certificate(&der).ok()?;
            Some(parsed.validity().not_after.timestamp())
        });
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut validity = Validity::starting(now_s, lives.serving.life_s);
    // One that outlives its authority would be refused all the same.
    validity.not_after_s = validity.not_after_s.min(ends_s.unwrap_or(i64::MAX));
    let mut leaf = params("active-passive webhook", validity)?;
    leaf.subject_alt_names = CertificateParams::new(names.all())?.subject_alt_names;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let pem = leaf.signed_by(&key, &issuer)?.pem();
    let mut renewed = data.clone();
    renewed.extend([text(TLS_CRT, pem), text(TLS_KEY, key.serialize_pem())]);
    Ok(renewed)
}

/// A next authority beside the present one, which goes on signing.
///
/// # Errors
/// If the authority in `data` cannot be read.
pub fn announce(data: &Data, lives: &Lives, now_s: i64) -> Result<Data, IssueError> {
    let (certificate, key) = authority(lives, now_s)?;
    let both = format!("{}{certificate}", first_of(entry(data, CA_CRT)?).0);
    let mut announced = data.clone();
    announced.extend([text(CA_CRT, both), text(NEXT_CA_KEY, key)]);
    Ok(announced)
}

/// The next authority signs; the last one is still trusted.
///
/// # Errors
/// If the authorities in `data` cannot be read.
pub fn switch(data: &Data, names: &Names, lives: &Lives, now_s: i64) -> Result<Data, IssueError> {
    let (last, next) = first_of(entry(data, CA_CRT)?);
    let mut switched = data.clone();
    let key = entry(data, NEXT_CA_KEY)?.to_owned();
    switched.remove(NEXT_CA_KEY);
    switched.extend([text(CA_CRT, format!("{next}{last}")), text(CA_KEY, key)]);
    renew(&switched, names, lives, now_s)
}

/// The first authority alone.
///
/// # Errors
/// If the authorities in `data` cannot be read.
pub fn prune(data: &Data) -> Result<Data, IssueError> {
    let first = first_of(entry(data, CA_CRT)?).0.to_owned();
    let mut pruned = data.clone();
    pruned.extend([text(CA_CRT, first)]);
    Ok(pruned)
}

/// Certificate and key of a new authority, PEM.
fn authority(lives: &Lives, now_s: i64) -> Result<(String, String), IssueError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    // The time tells two generations apart: with one name for both, clients try the wrong one.
    let name = format!("active-passive webhook authority {now_s}");
    let mut ca = params(&name, Validity::starting(now_s, lives.authority.life_s))?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok((ca.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// The first certificate of a PEM text, and the rest.
fn first_of(pem: &str) -> (&str, &str) {
    const END: &str = "-----END CERTIFICATE-----";
    let Some(at) = pem.find(END).map(|at| at + END.len()) else {
        return (pem, "");
    };
    let line_break = pem[at..]
        .bytes()
        .take_while(|b| b"\r\n".contains(b))
        .count();
    pem.split_at(at + line_break)
}

fn entry<'a>(data: &'a Data, key: &'static str) -> Result<&'a str, IssueError> {
    let bytes = data.get(key).map_or(&[][..], |value| &value.0);
    std::str::from_utf8(bytes).map_err(|_| IssueError::NoText(key))
}

fn text(key: &str, pem: String) -> (String, ByteString) {
    (key.to_owned(), ByteString(pem.into_bytes()))
}

/// Without the generator's own defaults: valid from 1975 to 4096, and one name for everybody.
fn params(common_name: &str, validity: Validity) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::from_unix_timestamp(validity.not_before_s)?;
    params.not_after = OffsetDateTime::from_unix_timestamp(validity.not_after_s)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    Ok(params)
}
