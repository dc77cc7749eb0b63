//! The serving certificate: one Secret for all replicas, which any of them may make or renew.
//!
//! Who is first creates it; everybody else reads the winner's. Changes are guarded by the Secret's
//! resourceVersion. No replica ever serves a certificate that is not in the Secret.

pub mod bundle;
mod healed;
pub mod issue;
mod overlap;
pub mod resolver;

use crate::certificate::bundle::{Data, KEYS, Names, Served};
use crate::certificate::resolver::Resolver;
use crate::client::{ApiError, REQUEST_DEADLINE, post, within};
use crate::metrics::Metrics;
use crate::readiness::{Part, Readiness};
use crate::watch::Single;
use inject::certs::{Found, Lives, Plan, plan};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ObjectMeta;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// Longest time between two looks at the clock, seconds. A timer for the day of renewal would not
/// notice that the machine slept.
const TICK_S_MAX: i64 = 60;
/// The same while somebody else's authority is replaced.
const TICK_S_OVERLAP: i64 = 1;
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

/// What every entry of the webhook configuration carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The authorities, as they stand there.
    pub ca_bundle: Vec<u8>,
    /// Since when this process has seen that.
    pub since: Instant,
}

/// Who makes the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// This program, whose certificates live so long.
    Own(Lives),
    /// Somebody else, such as cert-manager. The Secret is read and never written.
    Given,
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
    /// Who makes the certificate.
    pub origin: Origin,
    /// The authorities that every entry of the configuration is known to carry.
    pub published: watch::Receiver<Option<Published>>,
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
                Ok(()) => self.tick(),
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

    /// A tenth of a step of the rotation at most, so that lives of seconds are kept as well.
    fn tick(&self) -> Duration {
        let tick_s = match &self.origin {
            Origin::Own(lives) => (lives.overlap_s / 10).clamp(1, TICK_S_MAX),
            Origin::Given if self.overlaps() => TICK_S_OVERLAP,
            Origin::Given => TICK_S_MAX,
        };
        Duration::from_secs(tick_s.unsigned_abs())
    }

    /// How long the authorities that are served have been seen published.
    fn published(&self) -> Option<Duration> {
        let published = self.published.borrow();
        let served = self.served.borrow();
        let (published, served) = (published.as_ref()?, served.as_ref()?);
        (published.ca_bundle == served.ca_bundle()).then(|| published.since.elapsed())
    }

    /// Whether another authority is about to stand alone.
    fn overlaps(&self) -> bool {
        let served = self.served.borrow();
        served.as_ref().is_some_and(|served| served.later.is_some())
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
                (Some(secret.as_ref()), self.take(data, now_s))
            }
        };
        let valid = self
            .served
            .borrow()
            .as_ref()
            .is_some_and(|served| served.is_valid(now_s));
        self.readiness.set(Part::Certificate, valid);
        let Origin::Own(lives) = &self.origin else {
            self.note_given(&found);
            self.follow();
            return Ok(());
        };
        let published = self.published();
        let published_s = published.map(|since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        let plan = plan(&found, published_s, lives, now_s);
        let known = self.served.borrow().is_some();
        let Some(secret) = secret else {
            let made = self.create(self.remembered_or_new(lives, now_s)?).await?;
            self.tell(made && known, "somebody deleted the Secret")
                .await;
            return Ok(());
        };
        let data = secret.data.clone().unwrap_or_default();
        let names = &self.names;
        let (step, data) = match plan {
            Plan::Serve => return Ok(()),
            Plan::Create | Plan::Replace { .. } => {
                let why = if let Plan::Replace { why } = &plan {
                    why
                } else {
                    "it is missing"
                };
                // The chart brings it empty.
                let known = known || !data.is_empty();
                tracing::warn!(secret = self.name, why, "the Secret serves nobody");
                let whole = self.remembered_or_new(lives, now_s)?;
                let made = self.replace(secret, whole).await?;
                self.tell(made && known, why).await;
                return Ok(());
            }
            Plan::RenewLeaf => {
                let renewed = issue::renew(&data, names, lives, now_s)?;
                ("renewing the serving certificate", renewed)
            }
            Plan::Announce => {
                let announced = issue::announce(&data, lives, now_s)?;
                ("announcing the next authority", announced)
            }
            Plan::Switch => {
                let switched = issue::switch(&data, names, lives, now_s)?;
                ("letting the next authority sign", switched)
            }
            Plan::Prune => ("dropping the last authority", issue::prune(&data)?),
        };
        tracing::info!(secret = self.name, step, "changing the certificates");
        self.replace(secret, data).await.map(drop)
    }

    /// Tells whoever looks at the Secret that it was put back, if it was.
    async fn tell(&self, put_back: bool, why: &str) {
        if !put_back {
            return;
        }
        let client = self.secrets.clone().into_client();
        let told = healed::tell(client, self.names.namespace(), &self.name, why).await;
        if let Err(error) = told {
            tracing::warn!(secret = self.name, %error, "cannot send an Event");
        }
    }

    /// Says what is wrong with a Secret that somebody else makes. What was served before goes on.
    fn note_given(&self, found: &Found) {
        let secret = &self.name;
        match found {
            Found::Absent => {
                tracing::warn!(
                    secret,
                    "the Secret of the certificate has not been made yet"
                );
            }
            Found::Unusable { why } => {
                tracing::error!(
                    secret,
                    why,
                    "the Secret of the certificate cannot be served"
                );
            }
            Found::Certificates { .. } => {}
        }
    }

    /// Serves what the Secret holds, if it can be served; otherwise what was served before goes on.
    fn take(&self, data: Data, now_s: i64) -> Found {
        if let Some(served) = self
            .served
            .borrow()
            .as_ref()
            .filter(|served| served.data == data)
        {
            return served.found();
        }
        match Served::read(data, &self.names, &self.origin) {
            Ok(mut served) => {
                let found = served.found();
                let before = self.served.borrow().clone();
                if self.origin == Origin::Given {
                    served.settles_at = overlap::settles_at(served.leaf.not_before_s, now_s);
                }
                self.serve(overlap::begin(before.as_deref(), served, now_s));
                found
            }
            Err(error) => Found::Unusable {
                why: error.to_string(),
            },
        }
    }

    /// Takes the next step of replacing somebody else's authority, if it is time for it.
    fn follow(&self) {
        let served = self.served.borrow().clone();
        if let Some(later) = served.and_then(|served| served.follows(self.published())) {
            self.serve(later);
        }
    }

    fn serve(&self, served: Arc<Served>) {
        self.resolver.serve(served.key.clone());
        self.metrics
            .certificate(served.ca.not_after_s, served.leaf.not_after_s);
        let overlaps = served.later.is_some();
        tracing::info!(
            secret = self.name,
            overlaps,
            "serving the certificate of the Secret"
        );
        self.served.send_replace(Some(served));
    }

    /// What was served until the Secret was lost: API servers trust it already. A new one if there
    /// is nothing, or its authority is over.
    fn remembered_or_new(&self, lives: &Lives, now_s: i64) -> Result<Data, CertificateError> {
        let served = self.served.borrow().clone();
        match served.filter(|served| served.is_valid(now_s)) {
            Some(served) => Ok(served.data.clone()),
            None => Ok(issue::issue(&self.names, lives, now_s)?),
        }
    }

    /// Without labels: those are the chart's, and a value of ours would stand against its own.
    async fn create(&self, data: Data) -> Result<bool, CertificateError> {
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

    async fn replace(&self, old: &Secret, data: Data) -> Result<bool, CertificateError> {
        let mut secret = old.clone();
        let entries = secret.data.get_or_insert_default();
        entries.retain(|key, _| !KEYS.contains(&key.as_str()));
        entries.extend(data);
        let params = post();
        let request = async { self.secrets.replace(&self.name, &params, &secret).await };
        self.written(within(REQUEST_DEADLINE, request).await)
    }

    /// Whether it was written. A write that came second is as good: the watch brings the winner's.
    fn written(&self, answer: Result<Secret, ApiError>) -> Result<bool, CertificateError> {
        match answer {
            Ok(_) => tracing::info!(secret = self.name, "wrote a certificate to the Secret"),
            Err(error) if error.is_conflict() => {
                tracing::info!(secret = self.name, "another replica was first");
                return Ok(false);
            }
            Err(source) => {
                let name = self.name.clone();
                return Err(CertificateError::Write { name, source });
            }
        }
        Ok(true)
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
