//! One system's manifest on the cluster, and what is asked of it.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, ListParams};
use serde_json::Value;
use tests::cluster::images;
use tests::observe;

use super::journal::{Entries, Journal, Kind};
use crate::context::Context;

/// How long a group may take to settle, milliseconds: its pods start beside those of others.
pub(crate) const SETTLED_MS: u64 = 60_000;

/// A manifest that was applied, and a journal of what has become of it.
pub(crate) struct Stage<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) journal: Journal,
}

impl<'a> Stage<'a> {
    /// Applies a manifest.
    pub(crate) async fn open(context: &'a Context<'a>, manifest: &str) -> Result<Self> {
        let journal = Journal::open(&context.cluster.client(), &context.namespace);
        let args = ["--namespace", &context.namespace, "apply", "-f", "-"];
        context.cluster.kubectl_with_input(&args, manifest).await?;
        Ok(Self { context, journal })
    }

    /// Waits until `found` finds something in the journal.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        timeout_ms: u64,
        found: impl Fn(&Entries) -> Option<T>,
    ) -> Result<T> {
        let found = self.journal.until(timeout_ms, found).await;
        found.with_context(|| format!("{what}: not within {timeout_ms} ms"))
    }

    /// Deletes a pod as `kubectl delete` does.
    pub(crate) async fn delete(&self, pod: &str) -> Result<()> {
        let pods = self.context.api::<Pod>();
        pods.delete(pod, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Labels a pod as a person would.
    pub(crate) async fn label(&self, pod: &str, label: &str) -> Result<()> {
        let args = ["label", "pod", pod, label, "--overwrite"];
        self.context.kubectl(&args).await.map(drop)
    }

    /// The pods that the namespace's Services lead to.
    pub(crate) async fn led_to(&self) -> Result<Vec<String>> {
        let slices = self.context.api::<EndpointSlice>();
        let slices = slices.list(&ListParams::default()).await?.items.into_iter();
        let endpoints = slices.flat_map(|slice| slice.endpoints);
        let pods = endpoints.filter_map(|endpoint| endpoint.target_ref?.name);
        Ok(pods.collect())
    }

    /// uid of a pod.
    pub(crate) fn uid(&self, pod: &str) -> Result<String> {
        let entries = self.journal.entries();
        let pods = entries.now(Kind::Pod);
        let uid = pods.get(pod).and_then(|pod| text(pod, "/metadata/uid"));
        uid.map(str::to_owned)
            .with_context(|| format!("{pod} has no uid"))
    }
}

/// A README's manifest with the image of ours in the place of `image`, and the example app in the place
/// of the apps that it names. No registry can be asked here, so nothing is pulled always.
pub(crate) fn with_our_image(manifest: &str, image: &str) -> Result<String> {
    let theirs = format!("image: {image}\n");
    ensure!(manifest.contains(&theirs), "the manifest has no {image}");
    let ours = format!("image: {}\n", images::Kind::Sidecar.name());
    let app = format!("image: {}\n", images::Kind::ExampleApp.name());
    Ok(manifest
        .replace(&theirs, &ours)
        .replace("image: APP\n", &app)
        .replace("imagePullPolicy: Always", "imagePullPolicy: IfNotPresent"))
}

/// A text in an object.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}

/// The value of a label.
pub(crate) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/labels")?.get(key)?.as_str()
}

/// holderIdentity of a Lease.
pub(crate) fn holder(lease: &Value) -> &str {
    text(lease, "/spec/holderIdentity").unwrap_or_default()
}

/// Whether a pod is reported ready, and not on its way out.
pub(crate) fn is_ready(pod: &Value) -> bool {
    let pod: Option<Pod> = serde_json::from_value(pod.clone()).ok();
    pod.is_some_and(|pod| observe::is_ready(&pod) && pod.metadata.deletion_timestamp.is_none())
}

/// Names of the pods that are ready and not on their way out, and `None` while there are others, or
/// not so many.
pub(crate) fn ready_pods(entries: &Entries, count: usize) -> Option<Vec<&str>> {
    let pods = entries.now(Kind::Pod);
    let all = pods.len() == count && pods.values().all(|pod| is_ready(pod));
    all.then(|| pods.into_keys().collect())
}
