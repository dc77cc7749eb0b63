//! A client that sends requests at a steady rate, whatever becomes of those before.
//!
//! Each request is a new connection, as most clients' first request to a Service is.

use std::future::Future;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use crate::request::{Request, Target};

/// Milliseconds of a clock.
pub type Clock = fn() -> u64;

/// More than any rate and timeout that make sense.
const IN_FLIGHT_MAX: usize = 10_000;
/// Ports to send from, one after the other: conntrack remembers a connection for up to two
/// minutes, and would send a port that is used again to the pod of then. At 200 requests a second
/// these last longer; they are below those that the kernel gives away.
const SOURCE_PORTS: Range<u16> = 1_024..32_768;

/// What to send.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadOptions {
    /// `<ClusterIP>:<port>`.
    pub address: String,
    /// What is asked for.
    pub path: String,
    /// Requests a second.
    pub rate_per_s: u32,
    /// When a request is given up, milliseconds.
    pub timeout_ms: u64,
}

impl LoadOptions {
    /// 200 requests for `/` a second, each given up after 300 ms.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            path: "/".to_owned(),
            rate_per_s: 200,
            timeout_ms: 300,
        }
    }
}

/// A line of the client's output, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// A request that has ended.
    Request(Request),
    /// The last line: how many requests there were.
    End {
        /// As many as there are lines before.
        requests: usize,
    },
}

/// Milliseconds since 1970, which clients on other machines can be compared by.
#[must_use]
pub fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Sends until `stopped`, and writes each [`Line`] to `out`.
///
/// # Errors
/// If the address is none, or `out` cannot be written.
pub async fn run(
    options: &LoadOptions,
    clock: Clock,
    stopped: impl Future<Output = ()>,
    out: &mut impl Write,
) -> io::Result<()> {
    let address: SocketAddr = options.address.parse().map_err(|error| {
        let cause = format!("{} is no address and port: {error}", options.address);
        io::Error::new(ErrorKind::InvalidInput, cause)
    })?;
    let mut ticks = interval(Duration::from_secs(1) / options.rate_per_s.max(1));
    // A late client sends what it missed at once: the rate holds.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    // Clients of one machine hardly ever begin at the same port.
    let mut ports = SOURCE_PORTS.cycle().skip(usize::from(clock() as u16));
    let path: Arc<str> = options.path.as_str().into();
    let mut stopped = pin!(stopped);
    let mut requests = JoinSet::new();
    let mut ended = 0;
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            Some(request) = requests.join_next() => write(request, &mut ended, out)?,
            _ = ticks.tick(), if requests.len() < IN_FLIGHT_MAX => {
                let source_port = ports.next().unwrap_or_default();
                let timeout_ms = options.timeout_ms;
                let target = Target { address, path: path.clone(), source_port, timeout_ms };
                requests.spawn(target.send(clock));
            }
        }
    }
    while let Some(request) = requests.join_next().await {
        write(request, &mut ended, out)?;
    }
    print(&Line::End { requests: ended }, out)
}

fn write(
    request: Result<Request, JoinError>,
    ended: &mut usize,
    out: &mut impl Write,
) -> io::Result<()> {
    *ended += 1;
    print(&Line::Request(request?), out)
}

fn print(line: &Line, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", serde_json::to_string(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_request_has_a_line_and_the_last_line_counts_them() {
        // Nobody listens on a port that was just given back.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let options = LoadOptions::new(free.local_addr().unwrap().to_string());
        drop(free);
        let mut out = Vec::new();
        let stopped = tokio::time::sleep(Duration::from_millis(50));
        run(&options, wall_ms, stopped, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Line> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let (last, requests) = lines.split_last().unwrap();
        assert!(requests.len() > 1, "{text}");
        let count = requests.len();
        assert_eq!(*last, Line::End { requests: count });
        assert!(requests.iter().all(|line| matches!(
            line,
            Line::Request(Request {
                outcome: Err(_),
                ..
            })
        )));
    }
}
