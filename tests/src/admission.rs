//! Many pods as fast as a real API server takes them, and how long it waited for the webhook about
//! each, by its own figures.
//!
//! The pods have a scheduling gate: they are created and run nowhere.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::contract;
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use http::Request;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cluster::{Cluster, Doing, Error, Result};

/// Pods of each kind.
pub const PODS: usize = 1_000;
/// Requests at once.
const AT_ONCE: usize = 32;
/// How long it may take until reviews reach the webhook.
const FIRST_DEADLINE: Duration = Duration::from_secs(15);
/// How long the controllers may take to create them all.
const SCALED_DEADLINE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(250);
const DURATIONS: &str = "apiserver_admission_webhook_admission_duration_seconds_bucket";
const ENTRY: &str = "name=\"inject.active-passive.dev\"";

/// What became of [`PODS`] pods, all of which got exactly one sidecar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Admitted {
    /// From the first request to the last pod, milliseconds.
    pub ms: u64,
    /// The API server waited at most so long for the webhook in half of the cases, milliseconds: the
    /// upper limit of the bucket of its histogram.
    pub p50_ms: f64,
    /// The same for 99 of 100.
    pub p99_ms: f64,
}

/// A pod that asks for the sidecar and runs nowhere, as a template.
fn template(group: &str) -> Value {
    json!({
        "metadata": {
            "labels": {"app": group},
            "annotations": {contract::INJECT: "true", contract::GROUP: group},
        },
        "spec": {
            "schedulingGates": [{"name": "example.com/never"}],
            "containers": [{"name": "app", "image": "app:1"}],
        },
    })
}

/// Creates a first pod, whose group gets its account, and then the others as dry runs, from
/// [`AT_ONCE`] clients.
///
/// # Errors
/// If one is refused, or has not exactly one sidecar.
pub async fn dry_runs(cluster: &Cluster, namespace: &str) -> Result<Admitted> {
    let action = || "create pods as dry runs".to_owned();
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let mut pod = template("dry");
    pod["metadata"]["generateName"] = json!("dry-");
    let pod: Pod = serde_json::from_value(pod).doing(action)?;
    first(&pods, &pod).await.doing(action)?;
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let before = durations(cluster).await?;
    let began = Instant::now();
    let created: Vec<Pod> = iter(0..PODS)
        .map(|_| pods.create(&dry_run, &pod))
        .buffered(AT_ONCE)
        .try_collect()
        .await
        .doing(action)?;
    let ms = elapsed_ms(began);
    injected(&created)?;
    let after = durations(cluster).await?;
    Admitted::of(ms, &before, &after)
}

/// Creates a pod, once the nodes lead to a webhook that has just become ready.
async fn first(pods: &Api<Pod>, pod: &Pod) -> kube::Result<Pod> {
    let began = Instant::now();
    loop {
        let created = pods.create(&PostParams::default(), pod).await;
        if created.is_ok() || began.elapsed() > FIRST_DEADLINE {
            return created;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Scales a Deployment to as many pods, which its controllers create as fast as they can.
///
/// # Errors
/// If they are not there in time, or one has not exactly one sidecar.
pub async fn scaled(cluster: &Cluster, namespace: &str) -> Result<Admitted> {
    let action = || format!("scale a Deployment to {PODS} pods");
    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), namespace);
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let deployment = serde_json::from_value(json!({
        "metadata": {"name": "scaled"},
        "spec": {
            "replicas": PODS,
            "selector": {"matchLabels": {"app": "scaled"}},
            "template": template("scaled"),
        },
    }));
    let before = durations(cluster).await?;
    let began = Instant::now();
    deployments
        .create(&PostParams::default(), &deployment.doing(action)?)
        .await
        .doing(action)?;
    let ours = ListParams::default().labels("app=scaled");
    let (ms, created) = loop {
        let names = pods.list_metadata(&ours).await.doing(action)?.items.len();
        if names >= PODS {
            break (elapsed_ms(began), pods.list(&ours).await.doing(action)?);
        }
        if began.elapsed() > SCALED_DEADLINE {
            let cause = format!("there are {names} after {SCALED_DEADLINE:?}");
            return Err(Error::new(action(), cause));
        }
        tokio::time::sleep(POLL).await;
    };
    injected(&created.items)?;
    let after = durations(cluster).await?;
    let gone = DeleteParams::background();
    deployments.delete("scaled", &gone).await.doing(action)?;
    Admitted::of(ms, &before, &after)
}

/// All of them are there, and each has exactly one sidecar.
fn injected(pods: &[Pod]) -> Result<()> {
    let sidecars = |pod: &&Pod| {
        let spec = pod.spec.as_ref();
        let containers = spec.and_then(|spec| spec.init_containers.as_deref());
        let names = containers.unwrap_or_default().iter();
        names
            .filter(|container| container.name == contract::CONTAINER)
            .count()
    };
    let wrong = pods.iter().filter(|pod| sidecars(pod) != 1).count();
    if pods.len() == PODS && wrong == 0 {
        return Ok(());
    }
    let cause = format!(
        "of {} pods {wrong} have not exactly one sidecar",
        pods.len()
    );
    Err(Error::new(format!("inject {PODS} pods"), cause))
}

fn elapsed_ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// How often the webhook was waited for at most so many seconds.
type Durations = BTreeMap<String, u64>;

async fn durations(cluster: &Cluster) -> Result<Durations> {
    let action = || "read the API server's figures".to_owned();
    let request = Request::get("/metrics").body(Vec::new()).doing(action)?;
    let page = cluster.client().request_text(request).await.doing(action)?;
    let mut counts = Durations::new();
    for line in page.lines() {
        if !line.starts_with(DURATIONS) || !line.contains(ENTRY) {
            continue;
        }
        let bucket = line.rsplit_once(' ').and_then(|(labels, count)| {
            let (_, rest) = labels.split_once("le=\"")?;
            Some((rest.split('"').next()?, count.parse::<f64>().ok()?))
        });
        let (le, count) = bucket.ok_or_else(|| Error::new(action(), line))?;
        *counts.entry(le.to_owned()).or_default() += count as u64;
    }
    Ok(counts)
}

impl Admitted {
    fn of(ms: u64, before: &Durations, after: &Durations) -> Result<Self> {
        let mut buckets: Vec<(f64, u64)> = after
            .iter()
            .map(|(le, count)| {
                let limit_s = le.parse().unwrap_or(f64::INFINITY);
                (limit_s, count - before.get(le).copied().unwrap_or(0))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all = buckets.last().map_or(0, |(_, count)| *count);
        if (all as usize) < PODS {
            let cause = format!("only {all} calls of the webhook are counted");
            return Err(Error::new("read the API server's figures", cause));
        }
        let at = |part: f64| {
            let wanted = (all as f64 * part).ceil() as u64;
            let bucket = buckets.iter().find(|(_, count)| *count >= wanted);
            bucket.map_or(f64::INFINITY, |(limit_s, _)| limit_s * 1_000.0)
        };
        Ok(Self {
            ms,
            p50_ms: at(0.5),
            p99_ms: at(0.99),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_limits_of_buckets() {
        let counts = |all: [u64; 3]| {
            let limits = ["0.005", "0.025", "+Inf"].map(str::to_owned);
            limits.into_iter().zip(all).collect::<Durations>()
        };
        let before = counts([100, 100, 100]);
        let admitted = Admitted::of(7, &before, &counts([700, 1_095, 1_100])).unwrap();
        assert_eq!((admitted.p50_ms, admitted.p99_ms), (5.0, 25.0));
        assert!(Admitted::of(7, &before, &counts([700, 900, 900])).is_err());
    }
}
