//! Who may ask the page's server: a page of its own, in a browser that was given the key.
//!
//! Any page of the web can have a browser send requests to this machine, and any program on it can
//! connect. The Host header shows the first where a name was pointed at this machine, the key keeps
//! both out: it is a header, which browsers do not let other pages send.

use crate::failure::Failure;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::fmt::Write;
use std::sync::Arc;
use tokio::sync::Notify;

/// Header that carries the key.
pub(super) const KEY_HEADER: &str = "x-active-passive-key";
/// Where what needs the key begins.
const GUARDED: &str = "/api/";
/// Bytes of a key: nobody guesses it.
const KEY_BYTES: usize = 24;
/// Which pages may send what is guarded, as browsers say it.
const FETCH_SITE: &str = "sec-fetch-site";
const SAME_ORIGIN: &str = "same-origin";
/// Nothing but what this server serves, no inline code, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// What the page proves by that it was opened from here. New with each run.
pub(super) struct Key(String);

impl Key {
    pub(super) fn random() -> Result<Self, Failure> {
        let mut bytes = [0; KEY_BYTES];
        rustls::crypto::ring::default_provider()
            .secure_random
            .fill(&mut bytes)
            .map_err(|_| Failure::Random)?;
        let mut text = String::new();
        for byte in bytes {
            // Writing to a String does not fail.
            write!(text, "{byte:02x}").ok();
        }
        Ok(Self(text))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Takes as long for any key of the same length.
    fn is(&self, given: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let pairs = own.iter().zip(given);
        own.len() == given.len() && pairs.fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

/// Decides who may ask.
pub(super) struct Guard {
    hosts: [String; 2],
    key: Key,
    used: Arc<Notify>,
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Host,
    Site,
    Key,
}

impl Guard {
    pub(super) fn new(port: u16, key: Key) -> Self {
        Self {
            hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")],
            key,
            used: Arc::default(),
        }
    }

    /// Is told when somebody has shown the key: a page was opened.
    pub(super) fn used(&self) -> Arc<Notify> {
        self.used.clone()
    }

    /// Whether a request with these headers for this path may go on.
    pub(super) fn check(&self, path: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
        let host = text(header::HOST.as_str()).ok_or(Refusal::Host)?;
        if !self.hosts.iter().any(|own| own == host) {
            return Err(Refusal::Host);
        }
        if !path.starts_with(GUARDED) {
            return Ok(());
        }
        // Browsers send at least one of them; other programs need not.
        let own_origin = format!("http://{host}");
        let origin = headers.get(header::ORIGIN);
        let other_origin = origin.is_some_and(|origin| origin.as_bytes() != own_origin.as_bytes());
        let site = headers.get(FETCH_SITE);
        let other_site = site.is_some_and(|site| site.as_bytes() != SAME_ORIGIN.as_bytes());
        if other_origin || other_site {
            return Err(Refusal::Site);
        }
        match headers.get(KEY_HEADER) {
            Some(key) if self.key.is(key.as_bytes()) => {
                self.used.notify_one();
                Ok(())
            }
            _ => Err(Refusal::Key),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, why) = match self {
            Self::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "this server answers to 127.0.0.1 and localhost alone\n",
            ),
            Self::Site => (StatusCode::FORBIDDEN, "another page may not ask this\n"),
            Self::Key => (
                StatusCode::UNAUTHORIZED,
                "open the address that `kubectl active-passive dashboard` has printed\n",
            ),
        };
        (status, why).into_response()
    }
}

/// Lets through who may ask, and tells browsers what an answer may be used for.
pub(super) async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let checked = guard.check(request.uri().path(), request.headers());
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            SAME_ORIGIN,
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            SAME_ORIGIN,
        ),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
impl Key {
    pub(super) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}
