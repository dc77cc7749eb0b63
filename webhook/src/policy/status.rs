//! What the status of each policy says, and that it is written when it says something new.
//!
//! Every replica counts, and writes what differs from what is there, for the version that it has seen.
//! Equal counts are not written again, so that at rest nobody writes.

use crate::client::{ApiError, FIELD_MANAGER, REQUEST_DEADLINE, within};
use crate::policy::known::{Found, Known, POLICIES_MAX, Policies};
use crate::policy::survey::{Tally, survey};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two counts, whatever changes: several policies are applied at once.
const PAUSE: Duration = Duration::from_secs(1);
/// A count is followed by at least so many times the time that it took.
const REST_TIMES: u32 = 10;
/// From the review of a pod to its count: it is made after it was reviewed, and seldom alone.
const AFTER_REVIEW: Duration = Duration::from_secs(2);

/// Writes statuses.
pub struct Writer {
    /// The API server.
    pub client: Client,
    /// The policies.
    pub known: Arc<Known>,
    /// From one count to the next while nothing changes.
    pub period: Duration,
}

impl Writer {
    /// Runs for ever.
    pub async fn run(self) -> Infallible {
        let mut policies = self.known.policies();
        let mut changes = self.known.changes();
        let mut reviews = self.known.reviews();
        loop {
            if policies.wait_for(|it| !it.found.is_empty()).await.is_err() {
                std::future::pending::<()>().await;
            }
            changes.mark_unchanged();
            reviews.mark_unchanged();
            let began = Instant::now();
            if let Err(error) = self.count().await {
                tracing::warn!(%error, "cannot count what policies have come to; trying again");
            }
            sleep(PAUSE.max(began.elapsed() * REST_TIMES)).await;
            // All are cancel-safe.
            tokio::select! {
                _ = changes.changed() => {}
                _ = async { (reviews.changed().await, sleep(AFTER_REVIEW).await) } => {}
                () = sleep(self.period) => {}
            }
        }
    }

    async fn count(&self) -> Result<(), ApiError> {
        let in_force = self.known.policies().borrow().in_force.clone();
        let tallies = match self.known.namespaces() {
            _ if in_force.is_empty() => Default::default(),
            Some(namespaces) => survey(&self.client, &in_force, &namespaces).await?,
            // They are being listed; the next change counts.
            None => return Ok(()),
        };
        // What was counted belongs to these; who has changed since is counted anew.
        let Policies { found, .. } = self.known.policies().borrow().clone();
        let api = super::api(self.client.clone());
        for (name, found) in &found {
            let tally = tallies.get(name);
            let same = |policy: &Arc<_>| in_force.iter().any(|it| Arc::ptr_eq(it, policy));
            if tally.is_some() && !found.policy.as_ref().is_ok_and(same) {
                continue;
            }
            let status = status(found, tally, Timestamp::now());
            if status != found.status {
                self.write(&api, name, found, &status).await;
            }
        }
        Ok(())
    }

    async fn write(&self, api: &Api<DynamicObject>, policy: &str, found: &Found, status: &Value) {
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..Default::default()
        };
        let patch = Patch::Merge(json!({
            "metadata": {"resourceVersion": found.version},
            "status": replacing(&found.status, status),
        }));
        let request = async { api.patch_status(policy, &params, &patch).await };
        match within(REQUEST_DEADLINE, request).await {
            Ok(_) => {}
            // Another replica was first, or the policy has changed.
            Err(error) if error.is_conflict() || error.is_not_found() => {
                tracing::debug!(policy, %error, "the status is not written");
            }
            Err(error) => tracing::warn!(policy, %error, "cannot write the status"),
        }
    }
}

/// A merge patch that leaves nothing of `old` that `new` does not say.
fn replacing(old: &Value, new: &Value) -> Value {
    let mut patch = new.clone();
    for key in old.as_object().into_iter().flat_map(|old| old.keys()) {
        if new.get(key).is_none() {
            patch[key] = Value::Null;
        }
    }
    patch
}

/// What a status says. A condition that stays as it was keeps its time.
fn status(found: &Found, tally: Option<&Tally>, now: Timestamp) -> Value {
    let mut status = json!({"observedGeneration": found.generation});
    let mut conditions = vec![in_force(found, tally.is_some())];
    if let Some(tally) = tally {
        for (key, count) in [
            ("namespaces", tally.namespaces),
            ("matched", tally.matched),
            ("injected", tally.injected),
            ("notYetInjected", tally.not_yet),
            ("optedOut", tally.opted_out),
            ("violating", tally.violating),
        ] {
            status[key] = json!(count);
        }
        for (key, named) in [
            ("notYetInjectedWorkloads", &tally.not_yet_named),
            ("violatingWorkloads", &tally.violating_named),
        ] {
            if !named.is_empty() {
                status[key] = json!(named);
            }
        }
        conditions.push(rolled_out(tally));
    }
    let known = found.status["conditions"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let dated = conditions.into_iter().map(|mut condition| {
        let same =
            |it: &&Value| it["type"] == condition["type"] && it["status"] == condition["status"];
        let since = known
            .iter()
            .find(same)
            .map(|it| it["lastTransitionTime"].clone());
        let now = || {
            json!(
                now.round(k8s_openapi::jiff::Unit::Second)
                    .unwrap_or(now)
                    .to_string()
            )
        };
        condition["lastTransitionTime"] = since.unwrap_or_else(now);
        condition["observedGeneration"] = json!(found.generation);
        condition
    });
    status["conditions"] = dated.collect();
    status
}

fn in_force(found: &Found, counted: bool) -> Value {
    let (status, reason, message) = match &found.policy {
        Err(problems) => ("False", "Invalid", problems.join("; ")),
        Ok(_) if !counted => (
            "False",
            "TooMany",
            format!(
                "{POLICIES_MAX} policies come before it by their names, and no more are looked at: join \
                 some of them into one"
            ),
        ),
        Ok(_) => ("True", "Valid", "it is in force".to_owned()),
    };
    json!({"type": "InForce", "status": status, "reason": reason, "message": message})
}

fn rolled_out(tally: &Tally) -> Value {
    let left = tally.not_yet + tally.violating;
    let (status, reason, message) = if left == 0 {
        let message = "each of its workloads has the sidecar or refuses it, and none violates it";
        ("True", "Complete", message.to_owned())
    } else {
        let (not_yet, violating) = (tally.not_yet, tally.violating);
        let message = format!("without the sidecar: {not_yet}, violating: {violating}");
        ("False", "WorkloadsLeft", message)
    };
    json!({"type": "RolledOut", "status": status, "reason": reason, "message": message})
}

#[cfg(test)]
mod tests;
