//! What reviews look up at the API server. Whoever reaches the port can ask for reviews, and a large
//! workload makes many: so look-ups are few at once, and pods of one workload share theirs.

use crate::client::ApiError;
use crate::policy::rivals::{DEADLINE, Name, rivals};
use inject::policy::{Claim, Labels, Policy, Rivals};
use kube::Client;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{MutexGuard, OnceCell, Semaphore};
use tokio::time::{Instant, timeout};

/// Names that are looked up at once, each by six requests: five workloads of up to about 1.5 MiB.
const NAMES_MAX: usize = 4;
/// How long what was found about a name serves other pods. Whoever is newer than it is not in it, and
/// comes last anyway.
const REMEMBERED: Duration = Duration::from_secs(1);

/// All look-ups of the program.
#[derive(Debug)]
pub struct Lookups {
    services: tokio::sync::Mutex<()>,
    names: Semaphore,
    /// Those of the last second.
    found: Mutex<HashMap<Name, Found>>,
}

/// What was found about a name, or is being looked up, and what that depends on.
#[derive(Debug)]
struct Found {
    asked_at: Instant,
    policies: Vec<Arc<Policy>>,
    labels: Labels,
    rivals: Arc<OnceCell<Rivals>>,
}

impl Default for Lookups {
    fn default() -> Self {
        Self {
            services: tokio::sync::Mutex::default(),
            names: Semaphore::new(NAMES_MAX),
            found: Mutex::default(),
        }
    }
}

impl Lookups {
    /// Waits until nobody else holds Services of a namespace in memory.
    ///
    /// # Errors
    /// If it takes longer than this.
    pub async fn services(&self, deadline: Duration) -> Result<MutexGuard<'_, ()>, ApiError> {
        let alone = timeout(deadline, self.services.lock()).await;
        alone.map_err(|_| ApiError::Deadline(deadline))
    }

    /// What has this name in this namespace now.
    ///
    /// # Errors
    /// If the API server does not say, in time.
    pub async fn rivals(
        &self,
        client: &Client,
        policies: &[Arc<Policy>],
        place: (&str, &Labels),
        name: &str,
    ) -> Result<Rivals, ApiError> {
        in_time(async {
            // Nobody closes it.
            let _permit = self.names.acquire().await.ok();
            rivals(client, policies, place, name).await
        })
        .await
    }

    /// What stands against the claim of a pod, now or a moment ago.
    ///
    /// # Errors
    /// If the API server does not say, in time.
    pub async fn against(
        &self,
        client: &Client,
        policies: &[Arc<Policy>],
        place: (&str, &Labels),
        claim: &Claim,
    ) -> Result<Option<String>, ApiError> {
        let name = &claim.owner.name;
        let found = self.found(policies, place, name);
        let look_up = || self.rivals(client, policies, place, name);
        let rivals = in_time(found.get_or_try_init(look_up)).await?;
        Ok(rivals.against(claim))
    }

    fn found(
        &self,
        policies: &[Arc<Policy>],
        (namespace, labels): (&str, &Labels),
        name: &str,
    ) -> Arc<OnceCell<Rivals>> {
        let same = |found: &Found| {
            let mut both = found.policies.iter().zip(policies);
            found.policies.len() == policies.len()
                && both.all(|(one, other)| Arc::ptr_eq(one, other))
                && found.labels == *labels
        };
        // The map is valid after every statement: a panic elsewhere does not spoil it.
        let mut all = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, found| found.asked_at.elapsed() < REMEMBERED);
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(found) = all.get(&key).filter(|found| same(found)) {
            return found.rivals.clone();
        }
        let rivals = Arc::default();
        let found = Found {
            asked_at: Instant::now(),
            policies: policies.to_vec(),
            labels: labels.clone(),
            rivals: Arc::clone(&rivals),
        };
        all.insert(key, found);
        rivals
    }
}

/// An answer that comes in time, whoever else is waited for.
async fn in_time<T>(answer: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    let late = |_| Err(ApiError::Deadline(DEADLINE));
    timeout(DEADLINE, answer).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests;
