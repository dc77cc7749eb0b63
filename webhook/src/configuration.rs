//! The API server's trust: our authority in every entry of the webhook configuration.
//!
//! Only `caBundle` is touched, by a patch that never creates anything and holds only for the
//! version that it was made for. The chart leaves the field out, so nobody else owns it; when
//! somebody takes it away all the same, the watch shows it and it is put back.

use crate::certificate::Published;
use crate::certificate::bundle::Served;
use crate::client::{ApiError, patch};
use crate::metrics::Metrics;
use crate::readiness::{Part, Readiness};
use crate::watch::Single;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::Api;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Time until a patch that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Keeps the authority in the configuration.
#[derive(Debug)]
pub struct Publisher {
    /// All configurations.
    pub configurations: Api<MutatingWebhookConfiguration>,
    /// Name of ours.
    pub name: String,
    /// Our Service and its namespace: entries for other Services are none of ours.
    pub service: (String, String),
    /// Told whether every entry has the authority.
    pub readiness: Arc<Readiness>,
    /// Told the same, for each entry.
    pub metrics: Arc<Metrics>,
    /// Told what every entry carries.
    pub published: watch::Sender<Option<Published>>,
}

impl Publisher {
    /// Runs for ever, with what the two watches bring.
    pub async fn publish(
        self,
        mut configuration: watch::Receiver<Single<MutatingWebhookConfiguration>>,
        mut served: watch::Receiver<Option<Arc<Served>>>,
    ) -> Infallible {
        loop {
            let state = configuration.borrow_and_update().clone();
            let now_served = served.borrow_and_update().clone();
            let retry = self.put_in_order(&state, now_served.as_deref()).await;
            // All three are cancel-safe.
            tokio::select! {
                _ = configuration.changed() => {}
                _ = served.changed() => {}
                () = tokio::time::sleep(RETRY), if retry => {}
            }
        }
    }

    /// Returns whether to try again.
    async fn put_in_order(
        &self,
        state: &Single<MutatingWebhookConfiguration>,
        served: Option<&Served>,
    ) -> bool {
        let (Single::Present(configuration), Some(served)) = (state, served) else {
            self.readiness.set(Part::Configuration, false);
            self.published.send_replace(None);
            return false;
        };
        let entries = self.entries(configuration, served);
        for entry in &entries {
            self.metrics.ca_bundle(&entry.name, entry.current);
        }
        let current = !entries.is_empty() && entries.iter().all(|entry| entry.current);
        self.readiness.set(Part::Configuration, current);
        self.note_published(current.then(|| served.ca_bundle()));
        if current {
            // Later the other authority has to go.
            return served.settles();
        }
        if entries.is_empty() {
            let (service, namespace) = &self.service;
            tracing::warn!(
                configuration = self.name,
                "no entry of the configuration points at Service {namespace}/{service}"
            );
            return false;
        }
        match self
            .patch(configuration, &entries, served.ca_bundle())
            .await
        {
            Ok(()) => false,
            Err(error) => {
                let configuration = &self.name;
                tracing::warn!(configuration, %error, "cannot publish the authority; retrying");
                true
            }
        }
    }

    /// The clock starts anew with each other bundle.
    fn note_published(&self, ca_bundle: Option<&[u8]>) {
        self.published.send_if_modified(|published| {
            let known = published.as_ref().map(|known| known.ca_bundle.as_slice());
            let news = known != ca_bundle;
            if news {
                *published = ca_bundle.map(|ca_bundle| Published {
                    ca_bundle: ca_bundle.to_vec(),
                    since: Instant::now(),
                });
            }
            news
        });
    }

    /// Our entries, and whether each has this authority.
    fn entries(&self, configuration: &MutatingWebhookConfiguration, served: &Served) -> Vec<Entry> {
        let webhooks = configuration.webhooks.iter().flatten().enumerate();
        let ours = webhooks.filter(|(_, webhook)| {
            let service = webhook.client_config.service.as_ref();
            service.is_some_and(|s| s.name == self.service.0 && s.namespace == self.service.1)
        });
        ours.map(|(index, webhook)| Entry {
            index,
            name: webhook.name.clone(),
            current: webhook
                .client_config
                .ca_bundle
                .as_ref()
                .is_some_and(|found| served.is_published_as(&found.0)),
        })
        .collect()
    }

    async fn patch(
        &self,
        configuration: &MutatingWebhookConfiguration,
        entries: &[Entry],
        ca: &[u8],
    ) -> Result<(), ApiError> {
        let version = configuration
            .metadata
            .resource_version
            .as_deref()
            .unwrap_or_default();
        let mut ops = vec![json!({
            "op": "test", "path": "/metadata/resourceVersion", "value": version,
        })];
        for entry in entries.iter().filter(|entry| !entry.current) {
            let path = format!("/webhooks/{}/clientConfig/caBundle", entry.index);
            ops.push(json!({"op": "add", "path": path, "value": ByteString(ca.to_vec())}));
        }
        patch(&self.configurations, &self.name, ops).await?;
        tracing::info!(configuration = self.name, "the authority is published");
        Ok(())
    }
}

/// One entry of the configuration.
struct Entry {
    index: usize,
    name: String,
    current: bool,
}

#[cfg(test)]
mod tests;
