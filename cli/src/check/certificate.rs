//! The webhook's certificate: how long it lasts, and whether API servers are told to trust it.

use crate::check::facts::{Installation, Read};
use crate::check::finding::{Finding, page};
use crate::check::installation::entries;
use crate::check::names;
use common::metrics::webhook::CERTIFICATE_EXPIRY;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use x509_parser::pem::parse_x509_pem;

/// Keys of the Secret.
const AUTHORITY: &str = "ca.crt";
const SERVED: &str = "tls.crt";
/// Days before the end at which somebody should have renewed it: as of the chart's alert.
const WARN_DAYS: i64 = 14;
const DAY_S: i64 = 86_400;

/// What is to be said of it.
pub(crate) fn findings(facts: &Installation, now: Timestamp) -> Vec<Finding> {
    let secret = match &facts.secret {
        Read::Unseen(why) => {
            let metric = CERTIFICATE_EXPIRY.name;
            let metric = format!("{why}; the metric {metric} says when it ends");
            return vec![
                Finding::unseen("Certificate", &metric),
                Finding::unseen("Authority", why),
            ];
        }
        Read::Absent => {
            let text = format!(
                "there is no Secret {} in namespace {}: the webhook has no certificate",
                facts.secret_name, facts.namespace
            );
            return vec![
                Finding::error("Certificate", text)
                    .cure(
                        "the webhook makes it again when it runs, unless it is told not to: see \
                         its log",
                    )
                    .docs(page::CERTIFICATES),
            ];
        }
        Read::Seen(secret) => secret,
    };
    vec![lifetime(facts, secret, now), authority(facts, secret)]
}

fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    let value = secret.data.as_ref()?.get(key)?;
    Some(value.0.as_slice()).filter(|bytes| !bytes.is_empty())
}

/// When the first certificate of a PEM ends, seconds since 1970.
fn ends_s(pem: &[u8]) -> Option<i64> {
    let (_, pem) = parse_x509_pem(pem).ok()?;
    let certificate = pem.parse_x509().ok()?;
    Some(certificate.validity().not_after.timestamp())
}

fn lifetime(facts: &Installation, secret: &Secret, now: Timestamp) -> Finding {
    let check = "Certificate";
    let (namespace, name) = (&facts.namespace, &facts.secret_name);
    let renew = format!(
        "`kubectl -n {namespace} logs deployment/{}` says why it is not renewed; in mode self, \
         `kubectl -n {namespace} delete secret {name}` has a new one made",
        names::WEBHOOK
    );
    let Some(served) = value(secret, SERVED) else {
        let text = format!("Secret {name} holds no {SERVED}: somebody has emptied it");
        return Finding::error(check, text).cure(renew).docs(page::EXPIRES);
    };
    let Some(ends_s) = ends_s(served) else {
        let text = format!("{SERVED} of Secret {name} is no certificate");
        return Finding::error(check, text).cure(renew).docs(page::EXPIRES);
    };
    let left_s = ends_s - now.as_second();
    let days = left_s / DAY_S;
    if left_s <= 0 {
        let text = "the serving certificate has expired: API servers refuse the webhook";
        return Finding::error(check, text).cure(renew).docs(page::EXPIRES);
    }
    if days < WARN_DAYS {
        let text = format!("the serving certificate has {days} days left and nobody renewed it");
        return Finding::warning(check, text)
            .cure(renew)
            .docs(page::EXPIRES);
    }
    let text = format!("the serving certificate has {days} days left");
    Finding::ok(check, text)
}

/// Whether every entry carries the authority of the Secret.
fn authority(facts: &Installation, secret: &Secret) -> Finding {
    let check = "Authority";
    let name = &facts.secret_name;
    let Some(authority) = value(secret, AUTHORITY) else {
        let text = format!("Secret {name} holds no {AUTHORITY}: nobody can trust the webhook");
        let cure = "in mode self the webhook puts it back when it runs; else whoever makes the \
                    Secret has to write it";
        return Finding::error(check, text)
            .cure(cure)
            .docs(page::CERTIFICATES);
    };
    let configuration = match &facts.configuration {
        Read::Seen(configuration) => configuration,
        Read::Unseen(why) => return Finding::unseen(check, why),
        Read::Absent => {
            let text = "there is no configuration that could carry the authority";
            return Finding::error(check, text).docs(page::INSTALL);
        }
    };
    let differs = entries(configuration).filter(|entry| {
        let carried = entry.client_config.ca_bundle.as_ref();
        carried.is_none_or(|carried| carried.0 != authority)
    });
    let wrong: Vec<&str> = differs.map(|entry| entry.name.as_str()).collect();
    if wrong.is_empty() {
        return Finding::ok(check, "every entry carries the authority of the Secret");
    }
    let text = format!(
        "caBundle of {} is not {AUTHORITY} of Secret {name}: API servers do not trust the webhook",
        wrong.join(", ")
    );
    Finding::error(check, text)
        .cure(format!(
            "the webhook puts it right within seconds when it runs and may: see whether it is \
             ready, and `kubectl get mutatingwebhookconfiguration {} -o yaml \
             --show-managed-fields` for who else writes it",
            names::CONFIGURATION
        ))
        .docs(page::TRUST)
}
