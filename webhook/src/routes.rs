//! Which path does what, and what stands round all of them.

use crate::handlers::{App, inject_pod, route_service};
use crate::load::{BODY_BYTES_MAX, Load, ORDINARY_BYTES_MAX};
use crate::metrics::Metrics;
use crate::policy::judge::judge_workload;
use crate::readiness::Readiness;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use common::contract::{INJECT_PATH, POLICY_PATH, ROUTE_PATH};
use futures_util::{FutureExt, StreamExt};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Longest time for one request, its body included. The API server waits 5 s.
const REQUEST_DEADLINE: Duration = Duration::from_secs(8);
const METRICS_TYPE: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The admission server.
pub fn admission(app: App, load: Load, readiness: Arc<Readiness>) -> Router {
    let router = Router::new()
        .route(INJECT_PATH, post(inject_pod))
        .route(ROUTE_PATH, post(route_service))
        .route(&format!("{POLICY_PATH}/{{policy}}"), post(judge_workload))
        .with_state(app)
        // Bodies are bounded where they are read.
        .layer(DefaultBodyLimit::disable());
    guarded(router, load, readiness)
}

/// What stands round every review.
fn guarded(router: Router, load: Load, readiness: Arc<Readiness>) -> Router {
    router.layer(from_fn_with_state(Guard { load, readiness }, guard))
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

/// What every review has to do with.
#[derive(Clone)]
struct Guard {
    load: Load,
    readiness: Arc<Readiness>,
}

/// Whatever happens to a review frees its room and becomes an answer.
async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let answer = timeout(REQUEST_DEADLINE, with_room(&guard.load, request, next));
    let mut response = match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => StatusCode::REQUEST_TIMEOUT.into_response(),
        // The panic hook has printed what and where; the pod itself is not repeated.
        Err(_) => {
            tracing::error!("a handler panicked");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    // While the program ends, each answer asks for a new connection, which goes to another replica:
    // API servers keep theirs open for as long as they may.
    if guard.readiness.is_ending() {
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads a review and has it answered, within the room there is.
async fn with_room(load: &Load, request: Request, next: Next) -> Response {
    let length = request.headers().get(CONTENT_LENGTH);
    let length_bytes = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let (head, body) = request.into_parts();
    let (room, body) = if Load::is_ordinary(length_bytes) {
        let body = whole(body, length_bytes, ORDINARY_BYTES_MAX).await;
        (load.enter(length_bytes).await, body)
    } else if length_bytes.is_some_and(|bytes| bytes > BODY_BYTES_MAX) {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    } else {
        let room = load.enter(length_bytes).await;
        (room, whole(body, length_bytes, BODY_BYTES_MAX).await)
    };
    match (room, body) {
        (Ok(_room), Ok(body)) => next.run(Request::from_parts(head, body.into())).await,
        (Ok(_), Err(status)) => status.into_response(),
        (Err(full), _) => (StatusCode::SERVICE_UNAVAILABLE, format!("{full}\n")).into_response(),
    }
}

/// The body in one piece. What has come goes into its place at once, so that even a large body is in
/// memory once.
async fn whole(
    body: Body,
    length_bytes: Option<usize>,
    bytes_max: usize,
) -> Result<Bytes, StatusCode> {
    let mut whole = Vec::with_capacity(length_bytes.unwrap_or_default().min(bytes_max));
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| StatusCode::BAD_REQUEST)?;
        if whole.len() + piece.len() > bytes_max {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.into())
}

#[cfg(test)]
mod tests;
