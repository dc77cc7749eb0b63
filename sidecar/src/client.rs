//! The HTTP client for the API server.
//!
//! Absent from it: retries. The elector alone knows what is worth repeating and for how long, so
//! an answer of any status is an answer, and a request that is dropped ends its connection.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::Client;
use kube::client::{Body, ConfigExt};
use std::time::Duration;
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

/// A client with these credentials and nothing that repeats or delays a request.
///
/// # Errors
/// If certificates or credentials cannot be read.
pub fn client(config: kube::Config, connect_timeout: Duration) -> Result<Client, Box<kube::Error>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    tcp.set_keepalive(Some(Duration::from_millis(KEEPALIVE_MS)));
    tcp.set_keepalive_interval(Some(Duration::from_millis(KEEPALIVE_INTERVAL_MS)));
    tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
    let connector = config.rustls_https_connector_with_connector(tcp)?;
    let pool = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_millis(IDLE_MS))
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service(pool);
    Ok(Client::new(service, config.default_namespace))
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
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    async fn served() -> (TcpListener, Client) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let client = client(kube::Config::new(url), Duration::from_millis(500)).unwrap();
        (listener, client)
    }

    async fn head(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(bytes).unwrap()
    }

    fn get(path: &str) -> Request<Body> {
        request(Method::GET, path, None)
    }

    /// kube's own client would send it up to fifteen times more, for as long as Retry-After says.
    #[tokio::test]
    async fn an_unavailable_server_is_asked_once() {
        let (listener, client) = served().await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = head(&mut stream).await;
            let answer = "HTTP/1.1 503 \r\nRetry-After: 3\r\nContent-Length: 2\r\n\r\n{}";
            stream.write_all(answer.as_bytes()).await.unwrap();
            let mut more = [0; 1];
            (head, stream.read(&mut more).await.unwrap())
        });
        let reply = call(&client, get("/api/v1/pods?limit=1")).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.retry_after_ms), (503, 3_000));
        drop(client);
        let (head, more_bytes) = server.await.unwrap();
        assert!(
            head.starts_with("GET /api/v1/pods?limit=1 HTTP/1.1\r\n"),
            "{head}"
        );
        assert!(
            head.contains("user-agent: active-passive-sidecar/"),
            "{head}"
        );
        assert_eq!(
            more_bytes, 0,
            "nothing but the end of the connection follows"
        );
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_ends_its_connection() {
        let (listener, client) = served().await;
        let pending = tokio::spawn(async move { call(&client, get("/api")).await.map(|_| ()) });
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        pending.abort();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_no_answer() {
        let (listener, client) = served().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            stream
                .write_all(b"HTTP/1.1 200 \r\nContent-Length: 9\r\n\r\n{")
                .await
                .unwrap();
        });
        let answer = call(&client, get("/api")).await;
        assert!(matches!(answer, Err(NoAnswer::Body(_))), "{answer:?}");
    }

    #[test]
    fn a_status_speaks_for_itself() {
        let reply = |body: &str| Reply {
            status: StatusCode::FORBIDDEN,
            retry_after_ms: 0,
            body: Bytes::from(body.to_owned()),
        };
        assert_eq!(reply(r#"{"kind":"Status","message":"no"}"#).message(), "no");
        assert_eq!(reply("<html>").message(), "<html>");
    }
}
