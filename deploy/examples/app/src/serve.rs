//! Answers every GET with the name of its pod, so that a client sees who serves it.
//!
//! When it is told to stop it closes its listener at once, as many programs do, or lingers. Whether
//! a client notices is then up to whoever routes the traffic.

use std::future::Future;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Where the app listens unless it is told otherwise.
pub const PORT: u16 = 8080;
const CONNECTIONS_MAX: usize = 1024;
const REQUEST_BYTES_MAX: usize = 8 * 1024;
const REQUEST_MS: u64 = 5_000;
/// How long requests in flight may take after the end was asked for.
const FINISH_MS: u64 = 100;

/// How to serve.
#[derive(Debug, Clone)]
pub struct Options {
    /// The answer.
    pub name: String,
    /// Where to listen.
    pub port: u16,
    /// How long to go on as before after the end was asked for, milliseconds.
    pub linger_ms: u64,
}

/// Serves until `stopped`.
///
/// # Errors
/// If the port cannot be listened on.
pub async fn run(options: &Options, stopped: impl Future<Output = ()>) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, options.port)).await?;
    let linger = Duration::from_millis(options.linger_ms);
    let mut stopped = pin!(async {
        stopped.await;
        if !linger.is_zero() {
            sleep(linger).await;
        }
    });
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            Some(_) = requests.join_next() => {}
            // A connection that fails while it is accepted is the client's loss.
            Ok((stream, _)) = listener.accept(), if requests.len() < CONNECTIONS_MAX => {
                let answer = answer(stream, options.name.clone());
                requests.spawn(timeout(Duration::from_millis(REQUEST_MS), answer));
            }
        }
    }
    drop(listener);
    let finish = async { while requests.join_next().await.is_some() {} };
    // Whatever has not finished by then is cut off.
    timeout(Duration::from_millis(FINISH_MS), finish)
        .await
        .unwrap_or_default();
    Ok(())
}

/// One request a connection.
async fn answer(mut stream: TcpStream, name: String) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let size = stream.read(&mut buffer).await?;
        if size == 0 || request.len() + size > REQUEST_BYTES_MAX {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..size]);
    }
    let (status, body) = if request.starts_with(b"GET /healthz ") {
        ("200 OK", "ok\n".to_string())
    } else if request.starts_with(b"GET ") {
        ("200 OK", format!("{name}\n"))
    } else {
        ("405 Method Not Allowed", "GET only\n".to_string())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.shutdown().await
}
