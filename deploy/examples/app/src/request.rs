//! One request and what became of it.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::load::Clock;

const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// A request that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Before the connection was opened, milliseconds of the client's clock.
    pub sent_ms: u64,
    /// When it was answered or given up, milliseconds of the client's clock.
    pub ended_ms: u64,
    /// The trimmed body of an answer with status 200, or why there is none.
    pub outcome: Result<String, Failure>,
}

/// Why a request has no good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// Nobody listens.
    Refused,
    /// The connection was not accepted in time.
    ConnectTimeout,
    /// The connection was accepted, the answer did not come in time.
    AnswerTimeout,
    /// The connection was cut.
    Reset,
    /// The answer has another status than 200, or is none.
    NotOk,
    /// Anything else, such as no route.
    Other,
}

impl Request {
    /// Body of a good answer.
    #[must_use]
    pub fn body(&self) -> Option<&str> {
        self.outcome.as_deref().ok()
    }
}

/// Where a request goes.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) path: Arc<str>,
    pub(crate) source_port: u16,
    pub(crate) timeout_ms: u64,
}

impl Target {
    /// Sends one request over a connection of its own.
    pub(crate) async fn send(self, clock: Clock) -> Request {
        let sent_ms = clock();
        let mut connected = false;
        let timeout_ms = self.timeout_ms;
        let ask = self.ask(&mut connected);
        let ended = timeout(Duration::from_millis(timeout_ms), ask).await;
        let outcome = match ended {
            Ok(Ok(answer)) => body(&answer).ok_or(Failure::NotOk),
            Ok(Err(error)) => Err(failure(&error)),
            Err(_) if connected => Err(Failure::AnswerTimeout),
            Err(_) => Err(Failure::ConnectTimeout),
        };
        Request {
            sent_ms,
            ended_ms: clock(),
            outcome,
        }
    }

    async fn ask(self, connected: &mut bool) -> io::Result<String> {
        let mut stream = self.connect().await?;
        *connected = true;
        let Self { address, path, .. } = self;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream
            .take(ANSWER_BYTES_MAX)
            .read_to_string(&mut answer)
            .await?;
        Ok(answer)
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let (socket, any) = match self.address {
            SocketAddr::V4(_) => (TcpSocket::new_v4()?, Ipv4Addr::UNSPECIFIED.into()),
            SocketAddr::V6(_) => (TcpSocket::new_v6()?, Ipv6Addr::UNSPECIFIED.into()),
        };
        socket.set_reuseaddr(true)?;
        match socket.bind(SocketAddr::new(any, self.source_port)) {
            // Somebody listens there: the kernel finds another port.
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            bound => bound?,
        }
        socket.connect(self.address).await
    }
}

fn body(answer: &str) -> Option<String> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ")
        .then(|| body.trim().to_string())
}

fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionRefused => Failure::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
            Failure::Reset
        }
        ErrorKind::TimedOut => Failure::ConnectTimeout,
        _ => Failure::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_status_200_is_a_good_answer() {
        assert_eq!(
            body("HTTP/1.1 200 OK\r\nA: b\r\n\r\nweb-1\n"),
            Some("web-1".into())
        );
        assert_eq!(body("HTTP/1.1 503 No\r\n\r\nweb-1\n"), None);
        assert_eq!(body(""), None);
    }
}
