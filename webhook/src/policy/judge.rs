//! Reviews of workloads: what a policy says to whoever applies one.

use crate::client::{ApiError, within};
use crate::handlers::{App, respond};
use crate::policy::known::Known;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use common::contract::POLICY_PATH;
use inject::policy::{
    Beside, Enforcement, ServiceRoute, Violation, Workload, WorkloadKind, evaluate,
};
use inject::reason::{Reason, Reasons};
use inject::review::{Answer, Resource, Review};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use std::time::{Duration, Instant};

/// Longest wait for the Services of a namespace.
const SERVICES_DEADLINE: Duration = Duration::from_secs(2);
/// Services of one page. A whole one has up to about 1.5 MiB, and many small labels take some times as
/// much once they are read. So one review at a time has Services in memory.
const SERVICES_PAGE: u32 = 4;
/// Pages that are looked at, 200 Services; a namespace with more is not judged by them.
const SERVICES_PAGES_MAX: usize = 50;

/// Answers a review of a workload, for one policy.
pub(crate) async fn judge_workload(app: &App, policy: String, body: Bytes) -> Response {
    let began = Instant::now();
    let _in_flight = app.metrics.begin(POLICY_PATH, body.len());
    let review = match Review::parse(&body, Resource::Workload) {
        Ok(review) => review,
        Err(error) => return app.refuse(POLICY_PATH, &error, began),
    };
    drop(body);
    let uid = &review.uid;
    let violations = match violations(&app.policies, app.provisioner.client(), &policy, &review)
        .await
    {
        Ok(violations) => violations,
        Err(error) => {
            // The failure policy lets the workload in; it is counted all the same.
            tracing::warn!(uid, policy, %error, "cannot read what a policy asks for beside the workload");
            app.metrics
                .review(POLICY_PATH, "failed", "beside", began.elapsed());
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    app.policies.note_review();
    let (decision, answer) = match &violations {
        None => ("allowed", Answer::allow(uid)),
        Some((Enforcement::Enforce, reasons)) => ("denied", Answer::deny(uid, reasons)),
        Some((_, reasons)) => {
            let warnings: Vec<String> = reasons.0.iter().map(Reason::to_string).collect();
            ("warned", Answer::allow(uid).warning(&warnings))
        }
    };
    let reason = violations
        .as_ref()
        .map_or("none", |(_, reasons)| reasons.code());
    tracing::debug!(
        uid,
        namespace = review.namespace,
        policy,
        decision,
        "a workload"
    );
    app.metrics
        .review(POLICY_PATH, decision, reason, began.elapsed());
    respond(uid, Ok(answer.noting("decision", decision)))
}

/// What one policy has against a workload, and what is to become of it; none: nothing.
async fn violations(
    known: &Known,
    client: &Client,
    policy: &str,
    review: &Review,
) -> Result<Option<(Enforcement, Reasons)>, ApiError> {
    let (policies, labels) = known.about(&review.namespace).await;
    let Some(judging) = policies.iter().find(|it| it.name() == policy) else {
        return Ok(None);
    };
    let workload =
        WorkloadKind::parse(&review.kind).and_then(|kind| Workload::read(kind, &review.object));
    let Some(workload) = workload else {
        return Ok(None);
    };
    let constraints = &judging.spec().constraints;
    let namespace = review.namespace.as_str();
    let (lookups, place) = (known.lookups(), (namespace, &labels));
    let injected = policies.iter().any(|it| it.injects());
    let rivals = if constraints.require_sidecar && injected {
        let rivals = lookups.rivals(client, &policies, place, workload.name);
        Some(rivals.await?)
    } else {
        None
    };
    let mut _alone = None;
    let services = if constraints.require_routed_service {
        _alone = Some(lookups.services(SERVICES_DEADLINE).await?);
        services(client, namespace).await?
    } else {
        None
    };
    let beside = Beside {
        services: services.as_deref(),
        rivals: rivals.as_ref(),
    };
    let verdict = evaluate(&policies, &labels, &workload, beside);
    let against = |it: Violation<'_>| {
        let name = it.policy.name();
        (name == policy).then(|| Reason::PolicyViolated {
            policy: name.to_owned(),
            what: it.what,
        })
    };
    let reasons: Vec<Reason> = verdict.violations.into_iter().filter_map(against).collect();
    let enforcement = judging.spec().enforcement;
    Ok((!reasons.is_empty()).then_some((enforcement, Reasons(reasons))))
}

/// Whom the Services of a namespace serve; none: they are too many to know.
async fn services(client: &Client, namespace: &str) -> Result<Option<Vec<ServiceRoute>>, ApiError> {
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let pages = async {
        let mut params = ListParams::default().limit(SERVICES_PAGE);
        let mut routes = Vec::new();
        for _ in 0..SERVICES_PAGES_MAX {
            let listed = services.list(&params).await?;
            routes.extend(listed.items.iter().map(route));
            match listed.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(Some(routes)),
            }
        }
        Ok(None)
    };
    within(SERVICES_DEADLINE, pages).await
}

/// Whom a Service serves.
pub(super) fn route(service: &Service) -> ServiceRoute {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone());
    ServiceRoute {
        group: service.annotations().get(common::contract::GROUP).cloned(),
        selector: selector.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
