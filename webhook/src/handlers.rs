//! The two admission paths: a review comes in, `inject` decides, an answer goes out.
//!
//! A refusal is an answer (HTTP 200). Whatever goes wrong here is not: it is HTTP 400 or 500, so
//! that the failure policy decides what becomes of the object.

use crate::metrics::Metrics;
use crate::policy::known::Known;
use crate::provision::{Need, ProvisionError, Provisioner};
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use common::contract::{INJECT_PATH, ROUTE_PATH};
use futures_util::FutureExt;
use inject::policy::{Claim, Labels, Policy, asks, claim, decide};
use inject::reason::Reason;
use inject::review::{Answer, Resource, Review};
use inject::route::route;
use inject::{AccountKind, Decision, RequestInfo, Settings};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    /// What is injected.
    pub settings: Arc<Settings>,
    /// Makes accounts.
    pub provisioner: Arc<Provisioner>,
    /// What administrators say.
    pub policies: Arc<Known>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

impl App {
    /// Answers a review of a pod.
    pub async fn inject_pod(&self, body: Bytes) -> Response {
        let began = Instant::now();
        let _in_flight = self.metrics.begin(INJECT_PATH, body.len());
        let review = match Review::parse(&body, Resource::Pod) {
            Ok(review) => review,
            Err(error) => return self.refuse(INJECT_PATH, &error, began),
        };
        // What is needed of it has been copied out.
        drop(body);
        let uid = &review.uid;
        let Ok(decision) = AssertUnwindSafe(self.decide(&review)).catch_unwind().await else {
            // The panic hook has printed what and where; the pod itself is not repeated.
            tracing::error!(uid, "a decision panicked");
            self.metrics
                .review(INJECT_PATH, "failed", "panic", began.elapsed());
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let reason = match &decision {
            Decision::Patch(_) => "none",
            Decision::Skip(reason) => reason.code(),
            Decision::Deny { reasons, .. } => reasons.code(),
        };
        let namespace = &review.namespace;
        tracing::debug!(uid, namespace, decision = decision.code(), reason, "a pod");
        self.metrics
            .review(INJECT_PATH, decision.code(), reason, began.elapsed());
        respond(uid, Answer::of(uid, &decision))
    }

    /// Answers a review of a Service, before Kubernetes 1.36.
    pub fn route_service(&self, body: &[u8]) -> Response {
        let began = Instant::now();
        let _in_flight = self.metrics.begin(ROUTE_PATH, body.len());
        let review = match Review::parse(body, Resource::Service) {
            Ok(review) => review,
            Err(error) => return self.refuse(ROUTE_PATH, &error, began),
        };
        let uid = &review.uid;
        let route = route(&review.object, review.old_object.as_ref());
        let decision = if route.ops.is_empty() {
            "unchanged"
        } else {
            "routed"
        };
        tracing::debug!(uid, namespace = review.namespace, decision, "a Service");
        self.metrics
            .review(ROUTE_PATH, decision, "none", began.elapsed());
        let answer = Answer::patch(uid, &route.ops);
        respond(
            uid,
            answer.map(|answer| answer.warning(&route.warnings).noting("decision", decision)),
        )
    }

    /// Decides, and has the account made that the pod will run as.
    async fn decide(&self, review: &Review) -> Decision {
        if self.provisioner.excludes(&review.namespace) {
            return Decision::Skip(Reason::ExcludedNamespace);
        }
        let (policies, labels) = self.policies.about(&review.namespace).await;
        let decision =
            |info: &RequestInfo<'_>| decide(&review.object, info, &self.settings, &policies);
        let decided = decision(&review.info());
        let Decision::Patch(injection) = &decided else {
            return decided;
        };
        if !policies.is_empty() {
            self.policies.note_review();
            if let Some(claim) = claim(&review.object, &policies)
                && let Some(reason) =
                    Box::pin(self.taken(review, (&policies, &labels), claim)).await
            {
                return Decision::Skip(reason);
            }
        }
        let need = Need::of(injection, &review.namespace);
        if review.dry_run {
            let own = need.account.kind == AccountKind::Group;
            if own && !self.provisioner.exists(&need).await {
                let info = RequestInfo {
                    account_missing: true,
                    ..review.info()
                };
                return decision(&info);
            }
            return decided;
        }
        match self.provisioner.ready(&need).await {
            Ok(()) => decided,
            Err(error) => {
                let (uid, namespace, group) = (&review.uid, &review.namespace, &need.group);
                tracing::error!(uid, namespace, group, %error, "the account is not ready");
                if !asks(&review.object) {
                    return Decision::Skip(not_ready(need.group, &error));
                }
                Decision::Deny {
                    reasons: not_ready(need.group, &error).into(),
                    warnings: injection.warnings.clone(),
                }
            }
        }
    }

    /// Why a pod that did not ask goes without the sidecar: the name of its group is somebody else's.
    async fn taken(
        &self,
        review: &Review,
        (policies, labels): (&[Arc<Policy>], &Labels),
        claim: Claim,
    ) -> Option<Reason> {
        let client = self.provisioner.client();
        let place = (review.namespace.as_str(), labels);
        let lookups = self.policies.lookups();
        let against = lookups.against(client, policies, place, &claim);
        let why = match against.await {
            Ok(why) => why?,
            Err(error) => {
                let (uid, owner) = (&review.uid, &claim.owner);
                tracing::warn!(uid, %owner, %error, "cannot look up who else has a workload's name");
                format!(
                    "whose the name {} is cannot be looked up: {error}",
                    owner.name
                )
            }
        };
        let policy = claim.policy;
        Some(Reason::NotForThisPod { policy, why })
    }

    /// What cannot be read gets no answer.
    pub(crate) fn refuse(
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

/// What is said to whoever made the pod: a ReplicaSet tries again by itself, and a person learns
/// what stands against it.
fn not_ready(group: String, error: &ProvisionError) -> Reason {
    if error.is_refusal() {
        let why = error.to_string();
        return Reason::AccountRefused { group, why };
    }
    Reason::AccountNotReady { group }
}

/// The answer as it goes out.
pub(crate) fn respond(uid: &str, answer: Result<Answer, serde_json::Error>) -> Response {
    match answer.and_then(|answer| answer.text()) {
        Ok(body) => ([(CONTENT_TYPE, JSON)], body).into_response(),
        Err(error) => {
            tracing::error!(uid, %error, "cannot write an answer");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
