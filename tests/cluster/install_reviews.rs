//! Annotated pods, created as dry runs one after the other while something happens to the webhook.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use common::contract;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use serde_json::json;
use tests::cluster::Cluster;
use tests::cluster::images::Kind;
use tokio::task::JoinHandle;

/// From one review to the next, milliseconds.
const EVERY_MS: u64 = 20;
/// Failures that are told of.
const TOLD_MAX: usize = 20;

/// Reviews that go on until they are judged.
pub(crate) struct Reviews {
    over: Arc<AtomicBool>,
    running: JoinHandle<Outcome>,
}

/// What became of them.
pub(crate) struct Outcome {
    pub(crate) reviews: usize,
    /// When one failed, since the first of them began, and why.
    pub(crate) failed: Vec<(Duration, String)>,
}

impl Reviews {
    /// Begins.
    pub(crate) fn start(cluster: &Cluster) -> Result<Self> {
        let pods: Api<Pod> = Api::namespaced(cluster.client(), "default");
        let pod: Pod = serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": "probe-",
                "annotations": {contract::INJECT: "true", contract::GROUP: "probe"},
            },
            "spec": {"containers": [{"name": "app", "image": Kind::ExampleApp.name()}]},
        }))?;
        let over = Arc::new(AtomicBool::new(false));
        let running = tokio::spawn(create(pods, pod, over.clone()));
        Ok(Self { over, running })
    }

    /// Ends them.
    pub(crate) async fn end(self) -> Result<Outcome> {
        self.over.store(true, Ordering::Relaxed);
        Ok(self.running.await?)
    }

    /// Ends them; every single pod got the sidecar while this `happened`.
    pub(crate) async fn all_injected(self, happened: &str) -> Result<()> {
        let Outcome { reviews, failed } = self.end().await?;
        println!("{reviews} reviews during {happened}");
        ensure!(
            failed.is_empty(),
            "{} of {reviews} failed during {happened}: {:#?}",
            failed.len(),
            &failed[..failed.len().min(TOLD_MAX)]
        );
        ensure!(reviews > 0, "nothing was reviewed during {happened}");
        Ok(())
    }
}

async fn create(pods: Api<Pod>, pod: Pod, over: Arc<AtomicBool>) -> Outcome {
    let dry_run = PostParams {
        dry_run: true,
        ..Default::default()
    };
    let (start, mut reviews, mut failed) = (Instant::now(), 0, Vec::new());
    let mut tick = tokio::time::interval(Duration::from_millis(EVERY_MS));
    while !over.load(Ordering::Relaxed) {
        tick.tick().await;
        reviews += 1;
        match pods.create(&dry_run, &pod).await {
            Ok(pod) if is_injected(&pod) => {}
            Ok(_) => failed.push((start.elapsed(), "not injected".into())),
            Err(error) => failed.push((start.elapsed(), error.to_string())),
        }
    }
    Outcome { reviews, failed }
}

fn is_injected(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let containers = spec.and_then(|spec| spec.init_containers.as_deref());
    let mut containers = containers.unwrap_or_default().iter();
    containers.any(|container| container.name == contract::CONTAINER)
}
