//! The HTTP client for the API server.
//!
//! Absent from it: retries. The elector alone knows what is worth repeating and for how long, so
//! an answer of any status is an answer, and a request that is dropped ends its connection.

use crate::credentials::{CredentialError, RootsFile, TokenFile};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::Client;
use kube::client::{Body, ConfigExt};
use std::sync::Arc;
use std::time::Duration;
use tower::util::MapRequestLayer;
use tower::{BoxError, ServiceBuilder};

/// Largest answer that is read, bytes: etcd takes objects of 1.5 MiB, and lists come in pages.
pub(crate) const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Content type of an object, and of answers.
pub(crate) const JSON: &str = "application/json";
/// Content type of a merge patch (RFC 7386).
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
/// Shown in the audit log, and as the manager of the fields written.
const USER_AGENT: &str = concat!("active-passive-sidecar/", env!("CARGO_PKG_VERSION"));
/// A connection without traffic is probed after this time, milliseconds: a watch whose peer
/// vanished without a word would otherwise hang for as long as it is silent.
const KEEPALIVE_MS: u64 = 10_000;
/// Time between two such probes, milliseconds.
const KEEPALIVE_INTERVAL_MS: u64 = 5_000;
/// Probes without answer that end a connection.
const KEEPALIVE_PROBES: u32 = 2;
/// How long an idle connection is kept, milliseconds.
const IDLE_MS: u64 = 30_000;
/// Idle connections kept. One: requests follow each other, and after a cut of the network each
/// kept connection may cost one request until its deadline.
const IDLE_CONNECTIONS_MAX: usize = 1;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file of the service account cannot be used.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The rest of the configuration cannot be used.
    #[error("use the client's configuration: {0}")]
    Config(#[source] Box<kube::Error>),
}

impl From<kube::Error> for ClientError {
    fn from(error: kube::Error) -> Self {
        Self::Config(Box::new(error))
    }
}

/// A client with these credentials and nothing that repeats or delays a request.
///
/// # Errors
/// [`ClientError`] if certificates or credentials cannot be read.
pub fn client(mut config: kube::Config, connect_timeout: Duration) -> Result<Client, ClientError> {
    let token = config.auth_info.token_file.take();
    let token = token.map(|path| TokenFile::open(path.into())).transpose()?;
    let token = token.map(|file| {
        let file = Arc::new(file);
        MapRequestLayer::new(move |request: Request<Body>| file.sign(request))
    });
    let connector = connector(&mut config, connect_timeout)?;
    let pool = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_millis(IDLE_MS))
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .option_layer(token)
        .map_err(BoxError::from)
        .service(pool);
    Ok(Client::new(service, config.default_namespace))
}

fn connector(
    config: &mut kube::Config,
    connect_timeout: Duration,
) -> Result<HttpsConnector<HttpConnector>, ClientError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    tcp.set_keepalive(Some(Duration::from_millis(KEEPALIVE_MS)));
    tcp.set_keepalive_interval(Some(Duration::from_millis(KEEPALIVE_INTERVAL_MS)));
    tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
    let Some(roots) = config.root_cert_file.take() else {
        return Ok(config.rustls_https_connector_with_connector(tcp)?);
    };
    let roots = Arc::new(RootsFile::open(roots)?);
    let mut tls = config.rustls_client_config()?;
    tls.dangerous().set_certificate_verifier(roots);
    Ok(HttpsConnector::from((tcp, tls)))
}

/// An answer, of whatever status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// Retry-After, milliseconds; 0 if there was none.
    pub(crate) retry_after_ms: u64,
    pub(crate) body: Bytes,
}

/// There was no answer, or not all of it: the request may have been carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// Sending it or waiting for the answer failed.
    #[error("send the request: {0}")]
    Send(#[source] Box<kube::Error>),
    /// The body broke off.
    #[error("read the answer: {0}")]
    Body(#[source] BoxError),
    /// The body is longer than [`ANSWER_BYTES_MAX`].
    #[error("read an answer of at most {ANSWER_BYTES_MAX} bytes")]
    TooLong,
}

impl Reply {
    /// The API server's own words: the message of a Status, or the start of whatever came.
    pub(crate) fn message(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Status {
            message: String,
        }
        const CHARS_MAX: usize = 500;
        let message = match serde_json::from_slice::<Status>(&self.body) {
            Ok(status) => status.message,
            Err(_) => String::from_utf8_lossy(&self.body).into_owned(),
        };
        message.chars().take(CHARS_MAX).collect()
    }
}

/// A request with the headers that every request has.
pub(crate) fn request(method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Request<Body> {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, JSON);
    let request = match body {
        Some((kind, bytes)) => builder
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(bytes)),
        None => builder.body(Body::empty()),
    };
    // Paths are made of constants and of names that Kubernetes or the configuration has checked.
    request.expect("path and headers are valid")
}

/// Sends a request and returns the head of the answer, with its body still to come.
pub(crate) async fn open(
    client: &Client,
    request: Request<Body>,
) -> Result<Response<Body>, NoAnswer> {
    client
        .send(request)
        .await
        .map_err(|error| NoAnswer::Send(Box::new(error)))
}

/// Sends a request and reads the whole answer.
pub(crate) async fn call(client: &Client, request: Request<Body>) -> Result<Reply, NoAnswer> {
    whole(open(client, request).await?).await
}

/// Reads the rest of an answer.
pub(crate) async fn whole(response: Response<Body>) -> Result<Reply, NoAnswer> {
    let (status, retry_after_ms) = (response.status(), retry_after_ms(response.headers()));
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    let broke = |error: BoxError| match error.is::<LengthLimitError>() {
        true => NoAnswer::TooLong,
        false => NoAnswer::Body(error),
    };
    let body = body.collect().await.map_err(broke)?.to_bytes();
    Ok(Reply {
        status,
        retry_after_ms,
        body,
    })
}

/// Kubernetes sends whole seconds, never dates.
fn retry_after_ms(headers: &HeaderMap) -> u64 {
    let seconds = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    seconds
        .and_then(|text| text.parse::<u64>().ok())
        .map_or(0, |s| s.saturating_mul(1_000))
}

#[cfg(test)]
mod tests;
