//! The own pod, read before anything else is known.

use super::{Asked, Refused};
use crate::api::pods_path;
use crate::cause::Causes;
use crate::client;
use crate::object;
use common::pod::Pod;
use http::Method;
use kube::Client;
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
pub(super) async fn read(asked: &Asked, client: &Client) -> Result<Pod, Refused> {
    let path = format!("{}/{}", pods_path(&asked.namespace), asked.pod);
    let began = Instant::now();
    loop {
        let call = client::call(client, client::request(Method::GET, &path, None));
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
            let message = format!("read pod {}: {problem}", asked.pod);
            return Err(Refused::new(asked.seed, message));
        }
        tracing::debug!(problem, "the own pod cannot be read yet");
        sleep(Duration::from_millis(RETRY_MS)).await;
    }
}
