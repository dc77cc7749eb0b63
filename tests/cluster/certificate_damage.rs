//! The Secret of the certificate, deleted, emptied, torn and filled by somebody else: it is put back as
//! it was, the log and an Event say so, and no review fails meanwhile.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::scene::SYSTEM_NAMESPACE;

use crate::context::eventually;
use crate::install_reviews::Reviews;

const SECRET: &str = "active-passive-webhook-certificate";
/// Reason of the Event.
const PUT_BACK: &str = "--field-selector=reason=CertificateMadeAnew";
/// What the log says of each write.
const WROTE: &str = "wrote a certificate to the Secret";
/// Until a Secret is as it was, milliseconds.
const HEALED_MS: u64 = 20_000;

type Data = BTreeMap<String, ByteString>;

/// Damages it in each way, one after the other.
pub(crate) async fn is_healed(cluster: &Cluster) -> Result<()> {
    let whole = data(cluster).await?.context("there is no certificate")?;
    let reviews = Reviews::start(cluster)?;
    let (told, wrote) = (events(cluster).await?, writes(cluster).await?);
    let damages = [
        ("emptied", Some(json!({"data": null}))),
        ("torn", Some(json!({"data": {"tls.crt": "bm90aGluZw=="}}))),
        ("another's", Some(json!({"data": foreign()?}))),
        ("deleted", None),
    ];
    for (count, (what, patch)) in (1..).zip(damages) {
        match patch {
            Some(patch) => {
                let patch = patch.to_string();
                system(cluster, &["patch", "secret", SECRET, "--patch", &patch]).await?
            }
            None => system(cluster, &["delete", "secret", SECRET]).await?,
        };
        let wanted = (true, told + count, wrote + count);
        let damaged = format!("a Secret that was {what}");
        eventually(&damaged, HEALED_MS, async || {
            let healed = data(cluster).await?.as_ref() == Some(&whole);
            let seen = (healed, events(cluster).await?, writes(cluster).await?);
            Ok(if seen == wanted {
                Ok(())
            } else {
                Err(format!("whole, Events and writes: {seen:?}"))
            })
        })
        .await?;
    }
    reviews.all_injected("damages of the certificate").await
}

/// A whole Secret, of another program.
fn foreign() -> Result<Value> {
    let key = KeyPair::generate()?;
    let certificate =
        CertificateParams::new(vec!["other.example".to_owned()])?.self_signed(&key)?;
    let pem = |text: String| serde_json::to_value(ByteString(text.into_bytes()));
    let (certificate, key) = (pem(certificate.pem())?, pem(key.serialize_pem())?);
    Ok(json!({"ca.crt": certificate, "ca.key": key, "tls.crt": certificate, "tls.key": key}))
}

async fn data(cluster: &Cluster) -> Result<Option<Data>> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), SYSTEM_NAMESPACE);
    Ok(secrets
        .get_opt(SECRET)
        .await?
        .and_then(|secret| secret.data))
}

async fn events(cluster: &Cluster) -> Result<usize> {
    let names = system(cluster, &["get", "events", PUT_BACK, "--output=name"]).await?;
    ensure!(!names.contains("Error"), "{names}");
    Ok(names.lines().count())
}

/// Of the replicas that run.
async fn writes(cluster: &Cluster) -> Result<usize> {
    let webhook = "--selector=app.kubernetes.io/component=webhook";
    let said = system(cluster, &["logs", "--tail=-1", webhook]).await?;
    Ok(said.matches(WROTE).count())
}

/// kubectl in the webhook's namespace.
async fn system(cluster: &Cluster, args: &[&str]) -> Result<String> {
    let args = [&["--namespace", SYSTEM_NAMESPACE], args].concat();
    Ok(cluster.kubectl(&args).await?)
}
