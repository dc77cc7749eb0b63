//! What the page's server answers.

use super::assets::ASSETS;
use super::frames::{Scope, Told};
use super::guard::{Guard, guard};
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::live::{self, Snapshot};
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures_util::stream;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval};

/// Pages at a time.
const PAGES_MAX: usize = 16;
/// Requests that change something, at a time.
const ASKED_MAX: usize = 8;
/// Longest body of a request, bytes: names are at most 253.
const BODY_BYTES_MAX: usize = 4 * 1_024;
/// A page hears at least so often.
const BEAT: Duration = Duration::from_secs(2);

/// What the routes need. Cheap to clone.
#[derive(Clone)]
pub(super) struct App {
    cluster: Arc<Cluster>,
    namespace: Arc<Option<String>>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    pages: Arc<Semaphore>,
    asked: Arc<Semaphore>,
}

impl App {
    pub(super) fn new(
        cluster: Arc<Cluster>,
        namespace: Option<String>,
        snapshots: watch::Receiver<Arc<Snapshot>>,
    ) -> Self {
        Self {
            cluster,
            namespace: Arc::new(namespace),
            snapshots,
            pages: Arc::new(Semaphore::new(PAGES_MAX)),
            asked: Arc::new(Semaphore::new(ASKED_MAX)),
        }
    }
}

/// All routes, behind the guard.
pub(super) fn router(app: App, who: Guard) -> Router {
    let pages = ASSETS.into_iter().fold(Router::new(), |router, asset| {
        let (path, kind, content) = asset;
        let answer = ([(header::CONTENT_TYPE, kind)], content);
        router.route(path, get(async move || answer))
    });
    pages
        .route("/api/live", get(listen))
        .route("/api/switchover", post(switchover))
        .route("/api/pause", post(pause))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::new(who), guard))
        .with_state(app)
}

fn too_many() -> Response {
    let error = "too many such requests are under way; try again when they are done";
    let answer = Json(json!({"error": error}));
    (StatusCode::SERVICE_UNAVAILABLE, answer).into_response()
}

/// All groups, then each change, as server-sent events.
async fn listen(State(app): State<App>) -> Response {
    let Ok(place) = app.pages.clone().try_acquire_owned() else {
        return too_many();
    };
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = (app, Told::default(), beat, place);
    let frames = stream::unfold(
        listener,
        |(mut app, mut told, mut beat, place)| async move {
            loop {
                // Both are cancel-safe. The first beat is at once.
                let due = tokio::select! {
                    _ = beat.tick() => true,
                    changed = app.snapshots.changed() => {
                        changed.ok()?;
                        false
                    }
                };
                let snapshot = app.snapshots.borrow_and_update().clone();
                let scope = Scope {
                    namespace: app.namespace.as_deref(),
                    cluster: &app.cluster.address,
                };
                if let Some(frame) = told.next(&snapshot, scope, Timestamp::now(), due) {
                    let event = Event::default().data(frame);
                    return Some((Ok::<_, Infallible>(event), (app, told, beat, place)));
                }
            }
        },
    );
    Sse::new(frames).into_response()
}

/// Which group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchoverWish {
    namespace: String,
    group: String,
    /// The pod; null: the best.
    to: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseWish {
    namespace: String,
    group: String,
    paused: bool,
}

async fn switchover(State(mut app): State<App>, Json(wish): Json<SwitchoverWish>) -> Response {
    let Ok(_place) = app.asked.clone().try_acquire_owned() else {
        return too_many();
    };
    let key = (wish.namespace, wish.group);
    let to = wish.to.as_deref();
    answer(live::switchover(&app.cluster, &mut app.snapshots, &key, to).await)
}

async fn pause(State(mut app): State<App>, Json(wish): Json<PauseWish>) -> Response {
    let Ok(_place) = app.asked.clone().try_acquire_owned() else {
        return too_many();
    };
    let key = (wish.namespace, wish.group);
    answer(live::pause(&app.cluster, &mut app.snapshots, &key, wish.paused).await)
}

fn answer(done: Result<String, Failure>) -> Response {
    match done {
        Ok(said) => Json(json!({"said": said.trim_end()})).into_response(),
        Err(failure) => {
            let status = match failure {
                Failure::Refused(_) | Failure::Elsewhere(_) => StatusCode::CONFLICT,
                Failure::Forbidden { .. } => StatusCode::FORBIDDEN,
                Failure::NoGroup { .. } | Failure::NotFound { .. } => StatusCode::NOT_FOUND,
                Failure::NotDone { .. } | Failure::Late { .. } => StatusCode::GATEWAY_TIMEOUT,
                _ => StatusCode::BAD_GATEWAY,
            };
            let error = Json(json!({"error": failure.to_string()}));
            (status, error).into_response()
        }
    }
}
