//! Tells the app about role changes: a POST to an address of its own pod, the latest state only.

use crate::clock::Clock;
use crate::config::Config;
use crate::published::Published;
use crate::report;
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Longest time for one attempt, milliseconds.
const ATTEMPT_MS_MAX: u64 = 1_000;
/// Attempts for one change.
const ATTEMPTS_MAX: u32 = 3;
/// Wait between attempts, milliseconds.
const RETRY_MS: u64 = 200;

/// An http URL on localhost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyUrl {
    addresses: Vec<SocketAddr>,
    authority: String,
    path: String,
}

impl NotifyUrl {
    /// Takes a URL like `http://127.0.0.1:8080/role`; `None` for any other host or scheme.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        if uri.scheme_str() != Some("http") {
            return None;
        }
        let port = uri.port_u16().unwrap_or(80);
        let hosts: Vec<IpAddr> = match uri.host()? {
            // Not looked up: the name must not lead out of the pod.
            "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            host => vec![host.trim_matches(['[', ']']).parse().ok()?],
        };
        hosts.iter().all(IpAddr::is_loopback).then(|| Self {
            addresses: hosts
                .into_iter()
                .map(|host| SocketAddr::new(host, port))
                .collect(),
            authority: uri.authority().map(ToString::to_string).unwrap_or_default(),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        })
    }
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum NotifyError {
    #[error("connect to the app: {0}")]
    Connect(#[source] std::io::Error),
    #[error("send the notification: {0}")]
    Send(#[source] hyper::Error),
    #[error("the app answered {0}")]
    Status(StatusCode),
    #[error("no answer within {ATTEMPT_MS_MAX} ms")]
    Late,
}

/// Posts each role change until the driver ends. A change that comes while another is being posted
/// replaces what is left of it.
pub(crate) async fn keep(
    url: NotifyUrl,
    mut states: watch::Receiver<Published>,
    clock: Clock,
    config: Arc<Config>,
) {
    let mut told = None;
    loop {
        let now_is = own_role(&states.borrow_and_update(), clock);
        if now_is.is_some() && told != now_is {
            told = now_is;
            tell(&url, &mut states, clock, &config).await;
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

/// The own role; `None` while it is not known yet.
fn own_role(published: &Published, clock: Clock) -> Option<(&'static str, u64)> {
    let known = published.standing.role != election::Role::Starting;
    known.then(|| published.own_role(clock.now()))
}

async fn tell(
    url: &NotifyUrl,
    states: &mut watch::Receiver<Published>,
    clock: Clock,
    config: &Config,
) {
    let telling = own_role(&states.borrow(), clock);
    for attempt in 1..=ATTEMPTS_MAX {
        let report = serde_json::to_vec(&report::role(&states.borrow(), clock, config));
        let body = Bytes::from(report.unwrap_or_default());
        let post = timeout(Duration::from_millis(ATTEMPT_MS_MAX), post(url, body));
        let Err(error) = post.await.unwrap_or(Err(NotifyError::Late)) else {
            return;
        };
        if attempt == ATTEMPTS_MAX {
            tracing::warn!(%error, attempt, "the app was not told about its role");
        }
        let other = |published: &Published| own_role(published, clock) != telling;
        let newer = async { states.wait_for(other).await.map(drop) };
        tokio::select! {
            () = sleep(Duration::from_millis(RETRY_MS)) => {}
            // Another role is to be told, which the caller looks at. Renewals change none.
            _ = newer => {
                states.mark_changed();
                return;
            }
        }
    }
}

async fn post(url: &NotifyUrl, body: Bytes) -> Result<(), NotifyError> {
    let stream = TcpStream::connect(&url.addresses[..])
        .await
        .map_err(NotifyError::Connect)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(NotifyError::Send)?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(&url.path)
        .header(header::HOST, &url.authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close")
        .body(Full::new(body))
        .expect("a parsed URL makes a request");
    let exchange = sender.send_request(request);
    tokio::pin!(exchange, connection);
    let response = tokio::select! {
        response = &mut exchange => response,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(error),
        },
    };
    let status = response.map_err(NotifyError::Send)?.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(NotifyError::Status(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published::tests::leading;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[test]
    fn only_the_own_pod_is_notified() {
        for url in [
            "http://localhost:8080/role?x=1",
            "http://127.0.0.1/",
            "http://[::1]:80/a",
        ] {
            assert!(NotifyUrl::parse(url).is_some(), "{url}");
        }
        for url in [
            "https://localhost/",
            "http://10.0.0.1/",
            "http://web:80/",
            "/role",
            "",
        ] {
            assert_eq!(NotifyUrl::parse(url), None, "{url}");
        }
    }

    async fn post_taken(listener: &TcpListener, answer: &str) -> String {
        let limit = Duration::from_millis(5 * ATTEMPT_MS_MAX);
        let accepted = timeout(limit, listener.accept()).await;
        let (mut stream, _) = accepted.expect("the app is notified").unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"}") {
            bytes.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    struct Notified {
        listener: TcpListener,
        states: watch::Sender<Published>,
        clock: Clock,
        keeper: tokio::task::JoinHandle<()>,
    }

    async fn notified() -> Notified {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/role", listener.local_addr().unwrap());
        let url = NotifyUrl::parse(&url).unwrap();
        let states = watch::Sender::new(Published::nothing());
        let config = Arc::new(crate::tests::config());
        let clock = Clock::boottime();
        let keeper = tokio::spawn(keep(url, states.subscribe(), clock, config));
        Notified {
            listener,
            states,
            clock,
            keeper,
        }
    }

    /// A leader renews every few seconds, and its peers' pods change at any time.
    #[tokio::test]
    async fn a_renewal_while_an_attempt_is_repeated_does_not_end_the_attempts() {
        let Notified {
            listener,
            states,
            clock,
            ..
        } = notified().await;
        states.send_replace(leading(clock.now().as_ms() + 60_000));
        post_taken(&listener, "HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n").await;
        states.send_replace(leading(clock.now().as_ms() + 90_000));
        let again = post_taken(&listener, "HTTP/1.1 204 No Content\r\n\r\n").await;
        assert!(again.contains(r#""role":"active","term":3"#), "{again}");
    }

    #[tokio::test]
    async fn a_change_is_posted_again_until_the_app_takes_it() {
        let Notified {
            listener,
            states,
            clock,
            keeper,
        } = notified().await;
        states.send_replace(leading(clock.now().as_ms() + 60_000));
        let ok = "HTTP/1.1 204 No Content\r\n\r\n";
        let refused = post_taken(&listener, "HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n").await;
        let taken = post_taken(&listener, ok).await;
        for post in [refused, taken] {
            assert!(post.starts_with("POST /role HTTP/1.1\r\n"), "{post}");
            assert!(post.contains(r#""role":"active","term":3"#), "{post}");
        }
        // A renewal is no change; the end of the role is.
        states.send_replace(leading(clock.now().as_ms() + 90_000));
        states.send_replace(leading(0));
        let passive = post_taken(&listener, ok).await;
        assert!(passive.contains(r#""role":"passive""#), "{passive}");
        drop(states);
        keeper.await.unwrap();
    }
}
