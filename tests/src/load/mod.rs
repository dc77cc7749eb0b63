//! A client that sends requests at a steady rate, whatever becomes of those before.
//!
//! Each request is a new connection, as most clients' first request to a Service is. It runs as a
//! process of its own in the hub's network, from where ClusterIPs can be reached.

mod client;
mod request;

use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) use client::{HELPER, run};
pub use request::{Failure, Request};

use crate::clock;
use crate::cluster::{Cluster, Doing, Error, Result};

/// After the last request was given up; the client then only has to write.
const FINISH_MS: u64 = 2_000;
/// How often what has arrived is looked at.
const POLL_MS: u64 = 10;

/// What to send.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadOptions {
    /// `<ClusterIP>:<port>`.
    pub address: String,
    /// Requests a second.
    pub rate_per_s: u32,
    /// When a request is given up, milliseconds.
    pub timeout_ms: u64,
}

impl LoadOptions {
    /// 200 requests a second, each given up after 300 ms.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            rate_per_s: 200,
            timeout_ms: 300,
        }
    }
}

/// A running client. Dropping it ends it.
pub struct Load {
    process: Child,
    lifeline: Option<ChildStdin>,
    requests: Arc<Mutex<Vec<Request>>>,
    reader: JoinHandle<()>,
    timeout_ms: u64,
}

impl Load {
    /// Starts to send from the hub of `cluster`.
    ///
    /// # Errors
    /// If the client cannot be started.
    pub fn start(cluster: &Cluster, options: &LoadOptions) -> Result<Self> {
        let action = || format!("start the load on {}", options.address);
        let text = serde_json::to_string(options).doing(action)?;
        let mut process = cluster
            .hub_helper(HELPER)
            .arg(text)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .doing(action)?;
        let requests = Arc::new(Mutex::new(Vec::new()));
        let lifeline = process.stdin.take();
        let answers = process
            .stdout
            .take()
            .ok_or_else(|| Error::new(action(), "no output"))?;
        let reader = tokio::spawn(collect(answers, requests.clone()));
        Ok(Self {
            process,
            lifeline,
            requests,
            reader,
            timeout_ms: options.timeout_ms,
        })
    }

    /// Requests that have ended so far, in the order in which they ended.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }

    /// Waits until a request that was sent from now on is as `wanted` and has ended, and returns it.
    ///
    /// # Errors
    /// If there is none within `deadline_ms`.
    pub async fn until(
        &self,
        what: &str,
        deadline_ms: u64,
        wanted: impl Fn(&Request) -> bool,
    ) -> Result<Request> {
        let start_ms = clock::now_ms();
        let mut seen = lock(&self.requests).len();
        while clock::now_ms() < start_ms + deadline_ms {
            {
                let requests = lock(&self.requests);
                let new = requests[seen..]
                    .iter()
                    .filter(|request| request.sent_ms >= start_ms);
                if let Some(request) = new.into_iter().find(|request| wanted(request)) {
                    return Ok(request.clone());
                }
                seen = requests.len();
            }
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        }
        Err(Error::new(
            format!("see {what}"),
            format!("not within {deadline_ms} ms"),
        ))
    }

    /// Waits until a request that was sent from now on has been answered by `body`, or by anyone
    /// if `None`, and returns it.
    ///
    /// # Errors
    /// If none is within `deadline_ms`.
    pub async fn answered(&self, body: Option<&str>, deadline_ms: u64) -> Result<Request> {
        let what = format!("an answer of {}", body.unwrap_or("anyone"));
        let wanted = |request: &Request| match request.body() {
            Some(answered) => body.is_none_or(|body| body == answered),
            None => false,
        };
        self.until(&what, deadline_ms, wanted).await
    }

    /// Stops sending, waits for the requests in flight and returns all.
    ///
    /// # Errors
    /// If the client does not end, or has ended before.
    pub async fn stop(mut self) -> Result<Vec<Request>> {
        let action = || "stop the load".to_string();
        drop(self.lifeline.take());
        let deadline = Duration::from_millis(self.timeout_ms + FINISH_MS);
        let status = timeout(deadline, self.process.wait())
            .await
            .doing(action)?
            .doing(action)?;
        timeout(deadline, &mut self.reader)
            .await
            .doing(action)?
            .doing(action)?;
        if !status.success() {
            return Err(Error::new(action(), status));
        }
        Ok(std::mem::take(&mut *lock(&self.requests)))
    }
}

async fn collect(output: ChildStdout, requests: Arc<Mutex<Vec<Request>>>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Ok(request) = serde_json::from_str(&line) {
            lock(&requests).push(request);
        }
    }
}

/// Nobody panics while holding it.
fn lock(requests: &Mutex<Vec<Request>>) -> MutexGuard<'_, Vec<Request>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}
