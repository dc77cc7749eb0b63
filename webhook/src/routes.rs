//! Which path does what, and what stands round all of them.

use crate::connections::Place;
use crate::handlers::App;
use crate::load::{BODY_BYTES_MAX, Load, ORDINARY_BYTES_MAX};
use crate::metrics::Metrics;
use crate::policy::judge::judge_workload;
use crate::readiness::Readiness;
use axum::Router;
use axum::body::{Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use common::contract::{INJECT_PATH, POLICY_PATH, ROUTE_PATH};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// Longest time for one request, its body included. The API server waits 5 s.
const REQUEST_DEADLINE: Duration = Duration::from_secs(8);
/// Turns of a connection in which the body of an ordinary review is read, if it has come.
const TURNS_MAX: usize = 4;
/// Memory for the body of an ordinary review before it comes, bytes: most need no more.
const AT_FIRST_BYTES: usize = 32 * 1024;
const METRICS_TYPE: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The admission server. It is on the way of every pod that asks, so it is made of little.
#[derive(Clone)]
pub struct Admission(Arc<Parts>);

struct Parts {
    app: App,
    guard: Guard,
}

impl Admission {
    /// A server with room for `load`.
    pub fn new(app: App, load: Load, readiness: Arc<Readiness>) -> Self {
        let guard = Guard { load, readiness };
        Self(Arc::new(Parts { app, guard }))
    }

    /// Answers one request of the connection that has this place.
    pub async fn answer<B>(&self, request: Request<B>, place: &Place) -> Response
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        let Parts { app, guard } = &*self.0;
        let (head, body) = request.into_parts();
        let length = head.headers.get(CONTENT_LENGTH);
        let length_bytes = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let from = (place, length_bytes);
        let policy = |path: &str| {
            Some(
                path.strip_prefix(POLICY_PATH)?
                    .strip_prefix('/')?
                    .to_owned(),
            )
        };
        match (head.uri.path(), head.method) {
            (INJECT_PATH, Method::POST) => {
                let review = |body| app.inject_pod(body);
                guard.answer(from, body, review).await
            }
            (ROUTE_PATH, Method::POST) => {
                let review = |body: Bytes| async move { app.route_service(&body) };
                guard.answer(from, body, review).await
            }
            (path, Method::POST) => match policy(path) {
                Some(policy) => {
                    let review = |body| Box::pin(judge_workload(app, policy, body));
                    guard.answer(from, body, review).await
                }
                None => StatusCode::NOT_FOUND.into_response(),
            },
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        }
    }
}

/// Liveness, readiness and figures, on a port of their own: probes need no certificate, and the
/// API server's network need not reach it.
pub fn admin(readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        // All tasks of the program end together, and the program with them: who answers is alive.
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz).with_state(readiness))
        .route("/metrics", get(metrics_page).with_state(metrics))
}

async fn readyz(State(readiness): State<Arc<Readiness>>) -> Response {
    let missing = readiness.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    (
        StatusCode::SERVICE_UNAVAILABLE,
        format!("{}\n", missing.join("\n")),
    )
        .into_response()
}

async fn metrics_page(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.page() {
        Ok(page) => ([(CONTENT_TYPE, METRICS_TYPE)], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// What stands round every review.
struct Guard {
    load: Load,
    readiness: Arc<Readiness>,
}

impl Guard {
    /// Reads a review and has it answered. Whatever happens to it frees its room and becomes an
    /// answer.
    async fn answer<B, F>(
        &self,
        (place, length_bytes): (&Place, Option<usize>),
        body: B,
        review: impl FnOnce(Bytes) -> F,
    ) -> Response
    where
        B: HttpBody<Data = Bytes> + Unpin,
        F: Future<Output = Response>,
    {
        let answer = self.with_room((place, length_bytes), body, review);
        let answer = within(REQUEST_DEADLINE, answer);
        let mut response = match AssertUnwindSafe(answer).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(_)) => StatusCode::REQUEST_TIMEOUT.into_response(),
            // The panic hook has printed what and where; the pod itself is not repeated.
            Err(_) => {
                tracing::error!("a handler panicked");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        };
        // While the program ends, each answer asks for a new connection, which goes to another
        // replica: API servers keep theirs open for as long as they may.
        if self.readiness.is_ending() {
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn with_room<B, F>(
        &self,
        (place, length_bytes): (&Place, Option<usize>),
        body: B,
        review: impl FnOnce(Bytes) -> F,
    ) -> Response
    where
        B: HttpBody<Data = Bytes> + Unpin,
        F: Future<Output = Response>,
    {
        let (room, body) = if Load::is_ordinary(length_bytes) {
            let at_first_bytes = length_bytes.unwrap_or_default().min(AT_FIRST_BYTES);
            let body = whole(body, at_first_bytes, ORDINARY_BYTES_MAX).await;
            (self.load.enter(length_bytes).await, body)
        } else if length_bytes.is_some_and(|bytes| bytes > BODY_BYTES_MAX) {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        } else {
            let room = self.load.enter(length_bytes).await;
            let body = whole(body, length_bytes.unwrap_or_default(), BODY_BYTES_MAX);
            (room, body.await)
        };
        match (room, body) {
            (Ok(_room), Ok(body)) => {
                // Until here a client may have sent slowly, or wait: it has no right to its place.
                // So no more are in use than there is room for.
                let _in_use = place.in_use();
                review(body).await
            }
            (Ok(_), Err(status)) => status.into_response(),
            (Err(full), _) => {
                (StatusCode::SERVICE_UNAVAILABLE, format!("{full}\n")).into_response()
            }
        }
    }
}

/// As [`timeout`], but the timer, which is a call into the kernel, is not set before all that has
/// come already was read. A piece of a body is handed over a turn of its connection.
async fn within<T>(
    deadline: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, tokio::time::error::Elapsed> {
    let mut answer = pin!(answer);
    let mut turns = 0;
    let at_once = poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if turns == TURNS_MAX => Poll::Ready(None),
        Poll::Pending => {
            turns += 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    });
    match at_once.await {
        Some(done) => Ok(done),
        None => timeout(deadline, answer).await,
    }
}

/// The body in one piece. What has come goes into its place at once, so that even a large body is in
/// memory once.
async fn whole(
    mut body: impl HttpBody<Data = Bytes> + Unpin,
    at_first_bytes: usize,
    bytes_max: usize,
) -> Result<Bytes, StatusCode> {
    let mut whole = Vec::with_capacity(at_first_bytes);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let piece = frame.data_ref().map_or(&[][..], |piece| piece);
        if whole.len() + piece.len() > bytes_max {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        whole.extend_from_slice(piece);
    }
    Ok(whole.into())
}

#[cfg(test)]
mod tests;
