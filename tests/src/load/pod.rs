//! The client in a pod, for clusters whose Services cannot be reached from this machine.

use std::pin::Pin;
use std::time::Duration;

use futures_util::io::{AsyncBufReadExt, Lines};
use futures_util::{AsyncBufRead, StreamExt};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, LogParams, PostParams};
use serde_json::json;

use super::{LoadOptions, Shared};
use crate::clock;
use crate::cluster::{Doing, Error, Result};

/// How long the pod may take to run, image pull included, milliseconds.
const START_DEADLINE_MS: u64 = 60_000;
const START_POLL_MS: u64 = 200;
/// How long the client may take to end, seconds: its requests in flight.
const GRACE_S: u32 = 5;
const CONTAINER: &str = "load";

/// What the pod prints.
type Log = Lines<Pin<Box<dyn AsyncBufRead + Send>>>;

/// A pod that sends.
pub(super) struct Sender {
    api: Api<Pod>,
    name: String,
}

impl Sender {
    /// Starts the pod and follows what it prints.
    pub(super) async fn start(
        api: Api<Pod>,
        image: &str,
        options: &LoadOptions,
    ) -> Result<(Self, Log)> {
        let action = || "start the pod that sends requests".to_string();
        let options = serde_json::to_string(options).doing(action)?;
        let pod = serde_json::from_value(manifest(image, &options)).doing(action)?;
        let created = api.create(&PostParams::default(), &pod).await;
        let name = created.doing(action)?.name_any();
        let sender = Self { api, name };
        sender.running().await?;
        let follow = LogParams {
            follow: true,
            ..LogParams::default()
        };
        let log = sender.api.log_stream(&sender.name, &follow).await;
        let log = log.doing(|| "follow the log of the pod that sends".into())?;
        let log: Pin<Box<dyn AsyncBufRead + Send>> = Box::pin(log);
        Ok((sender, log.lines()))
    }

    async fn running(&self) -> Result<()> {
        let start_ms = clock::now_ms();
        let mut state = "it has no node".to_owned();
        while clock::now_ms() < start_ms + START_DEADLINE_MS {
            let pod = self.api.get(&self.name).await;
            let status = pod.doing(|| format!("look at pod {}", self.name))?.status;
            let status = status.unwrap_or_default();
            if status.phase.as_deref() == Some("Running") {
                return Ok(());
            }
            let containers = status.container_statuses.unwrap_or_default();
            if let Some(reason) = containers.first().and_then(waits_for) {
                state = reason;
            }
            tokio::time::sleep(Duration::from_millis(START_POLL_MS)).await;
        }
        let cause = format!("not within {START_DEADLINE_MS} ms: {state}");
        Err(Error::new(format!("start pod {}", self.name), cause)
            .cure("look whether the nodes can pull the images below IMAGES"))
    }

    /// Asks the client to end; what it prints ends with it.
    pub(super) async fn stop(&self) -> Result<()> {
        let grace = DeleteParams::default().grace_period(GRACE_S);
        let deleted = self.api.delete(&self.name, &grace).await;
        deleted.map(drop).doing(|| format!("end pod {}", self.name))
    }
}

fn waits_for(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or_default();
    Some(format!(
        "{reason} {}",
        waiting.message.as_deref().unwrap_or_default()
    ))
}

fn manifest(image: &str, options: &str) -> serde_json::Value {
    json!({
        "metadata": {"generateName": "load-"},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": GRACE_S,
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": CONTAINER,
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "args": ["load", options],
                "resources": {"requests": {"cpu": "50m", "memory": "16Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": true,
                },
            }],
        },
    })
}

/// Reads to the end of the log.
pub(super) async fn collect(mut lines: Log, seen: Shared) {
    while let Some(Ok(line)) = lines.next().await {
        seen.take(&line);
    }
}
