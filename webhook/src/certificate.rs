//! The serving certificate: one Secret for all replicas, which any of them may make or renew.
//!
//! Who is first creates it; everybody else reads the winner's. Changes are guarded by the Secret's
//! resourceVersion. No replica ever serves a certificate that is not in the Secret.

pub mod bundle;
pub mod issue;
pub mod resolver;

use crate::certificate::bundle::{Data, Names, Served};
use crate::certificate::resolver::Resolver;
use crate::client::{ApiError, REQUEST_DEADLINE, post, within};
use crate::metrics::Metrics;
use crate::readiness::{Part, Readiness};
use crate::watch::Single;
use inject::certs::{Found, Plan, plan};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ObjectMeta;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::timeout;

/// Time between two looks at the clock. A timer for the day of renewal would not notice that the
/// machine slept.
const TICK: Duration = Duration::from_secs(60);
/// Time until a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Why the Secret could not be brought into order.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Issue(#[from] issue::IssueError),
    /// It could not be written.
    #[error("cannot write Secret {name}: {source}")]
    Write {
        /// Name of the Secret.
        name: String,
        /// What the API server says.
        source: ApiError,
    },
}

/// Keeps the Secret in order and serves what it holds.
#[derive(Debug)]
pub struct Keeper {
    /// Secrets of the own namespace.
    pub secrets: Api<Secret>,
    /// Name of the Secret.
    pub name: String,
    /// Names of the Service.
    pub names: Names,
    /// Where the TLS server looks.
    pub resolver: Arc<Resolver>,
    /// Whom else the certificate concerns.
    pub served: watch::Sender<Option<Arc<Served>>>,
    /// Told whether the certificate is valid.
    pub readiness: Arc<Readiness>,
    /// Told when it expires.
    pub metrics: Arc<Metrics>,
}

impl Keeper {
    /// Runs for ever, with the states of the Secret that `secret` brings.
    pub async fn keep(self, mut secret: watch::Receiver<Single<Secret>>) -> Infallible {
        loop {
            let state = secret.borrow_and_update().clone();
            let wait = match self.put_in_order(&state, now_s()).await {
                Ok(()) => TICK,
                Err(error) => {
                    tracing::error!(%error, "the serving certificate is not in order; retrying");
                    RETRY
                }
            };
            // Also when the sender is gone, which is when the program ends.
            if let Ok(Err(_)) = timeout(wait, secret.changed()).await {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn put_in_order(
        &self,
        state: &Single<Secret>,
        now_s: i64,
    ) -> Result<(), CertificateError> {
        let (secret, found) = match state {
            Single::Unknown => return Ok(()),
            Single::Absent => (None, Found::Absent),
            Single::Present(secret) => {
                let data = secret.data.clone().unwrap_or_default();
                (Some(secret.as_ref()), self.take(data))
            }
        };
        let plan = plan(&found, now_s);
        let valid = self
            .served
            .borrow()
            .as_ref()
            .is_some_and(|served| served.is_valid(now_s));
        self.readiness.set(Part::Certificate, valid);
        match (plan, secret) {
            (Plan::Serve, _) => Ok(()),
            (Plan::Replace { why }, Some(secret)) => {
                tracing::info!(secret = self.name, why, "making the certificate anew");
                self.replace(secret, self.remembered_or_new(now_s)?).await
            }
            (Plan::RenewLeaf, Some(secret)) => {
                tracing::info!(secret = self.name, "renewing the serving certificate");
                let data = secret.data.clone().unwrap_or_default();
                self.replace(secret, issue::renew(&data, &self.names, now_s)?)
                    .await
            }
            (Plan::Create | Plan::Replace { .. } | Plan::RenewLeaf, _) => {
                self.create(self.remembered_or_new(now_s)?).await
            }
        }
    }

    /// Serves what the Secret holds, if it can be served; otherwise what was served before goes on.
    fn take(&self, data: Data) -> Found {
        if let Some(served) = self
            .served
            .borrow()
            .as_ref()
            .filter(|served| served.data == data)
        {
            return served.found();
        }
        match Served::read(data, &self.names) {
            Ok(served) => {
                let served = Arc::new(served);
                self.resolver.serve(served.key.clone());
                self.metrics
                    .certificate(served.ca.not_after_s, served.leaf.not_after_s);
                tracing::info!(secret = self.name, "serving the certificate of the Secret");
                self.served.send_replace(Some(served.clone()));
                served.found()
            }
            Err(error) => Found::Unusable {
                why: error.to_string(),
            },
        }
    }

    /// What was served until the Secret was lost: API servers trust it already. A new one if there
    /// is nothing, or its authority is over.
    fn remembered_or_new(&self, now_s: i64) -> Result<Data, CertificateError> {
        let remembered =
            self.served.borrow().clone().filter(|served| {
                matches!(plan(&served.found(), now_s), Plan::Serve | Plan::RenewLeaf)
            });
        match remembered {
            Some(served) => Ok(served.data.clone()),
            None => Ok(issue::issue(&self.names, now_s)?),
        }
    }

    /// Without labels: those are the chart's, and a value of ours would stand against its own.
    async fn create(&self, data: Data) -> Result<(), CertificateError> {
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            ..ObjectMeta::default()
        };
        let secret = Secret {
            metadata,
            data: Some(data),
            ..Secret::default()
        };
        let params = post();
        let request = async { self.secrets.create(&params, &secret).await };
        self.written(within(REQUEST_DEADLINE, request).await)
    }

    async fn replace(&self, old: &Secret, data: Data) -> Result<(), CertificateError> {
        let mut secret = old.clone();
        secret.data.get_or_insert_default().extend(data);
        let params = post();
        let request = async { self.secrets.replace(&self.name, &params, &secret).await };
        self.written(within(REQUEST_DEADLINE, request).await)
    }

    /// A write that came second is as good: the watch brings the winner's.
    fn written(&self, answer: Result<Secret, ApiError>) -> Result<(), CertificateError> {
        match answer {
            Ok(_) => tracing::info!(secret = self.name, "wrote a certificate to the Secret"),
            Err(error) if error.is_conflict() => {
                tracing::info!(secret = self.name, "another replica was first");
            }
            Err(source) => {
                let name = self.name.clone();
                return Err(CertificateError::Write { name, source });
            }
        }
        Ok(())
    }
}

/// Seconds since 1970, by the clock on the wall: certificates know no other.
fn now_s() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
