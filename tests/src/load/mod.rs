//! Requests at a steady rate while something happens: the example's client, as a process of its own
//! in the hub's network, from where ClusterIPs can be reached, or as a pod.

mod client;
mod pod;

use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use example_app::load::{Clock, Line, wall_ms};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) use client::{HELPER, run};
pub use example_app::load::LoadOptions;
pub use example_app::request::{Failure, Request};

use crate::clock;
use crate::cluster::{Cluster, Doing, Error, Result};

/// After the last request was given up; the client then only has to write.
const FINISH_MS: u64 = 2_000;
/// A pod's end takes a while to be told.
const POD_FINISH_MS: u64 = 15_000;
/// How often what has arrived is looked at.
const POLL_MS: u64 = 10;

/// A running client. Dropping it ends it, if it is a process.
pub struct Load {
    sender: Sender,
    seen: Shared,
    reader: JoinHandle<()>,
    clock: Clock,
    timeout_ms: u64,
}

enum Sender {
    Process {
        process: Child,
        lifeline: Option<ChildStdin>,
    },
    Pod(pod::Sender),
}

/// What a client has printed so far.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    /// How many there were, once the client has ended.
    end: Option<usize>,
}

impl Shared {
    fn take(&self, line: &str) {
        match serde_json::from_str(line) {
            Ok(Line::Request(request)) => self.lock().requests.push(request),
            Ok(Line::End { requests }) => self.lock().end = Some(requests),
            // The count at the end tells that a line is missing.
            Err(_) => {}
        }
    }

    /// Nobody panics while holding it.
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    /// Starts to send from the hub of `cluster`. Times are those of [`clock::now_ms`].
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
        let seen = Shared::default();
        let lifeline = process.stdin.take();
        let answers = process
            .stdout
            .take()
            .ok_or_else(|| Error::new(action(), "no output"))?;
        let reader = tokio::spawn(collect(answers, seen.clone()));
        Ok(Self {
            sender: Sender::Process { process, lifeline },
            seen,
            reader,
            clock: clock::now_ms,
            timeout_ms: options.timeout_ms,
        })
    }

    /// Starts to send from a pod of the example's image. Times are those of [`wall_ms`] on the node
    /// of the pod.
    ///
    /// # Errors
    /// If the pod does not run in time.
    pub async fn start_pod(api: Api<Pod>, image: &str, options: &LoadOptions) -> Result<Self> {
        let (sender, lines) = pod::Sender::start(api, image, options).await?;
        let seen = Shared::default();
        let reader = tokio::spawn(pod::collect(lines, seen.clone()));
        Ok(Self {
            sender: Sender::Pod(sender),
            seen,
            reader,
            clock: wall_ms,
            timeout_ms: options.timeout_ms,
        })
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
        let start_ms = (self.clock)();
        let mut seen = self.seen.lock().requests.len();
        while (self.clock)() < start_ms + deadline_ms {
            {
                let requests = &self.seen.lock().requests;
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

    /// Stops sending, waits for the requests in flight and returns all, in the order in which they
    /// ended.
    ///
    /// # Errors
    /// If the client does not end, has ended before, or not all of its lines have arrived.
    pub async fn stop(mut self) -> Result<Vec<Request>> {
        let action = || "stop the load".to_string();
        let finish_ms = match &mut self.sender {
            Sender::Process { process, lifeline } => {
                drop(lifeline.take());
                let deadline = Duration::from_millis(self.timeout_ms + FINISH_MS);
                let ended = timeout(deadline, process.wait()).await.doing(action)?;
                let status = ended.doing(action)?;
                if !status.success() {
                    return Err(Error::new(action(), status));
                }
                FINISH_MS
            }
            Sender::Pod(pod) => {
                pod.stop().await?;
                POD_FINISH_MS
            }
        };
        let read = timeout(Duration::from_millis(finish_ms), &mut self.reader).await;
        read.doing(action)?.doing(action)?;
        let mut seen = self.seen.lock();
        let (have, sent) = (seen.requests.len(), seen.end);
        if sent != Some(have) {
            let cause = match sent {
                Some(sent) => format!("{sent} requests were sent, {have} were told of"),
                None => "the client ended too early".into(),
            };
            return Err(Error::new(action(), cause));
        }
        Ok(std::mem::take(&mut seen.requests))
    }
}

async fn collect(output: ChildStdout, seen: Shared) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        seen.take(&line);
    }
}
