//! The exec probe of pods on the host's network, where the kubelet's own HTTP probe might reach
//! another pod that has the same port.

use common::contract::path;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Longest time for each part of the probe, milliseconds.
const STEP_MS_MAX: u64 = 1_000;

/// Why the probe fails.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nothing listens, or nothing answers.
    #[error("ask the sidecar on port {port}")]
    Ask {
        /// The port.
        port: u16,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// It answers that it is not alive.
    #[error("the sidecar answered {0:?}")]
    Unwell(String),
}

/// Asks the sidecar on this port whether it is alive.
///
/// # Errors
/// [`ProbeError`] unless it says yes.
pub fn livez(port: u16) -> Result<(), ProbeError> {
    let answer = ask(port).map_err(|source| ProbeError::Ask { port, source })?;
    if answer.starts_with("HTTP/1.1 200 ") {
        Ok(())
    } else {
        Err(ProbeError::Unwell(answer))
    }
}

/// The start of the answer.
fn ask(port: u16) -> std::io::Result<String> {
    const ANSWER_BYTES_MAX: u64 = 256;
    let limit = Duration::from_millis(STEP_MS_MAX);
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&v4, limit)
        .or_else(|_| TcpStream::connect_timeout(&v6, limit))?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    // In one piece: one packet, and a server that reads once has it all.
    let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path::LIVEZ);
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn probed(answer: &'static str) -> Result<(), ProbeError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            let read = stream.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"GET /livez HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let result = livez(port);
        server.join().unwrap();
        result
    }

    #[test]
    fn the_answer_decides() {
        assert!(probed("HTTP/1.1 200 OK\r\n\r\nok\n").is_ok());
        let error = probed("HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap_err();
        assert!(error.to_string().contains("503"), "{error}");
    }
}
