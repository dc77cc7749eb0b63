//! The sidecar's own HTTP routes. They read the published state and the clock, and change nothing.

use crate::clock::Clock;
use crate::config::Config;
use crate::drain::{self, Limits};
use crate::held::{Bounds, Held};
use crate::metrics::Metrics;
use crate::published::Published;
use crate::report;
use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use common::contract::path;
use common::seeds::Answer;
use election::{Mono, Role};
use futures_util::stream;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// Streams of events at a time.
const EVENTS: Bounds = Bounds {
    all_max: 16,
    others_max: 8,
    one_max: 4,
};
/// preStop hooks held at a time, which come from the node; counted apart, so that listeners never
/// cost a pod its drain.
const DRAINS: Bounds = Bounds {
    all_max: 32,
    others_max: 32,
    one_max: 16,
};
// What is held leaves places for what is not.
const _: () = assert!(EVENTS.all_max + DRAINS.all_max < crate::serve::CONNECTIONS_MAX);

/// Who asks.
type Peer = ConnectInfo<SocketAddr>;

/// What the routes read. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) config: Arc<Config>,
    pub(crate) states: watch::Receiver<Published>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) last_cycle: LastCycle,
    pub(crate) listeners: Held,
    pub(crate) drains: Held,
}

/// When the driver last completed a cycle. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastCycle(Arc<AtomicU64>);

impl LastCycle {
    pub(crate) fn set(&self, now: Mono) {
        self.0.store(now.as_ms(), Ordering::Relaxed);
    }

    fn get(&self) -> Mono {
        Mono::from_ms(self.0.load(Ordering::Relaxed))
    }
}

impl App {
    pub(crate) fn new(
        config: Arc<Config>,
        states: watch::Receiver<Published>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        let last_cycle = LastCycle::default();
        last_cycle.set(clock.now());
        Self {
            config,
            states,
            clock,
            metrics,
            last_cycle,
            listeners: Held::new(EVENTS),
            drains: Held::new(DRAINS),
        }
    }

    /// All routes.
    pub(crate) fn router(self) -> Router {
        let more = self.config.routes.iter();
        let more = more.fold(Router::new(), |router, route| {
            let answer = route.answer;
            let told = async move |State(app): State<Self>| app.answer(answer);
            router.route(route.path, get(told))
        });
        more.route(path::LIVEZ, get(livez))
            .route(path::READYZ, get(readyz))
            .route(path::LEADER, get(leader))
            .route(path::REPLICA, get(replica))
            .route(path::STATUS, get(status))
            .route(path::EVENTS, get(events))
            .route(path::SSE, get(leaders))
            .route(path::METRICS, get(metrics))
            .route(path::DRAIN, get(drain))
            .route("/", get(contrib))
            .with_state(self)
    }

    /// What another system's sidecar answers.
    fn answer(&self, answer: Answer) -> Response {
        match answer {
            Answer::Always(text) => (StatusCode::OK, text).into_response(),
            Answer::Leads(yes, no) => verdict(self.leads(), yes, no),
            Answer::AppReady(yes, _) if self.is_ready() => (StatusCode::OK, yes).into_response(),
            Answer::AppReady(_, no) => (StatusCode::INTERNAL_SERVER_ERROR, no).into_response(),
            Answer::PodName => {
                let name = self.config.params.identity.name.clone();
                (StatusCode::OK, name).into_response()
            }
        }
    }

    /// Whether the containers that count are ready, as the pod's object last said.
    fn is_ready(&self) -> bool {
        let uid = &self.config.params.identity.uid;
        let published = self.states.borrow();
        let own = published.peers.iter().find(|peer| peer.uid == *uid);
        own.is_some_and(|own| own.ready)
    }

    fn leads(&self) -> bool {
        let now = self.clock.now();
        self.states.borrow().leads(now)
    }
}

fn too_many() -> Response {
    let message = "too many such requests are held already; try again later\n";
    (StatusCode::SERVICE_UNAVAILABLE, message).into_response()
}

/// 200 with the first text if `good`, 503 with the second otherwise.
fn verdict(good: bool, yes: &'static str, no: &'static str) -> Response {
    if good {
        (StatusCode::OK, yes).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, no).into_response()
    }
}

async fn livez(State(app): State<App>) -> Response {
    let age_ms = app.clock.now().ms_since(app.last_cycle.get());
    let alive = age_ms <= 2 * app.config.params.lease_duration_ms;
    verdict(
        alive,
        "ok\n",
        "the loop has not completed a cycle within two lease durations\n",
    )
}

async fn readyz(State(app): State<App>) -> Response {
    let ready = app.states.borrow().standing.role != Role::Starting;
    verdict(
        ready,
        "ok\n",
        "Lease and pods of the group are not known yet\n",
    )
}

async fn leader(State(app): State<App>) -> Response {
    verdict(app.leads(), "active\n", "passive\n")
}

async fn replica(State(app): State<App>) -> Response {
    verdict(!app.leads(), "passive\n", "active\n")
}

async fn status(State(app): State<App>) -> Response {
    Json(report::status(&app.states.borrow(), app.clock, &app.config)).into_response()
}

async fn contrib(State(app): State<App>) -> Response {
    Json(report::leader(&app.states.borrow())).into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    let page = app
        .metrics
        .page(&app.states.borrow(), app.clock, &app.config.params);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response()
}

async fn drain(State(app): State<App>, ConnectInfo(peer): Peer) -> Response {
    let Some(_place) = app.drains.take(peer.ip()) else {
        return too_many();
    };
    let params = &app.config.params;
    let limits = Limits {
        handover: params.handover,
        drain_timeout_ms: params.drain_timeout_ms,
        settle_ms: app.config.settle_ms,
    };
    drain::wait(app.states.clone(), app.clock, limits).await;
    (StatusCode::OK, "drained\n").into_response()
}

/// The present role, then each change of it.
async fn events(State(app): State<App>, ConnectInfo(peer): Peer) -> Response {
    let Some(place) = app.listeners.take(peer.ip()) else {
        return too_many();
    };
    let changes = stream::unfold((app, None, place), |(mut app, told, place)| async move {
        loop {
            let (now, role) = {
                let published = app.states.borrow_and_update();
                let now = app.clock.now();
                (now, published.own_role(now))
            };
            if told != Some(role) {
                let report = report::role(&app.states.borrow(), app.clock, &app.config);
                let event = Event::default().event("role").json_data(report).ok()?;
                return Some((Ok::<_, Infallible>(event), (app, Some(role), place)));
            }
            // The role may run out without anybody saying so.
            let valid_for_ms = app.states.borrow().valid_for_ms(now);
            let runs_out = tokio::time::sleep(std::time::Duration::from_millis(valid_for_ms));
            tokio::select! {
                () = runs_out, if valid_for_ms > 0 => {}
                changed = app.states.changed() => changed.ok()?,
            }
        }
    });
    Sse::new(changes)
        .keep_alive(KeepAlive::default())
        .into_response()
}

/// Who leads, then each change of that.
async fn leaders(State(app): State<App>, ConnectInfo(peer): Peer) -> Response {
    let Some(place) = app.listeners.take(peer.ip()) else {
        return too_many();
    };
    let changes = stream::unfold((app, None, place), |(mut app, told, place)| async move {
        loop {
            let (name, event) = {
                let published = app.states.borrow_and_update();
                let leader = report::leader(&published);
                (leader.name.to_owned(), Event::default().json_data(&leader))
            };
            if told.as_ref() != Some(&name) {
                return Some((Ok::<_, Infallible>(event.ok()?), (app, Some(name), place)));
            }
            app.states.changed().await.ok()?;
        }
    });
    Sse::new(changes)
        .keep_alive(KeepAlive::default())
        .into_response()
}

#[cfg(test)]
mod tests;
