//! Clients that ask as an API server does: over TLS, each on a connection that it keeps, one review
//! after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::cluster::{Doing, Error, Result};

/// Longest wait for one answer.
const DEADLINE: Duration = Duration::from_secs(10);
const HEAD_END: &str = "\r\n\r\n";

/// A server that answers reviews.
#[derive(Clone)]
pub(super) struct Target {
    address: SocketAddr,
    name: ServerName<'static>,
    tls: TlsConnector,
}

impl Target {
    /// The server at `address`, which must be `name` by a certificate of `authority` (PEM).
    ///
    /// # Errors
    /// If there is no such name or authority.
    pub(super) fn new(address: SocketAddr, name: &str, authority: &[u8]) -> Result<Self> {
        let action = || format!("prepare clients for {address}");
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority) {
            roots.add(certificate.doing(action)?).doing(action)?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .doing(action)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            address,
            name: ServerName::try_from(name.to_owned()).doing(action)?,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    async fn connect(&self) -> Result<Connection> {
        let connected = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            self.tls.connect(self.name.clone(), stream).await
        };
        let action = || format!("connect to {}", self.address);
        let stream = timeout(DEADLINE, connected).await.doing(action)?;
        Ok(Connection {
            stream: stream.doing(action)?,
            answer: Vec::new(),
        })
    }

    /// One review over a connection of its own.
    ///
    /// # Errors
    /// If there is no good answer.
    pub(super) async fn ask_once(&self, request: &[u8]) -> Result<()> {
        self.connect().await?.ask(request).await
    }

    /// So many clients.
    ///
    /// # Errors
    /// If one cannot connect.
    pub(super) async fn clients(&self, count: usize) -> Result<Clients> {
        let connections = (0..count).map(|_| self.connect());
        Ok(Clients(try_join_all(connections).await?))
    }
}

/// Connections that stay open.
pub(super) struct Clients(Vec<Connection>);

impl Clients {
    /// Lets each send one review after the other, until there were `reviews` of them in all or
    /// `until` has come. The times that answers took, microseconds.
    ///
    /// # Errors
    /// If one is not answered well.
    pub(super) async fn send(
        &mut self,
        request: &Arc<[u8]>,
        reviews: usize,
        until: Instant,
    ) -> Result<Vec<u64>> {
        let each = reviews.div_ceil(self.0.len());
        let sending = self.0.drain(..).map(|mut connection| {
            let request = request.clone();
            tokio::spawn(async move {
                let mut took_us = Vec::new();
                // One at least.
                loop {
                    let began = Instant::now();
                    connection.ask(&request).await?;
                    took_us.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
                    if took_us.len() >= each || Instant::now() >= until {
                        break Ok((connection, took_us));
                    }
                }
            })
        });
        let mut all_us = Vec::new();
        for sent in join_all(sending).await {
            let (connection, took_us) = sent.doing(|| "send reviews".to_owned())??;
            self.0.push(connection);
            all_us.extend(took_us);
        }
        Ok(all_us)
    }
}

struct Connection {
    stream: TlsStream<TcpStream>,
    answer: Vec<u8>,
}

impl Connection {
    async fn ask(&mut self, request: &[u8]) -> Result<()> {
        let action = || "ask for a review".to_owned();
        let asked = async {
            self.stream.write_all(request).await?;
            self.stream.flush().await?;
            self.answer.clear();
            while !is_whole(&self.answer) {
                if self.stream.read_buf(&mut self.answer).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
            std::io::Result::Ok(())
        };
        timeout(DEADLINE, asked)
            .await
            .doing(action)?
            .doing(action)?;
        let answer = String::from_utf8_lossy(&self.answer);
        let good = answer.starts_with("HTTP/1.1 200 ")
            && answer.contains("\"allowed\":true")
            && answer.contains("\"patch\":\"");
        match good {
            true => Ok(()),
            false => Err(Error::new(action(), "the answer has no patch").output(&answer)),
        }
    }
}

/// Whether the answer has come to its end, as its length says.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once(HEAD_END) else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let value = name
            .eq_ignore_ascii_case("content-length")
            .then_some(value)?;
        value.trim().parse::<usize>().ok()
    });
    length.is_none_or(|length| body.len() >= length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_it_says() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n";
        assert!(!is_whole(head.as_bytes()) && !is_whole(b"HTTP/1.1"));
        assert!(!is_whole(format!("{head}abc").as_bytes()));
        assert!(is_whole(format!("{head}abcd").as_bytes()));
    }
}
