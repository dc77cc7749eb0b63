//! The own pod before anything else is known: read, and labelled as one of the group.

use super::{Asked, Peers, Refused};
use crate::api::pods_path;
use crate::cause::Causes;
use crate::client::{self, MERGE_PATCH};
use crate::object;
use crate::sight::{NO_CHANGE, PodSight};
use common::pod::Pod;
use http::Method;
use kube::Client;
use serde_json::{Map, json};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long the API server is asked before the process ends, milliseconds: a pod's network may come
/// up after its containers.
const ASKED_MS_MAX: u64 = 20_000;
/// Longest time for one answer, and between two attempts, milliseconds.
const ANSWER_MS_MAX: u64 = 3_000;
const RETRY_MS: u64 = 500;

/// Reads it.
///
/// # Errors
/// If the API server does not show it for some time.
pub(super) async fn read(asked: &Asked, sight: PodSight, client: &Client) -> Result<Pod, Refused> {
    match sight {
        PodSight::Watched | PodSight::Listed | PodSight::OwnRead => {
            ask(asked, client, Method::GET, None).await
        }
        PodSight::OwnPatched => ask(asked, client, Method::PATCH, Some(NO_CHANGE)).await,
        PodSight::Imagined => {
            let pod = json!({"metadata": {
                "name": asked.pod, "uid": asked.pod, "resourceVersion": "1",
            }});
            let pod = serde_json::from_value(pod);
            pod.map_err(|error| Refused::new(asked.seed, error.to_string()))
        }
    }
}

/// Labels it as one that takes part, and as passive until it is told otherwise, where it shows by
/// labels that it is one of the group.
///
/// # Errors
/// If the API server does not take that for some time.
pub(super) async fn enrol(asked: &Asked, pod: &Pod, client: &Client) -> Result<(), Refused> {
    let role_key = &asked.role_label.key;
    // Where nobody else sees it, a label that an earlier run has left is taken off here.
    let keeps = match asked.peers {
        Peers::SameLabels(_) | Peers::Unknown => return Ok(()),
        Peers::Having(_) => pod.metadata.label(role_key).is_some(),
        Peers::Own => false,
    };
    let mut labels = Map::new();
    if !keeps && asked.shows_role {
        labels.insert(role_key.clone(), json!(asked.role_label.passive));
    }
    if let Some((key, value)) = asked.mark.label(&pod.metadata.uid) {
        labels.insert(key.to_owned(), json!(value));
    }
    let patch = json!({"metadata": {"labels": labels}}).to_string();
    ask(asked, client, Method::PATCH, Some(&patch))
        .await
        .map(drop)
}

/// One request about it, until it is answered well.
async fn ask(
    asked: &Asked,
    client: &Client,
    method: Method,
    patch: Option<&str>,
) -> Result<Pod, Refused> {
    let path = format!("{}/{}", pods_path(&asked.namespace), asked.pod);
    let began = Instant::now();
    loop {
        let body = patch.map(|patch| (MERGE_PATCH, patch.as_bytes().to_vec()));
        let request = client::request(method.clone(), &path, body);
        let call = client::call(client, request);
        let answer = timeout(Duration::from_millis(ANSWER_MS_MAX), call).await;
        let problem = match answer {
            Ok(Ok(reply)) if reply.status.is_success() => match object::read(&reply.body) {
                Ok(pod) => return Ok(pod),
                Err(error) => error.to_string(),
            },
            Ok(Ok(reply)) => reply.message(),
            Ok(Err(error)) => Causes(&error).to_string(),
            Err(_) => format!("no answer within {ANSWER_MS_MAX} ms"),
        };
        if began.elapsed() > Duration::from_millis(ASKED_MS_MAX) {
            let action = if patch.is_some() { "label" } else { "read" };
            let message = format!("{action} pod {}: {problem}", asked.pod);
            return Err(Refused::new(asked.seed, message));
        }
        tracing::debug!(problem, "the own pod cannot be read yet");
        sleep(Duration::from_millis(RETRY_MS)).await;
    }
}
