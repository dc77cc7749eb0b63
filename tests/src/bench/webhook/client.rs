//! The clients: a Go program beside the floor, so that they take little of what the servers need.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::cluster::{Doing, Error, Result};

/// Longest wait for one answer of the program.
const DEADLINE: Duration = Duration::from_secs(60);

/// Whom clients ask, and what.
pub(super) struct Asked<'a> {
    /// The program.
    pub(super) program: &'a Path,
    /// The server.
    pub(super) address: &'a str,
    /// The name in its certificate.
    pub(super) name: &'a str,
    /// File with the authority behind that.
    pub(super) authority: &'a Path,
    /// File with the request.
    pub(super) request: &'a Path,
}

/// What came of reviews that were sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Sent {
    pub(super) reviews: usize,
    pub(super) us: u64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
}

/// Clients of one server. Dropping them ends them.
pub(super) struct Clients {
    _process: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Clients {
    /// Starts the program for so many clients, which do not connect before they must.
    ///
    /// # Errors
    /// If it does not start.
    pub(super) fn start(asked: &Asked<'_>, count: usize) -> Result<Self> {
        let action = || format!("start {}", asked.program.display());
        let mut process = Command::new(asked.program)
            .args([asked.address, asked.name])
            .args([asked.authority, asked.request])
            .arg(count.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .doing(action)?;
        let pipes = process.stdin.take().zip(process.stdout.take());
        let (commands, answers) = pipes.ok_or_else(|| Error::new(action(), "it has no pipes"))?;
        Ok(Self {
            _process: process,
            commands,
            answers: BufReader::new(answers).lines(),
        })
    }

    /// Waits until the server answers a review well.
    ///
    /// # Errors
    /// If it does not.
    pub(super) async fn first(&mut self) -> Result<()> {
        self.order("first").await.map(drop)
    }

    /// Lets each send one review after the other, until there were so many of them in all or this
    /// time is over.
    ///
    /// # Errors
    /// If one is not answered well.
    pub(super) async fn send(&mut self, reviews: usize, time: Duration) -> Result<Sent> {
        let order = format!("send {reviews} {}", time.as_millis());
        let answer = self.order(&order).await?;
        serde_json::from_str(&answer).doing(|| order)
    }

    async fn order(&mut self, order: &str) -> Result<String> {
        let action = || format!("{order:?} of the clients");
        let line = format!("{order}\n");
        self.commands
            .write_all(line.as_bytes())
            .await
            .doing(action)?;
        let answer = timeout(DEADLINE, self.answers.next_line()).await;
        let answer = answer.doing(action)?.doing(action)?;
        answer.ok_or_else(|| Error::new(action(), "they have ended, as they say above"))
    }
}
