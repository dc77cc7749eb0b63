//! Keys and certificates of a cluster, valid for 30 days.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::jiff;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use serde_json::json;

use super::error::{Doing, Result};
use super::network::{API_PORT, API_SERVICE_ADDRESS, HUB_ADDRESS};

const VALID_DAYS: u64 = 30;
const DAY_S: u64 = 86_400;

/// The authority of a cluster, and the folder of all its files.
pub(crate) struct Pki {
    folder: PathBuf,
    authority: Issuer<'static, KeyPair>,
    authority_pem: String,
}

impl Pki {
    /// Makes the authority and the key of service account tokens.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let action = || "make the certificate authority".to_string();
        fs::create_dir_all(folder).doing(action)?;
        let key = KeyPair::generate().doing(action)?;
        let mut params = params(&[("CN", "active-passive-test")], &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        params.extended_key_usages.clear();
        let authority_pem = params.self_signed(&key).doing(action)?.pem();
        fs::write(folder.join("ca.crt"), &authority_pem).doing(action)?;
        fs::write(folder.join("ca.key"), key.serialize_pem()).doing(action)?;

        let tokens = KeyPair::generate().doing(action)?;
        fs::write(folder.join("sa.key"), tokens.serialize_pem()).doing(action)?;
        fs::write(folder.join("sa.pub"), tokens.public_key_pem()).doing(action)?;
        let authority = Issuer::new(params, key);
        Ok(Self {
            folder: folder.into(),
            authority,
            authority_pem,
        })
    }

    /// Path of a file such as `ca.crt`.
    pub(crate) fn path(&self, file: &str) -> String {
        self.folder.join(file).to_string_lossy().into_owned()
    }

    /// Certificate of the API server.
    pub(crate) fn issue_api_server(&self) -> Result<()> {
        let names = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
            "127.0.0.1",
            HUB_ADDRESS,
            API_SERVICE_ADDRESS,
        ];
        self.issue("apiserver", &[("CN", "kube-apiserver")], &names)
    }

    /// Writes `<name>.crt` and `<name>.key`, for a server at `names` and as a client.
    pub(crate) fn issue(&self, name: &str, subject: &[(&str, &str)], names: &[&str]) -> Result<()> {
        let action = || format!("issue the certificate {name}");
        let key = KeyPair::generate().doing(action)?;
        let params = params(subject, names)?;
        let certificate = params.signed_by(&key, &self.authority).doing(action)?;
        fs::write(self.path(&format!("{name}.crt")), certificate.pem()).doing(action)?;
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).doing(action)
    }

    /// Issues a client certificate and writes a kubeconfig for it, for use inside the cluster's
    /// network. Returns its path.
    pub(crate) fn kubeconfig(&self, name: &str, subject: &[(&str, &str)]) -> Result<String> {
        self.issue(name, subject, &[])?;
        let path = self.folder.join(format!("{name}.conf"));
        self.write_kubeconfig(name, &path, &format!("https://{HUB_ADDRESS}:{API_PORT}"))?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Writes a kubeconfig with the issued certificate `name`, complete in one file.
    pub(crate) fn write_kubeconfig(&self, name: &str, path: &Path, server: &str) -> Result<()> {
        let action = || format!("write {}", path.display());
        let read = |file: String| fs::read(file).map(|bytes| STANDARD.encode(bytes));
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "active-passive-test",
            "clusters": [{"name": "active-passive-test", "cluster": {
                "server": server,
                "certificate-authority-data": STANDARD.encode(&self.authority_pem),
            }}],
            "users": [{"name": name, "user": {
                "client-certificate-data": read(self.path(&format!("{name}.crt"))).doing(action)?,
                "client-key-data": read(self.path(&format!("{name}.key"))).doing(action)?,
            }}],
            "contexts": [{"name": "active-passive-test", "context": {
                "cluster": "active-passive-test", "user": name,
            }}],
        });
        fs::write(path, serde_json::to_vec_pretty(&config).doing(action)?).doing(action)
    }
}

fn params(subject: &[(&str, &str)], names: &[&str]) -> Result<CertificateParams> {
    let action = || format!("describe the certificate of {subject:?}");
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).doing(action)?;
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in subject {
        let kind = if *kind == "O" {
            DnType::OrganizationName
        } else {
            DnType::CommonName
        };
        params.distinguished_name.push(kind, *value);
    }
    let now = SystemTime::now();
    let day = Duration::from_secs(DAY_S);
    let date = |time: SystemTime| -> Result<_> {
        let time = jiff::Timestamp::try_from(time)
            .doing(action)?
            .to_zoned(jiff::tz::TimeZone::UTC);
        Ok((
            i32::from(time.year()),
            time.month().unsigned_abs(),
            time.day().unsigned_abs(),
        ))
    };
    let (year, month, first) = date(now - day)?;
    params.not_before = date_time_ymd(year, month, first);
    let (year, month, last) = date(now + day * u32::try_from(VALID_DAYS).doing(action)?)?;
    params.not_after = date_time_ymd(year, month, last);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
