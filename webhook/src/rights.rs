//! Whether the program may do what it must, asked before a pod waits in vain for an account.
//!
//! What is missing keeps `/readyz` from being well, and stands in the log. The rights to the Secret
//! and to the configuration show by themselves: without them there is no certificate.

use crate::client::{ApiError, REQUEST_DEADLINE, post, within};
use crate::provision::ClusterRoles;
use crate::readiness::{Part, Readiness};
use futures_util::future::try_join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, Client};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Time between two looks while nothing is missing.
const AGAIN: Duration = Duration::from_secs(300);
/// Time until the next look if something is missing, or nobody answered.
const RETRY: Duration = Duration::from_secs(5);
const RBAC: &str = "rbac.authorization.k8s.io";
/// Group, resource and verbs, in all namespaces.
const NEEDED: [(&str, &str, &[&str]); 3] = [
    ("", "serviceaccounts", &["get", "list", "watch", "create"]),
    (
        RBAC,
        "rolebindings",
        &["get", "list", "watch", "create", "update"],
    ),
    ("", "services", &["list", "watch"]),
];

/// One right.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    name: Option<String>,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        match &self.name {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

/// Looks for ever.
pub async fn watch(client: Client, roles: ClusterRoles, readiness: Arc<Readiness>) -> Infallible {
    let needed = needed(&roles);
    let mut known = None;
    loop {
        let wait = match missing(&client, &needed).await {
            Ok(missing) => {
                readiness.set(Part::Rights, missing.is_empty());
                let wait = if missing.is_empty() { AGAIN } else { RETRY };
                if known.as_ref() != Some(&missing) && !missing.is_empty() {
                    let rights: Vec<String> = missing.iter().map(Right::to_string).collect();
                    let missing = rights.join(", ");
                    tracing::error!(
                        missing,
                        "rights are missing: the chart's ClusterRole active-passive-webhook has them"
                    );
                }
                known = Some(missing);
                wait
            }
            Err(error) => {
                // Nothing is known, so nothing changes.
                tracing::warn!(%error, "cannot ask for the own rights");
                RETRY
            }
        };
        sleep(wait).await;
    }
}

fn needed(roles: &ClusterRoles) -> Vec<Right> {
    let everywhere = NEEDED.iter().flat_map(|(group, resource, verbs)| {
        verbs.iter().map(|verb| Right {
            verb,
            group,
            resource,
            name: None,
        })
    });
    let bind = [&roles.sidecar, &roles.router]
        .into_iter()
        .map(|role| Right {
            verb: "bind",
            group: RBAC,
            resource: "clusterroles",
            name: Some(role.clone()),
        });
    everywhere.chain(bind).collect()
}

/// Those rights that the API server denies.
async fn missing(client: &Client, needed: &[Right]) -> Result<Vec<Right>, ApiError> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let params = post();
    let asked = needed.iter().map(|right| async {
        let review = question(right);
        let answer = within(REQUEST_DEADLINE, reviews.create(&params, &review)).await?;
        let allowed = answer.status.is_some_and(|status| status.allowed);
        Ok::<_, ApiError>((!allowed).then(|| right.clone()))
    });
    Ok(try_join_all(asked).await?.into_iter().flatten().collect())
}

fn question(right: &Right) -> SelfSubjectAccessReview {
    let attributes = ResourceAttributes {
        verb: Some(right.verb.to_owned()),
        group: Some(right.group.to_owned()),
        resource: Some(right.resource.to_owned()),
        name: right.name.clone(),
        ..ResourceAttributes::default()
    };
    SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_api::FakeApi;

    fn roles() -> ClusterRoles {
        ClusterRoles {
            sidecar: "sidecar".to_owned(),
            router: "router".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_right_is_named_and_keeps_the_program_from_being_ready() {
        let api = FakeApi::new();
        api.deny("create", "serviceaccounts");
        api.deny("bind", "clusterroles");
        let missing = missing(&api.client(), &needed(&roles())).await.unwrap();
        let missing: Vec<String> = missing.iter().map(Right::to_string).collect();
        assert_eq!(
            missing,
            [
                "create serviceaccounts",
                "bind clusterroles.rbac.authorization.k8s.io/sidecar",
                "bind clusterroles.rbac.authorization.k8s.io/router",
            ]
        );

        let readiness = Arc::new(Readiness::default());
        tokio::spawn(watch(api.client(), roles(), readiness.clone()));
        let unready = "rights are missing, which the log names";
        sleep(RETRY).await;
        assert!(readiness.missing().contains(&unready));
        api.deny_nothing();
        sleep(RETRY * 2).await;
        assert!(!readiness.missing().contains(&unready));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_changes_nothing() {
        let api = FakeApi::new();
        let readiness = Arc::new(Readiness::default());
        tokio::spawn(watch(api.client(), roles(), readiness.clone()));
        sleep(RETRY).await;
        let before = readiness.missing();
        api.hang("POST ");
        sleep(AGAIN * 2).await;
        assert_eq!(readiness.missing(), before);
    }
}
