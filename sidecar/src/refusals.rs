//! Writes that the API server refuses: said to people once, with what cures them.

use crate::client::Reply;
use crate::config::Config;
use common::contract;
use http::StatusCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The same refusal is told again after this time, seconds.
const SILENCE_S: u64 = 300;

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    last: Mutex<Option<(String, Instant)>>,
}

impl Refusals {
    /// Warns about a refused request, unless the same was said a short while ago.
    pub(crate) fn tell(&self, request: &str, reply: &Reply, config: &Config) {
        let message = reply.message();
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let silence = Duration::from_secs(SILENCE_S);
            if last
                .as_ref()
                .is_some_and(|(told, at)| *told == message && at.elapsed() < silence)
            {
                return;
            }
            *last = Some((message.clone(), Instant::now()));
        }
        let status = reply.status.as_u16();
        let cure = cure(reply.status, &message, config);
        tracing::warn!(
            request,
            status,
            message,
            cure,
            "the API server refuses a request"
        );
    }
}

/// What to do about it.
pub(crate) fn cure(status: StatusCode, message: &str, config: &Config) -> String {
    let Some(account) = account(message).filter(|_| status == StatusCode::FORBIDDEN) else {
        return "if the message names a policy of active-passive, this pod's view was outdated and \
                corrects itself; otherwise change the policy or webhook that the message names"
            .to_owned();
    };
    let role = if message.contains("\"services\"") {
        contract::ROUTER_CLUSTER_ROLE
    } else {
        contract::SIDECAR_CLUSTER_ROLE
    };
    let (namespace, group) = (&config.namespace, &config.group);
    format!(
        "kubectl -n {namespace} create rolebinding {role}-{group} --clusterrole={role} \
         --serviceaccount={account}"
    )
}

/// `namespace:name` of the service account that a refusal by RBAC names.
fn account(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("\"system:serviceaccount:")?;
    rest.split_once('"').map(|(account, _)| account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::config;

    #[test]
    fn a_missing_right_comes_with_the_line_that_grants_it() {
        let message = "pods \"web-1\" is forbidden: User \"system:serviceaccount:shop:default\" \
                       cannot patch resource \"pods/status\" in API group \"\"";
        assert_eq!(
            cure(StatusCode::FORBIDDEN, message, &config()),
            "kubectl -n shop create rolebinding active-passive-sidecar-web \
             --clusterrole=active-passive-sidecar --serviceaccount=shop:default"
        );
        let services = message.replace("pods/status", "services");
        assert!(
            cure(StatusCode::FORBIDDEN, &services, &config()).contains("active-passive-router")
        );
    }

    #[test]
    fn a_policy_is_not_cured_by_a_role() {
        let message = "ValidatingAdmissionPolicy 'role.active-passive.dev' denied request: term 1";
        let cure = cure(StatusCode::UNPROCESSABLE_ENTITY, message, &config());
        assert!(cure.contains("corrects itself"), "{cure}");
    }
}
