//! The two admission paths: a review comes in, `inject` decides, an answer goes out.
//!
//! A refusal is an answer (HTTP 200). Whatever goes wrong here is not: it is HTTP 400 or 500, so
//! that the failure policy decides what becomes of the object.

use crate::metrics::Metrics;
use crate::provision::{Need, Provisioner};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use common::contract::{INJECT_PATH, ROUTE_PATH};
use inject::reason::Reason;
use inject::review::{Answer, Resource, Review};
use inject::route::route;
use inject::{AccountKind, Decision, RequestInfo, Settings, decide};
use std::sync::Arc;
use std::time::Instant;

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    /// What is injected.
    pub settings: Arc<Settings>,
    /// Makes accounts.
    pub provisioner: Arc<Provisioner>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// Answers a review of a pod.
pub async fn inject_pod(State(app): State<App>, body: Bytes) -> Response {
    let began = Instant::now();
    let review = match Review::parse(&body, Resource::Pod) {
        Ok(review) => review,
        Err(error) => return app.refuse(INJECT_PATH, &error, began),
    };
    // The object has been copied out of it.
    drop(body);
    let decision = app.decide(&review).await;
    let reason = match &decision {
        Decision::Patch(_) => "none",
        Decision::Skip(reason) => reason.code(),
        Decision::Deny { reasons, .. } => reasons.code(),
    };
    let namespace = &review.namespace;
    tracing::debug!(namespace, decision = decision.code(), reason, "a pod");
    app.metrics
        .review(INJECT_PATH, decision.code(), reason, began.elapsed());
    respond(Answer::of(&review.uid, &decision))
}

/// Answers a review of a Service, before Kubernetes 1.36.
pub async fn route_service(State(app): State<App>, body: Bytes) -> Response {
    let began = Instant::now();
    let review = match Review::parse(&body, Resource::Service) {
        Ok(review) => review,
        Err(error) => return app.refuse(ROUTE_PATH, &error, began),
    };
    let route = route(&review.object, review.old_object.as_ref());
    let decision = if route.ops.is_empty() {
        "unchanged"
    } else {
        "routed"
    };
    app.metrics
        .review(ROUTE_PATH, decision, "none", began.elapsed());
    let answer = Answer::patch(&review.uid, &route.ops);
    respond(answer.map(|answer| answer.warning(&route.warnings).noting("decision", decision)))
}

impl App {
    /// Decides, and has the account made that the pod will run as.
    async fn decide(&self, review: &Review) -> Decision {
        let decision = decide(&review.object, &review.info(), &self.settings);
        let Decision::Patch(injection) = &decision else {
            return decision;
        };
        let need = Need::of(injection, &review.namespace);
        if review.dry_run {
            let own = need.account.kind == AccountKind::Group;
            if own && !self.provisioner.exists(&need).await {
                let info = RequestInfo {
                    account_missing: true,
                    ..review.info()
                };
                return decide(&review.object, &info, &self.settings);
            }
            return decision;
        }
        match self.provisioner.ready(&need).await {
            Ok(()) => decision,
            Err(error) => {
                tracing::warn!(%error, group = need.group, "the account is not ready");
                let reason = Reason::AccountNotReady { group: need.group };
                Decision::Deny {
                    reasons: reason.into(),
                    warnings: injection.warnings.clone(),
                }
            }
        }
    }

    fn refuse(
        &self,
        path: &'static str,
        error: &dyn std::error::Error,
        began: Instant,
    ) -> Response {
        tracing::warn!(path, %error, "no review");
        self.metrics
            .review(path, "refused", "no-review", began.elapsed());
        (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response()
    }
}

fn respond(answer: Result<Answer, serde_json::Error>) -> Response {
    match answer {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot write an answer");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
