//! `helm test`: does the installation do what it is for?
//!
//! A pod with the annotation is created as a dry run, which leaves nothing. A role that moves needs
//! pods that run: those of a Deployment, in a namespace that somebody else makes and takes away.

use crate::client::{ApiError, REQUEST_DEADLINE, post, within};
use crate::task::CheckArgs;
use common::contract;
use common::trial::container;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Name of everything that is made here, and of the group.
const NAME: &str = "check";
const REPLICAS: usize = 2;
/// Value of the role label on the active pod.
const ACTIVE: &str = "active";
/// Longest time until pods run and one is active; images are pulled in it.
const START_MAX: Duration = Duration::from_secs(120);
/// Longest time of a move; without a lost node it takes parts of a second.
const MOVE_MAX: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// What does not work.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// An object of ours does not parse: a bug.
    #[error("cannot make an object: {0}")]
    Object(#[from] serde_json::Error),
    /// The API server did not do what it was asked.
    #[error("cannot {action}: {source}")]
    Api {
        /// What was tried.
        action: &'static str,
        /// What the API server says.
        source: ApiError,
    },
    /// The webhook was not asked, or did nothing.
    #[error(
        "a pod with the annotation {key}: \"true\" does not get the sidecar: is the webhook in the \
         MutatingWebhookConfiguration, and does it not exclude namespace {0}?",
        key = contract::INJECT
    )]
    NotInjected(String),
    /// Nobody became active.
    #[error("no role {what} within {limit:?}: {seen}; kubectl -n {namespace} describe pods")]
    NoRole {
        /// What did not happen.
        what: &'static str,
        /// The time it had.
        limit: Duration,
        /// What is there instead.
        seen: String,
        /// Where to look.
        namespace: String,
    },
}

/// Checks, and says on the way what holds.
///
/// # Errors
/// What does not hold.
pub async fn check(client: Client, args: &CheckArgs) -> Result<(), CheckError> {
    injects(&client, &args.namespace).await?;
    tracing::info!("a pod with the annotation gets the sidecar");
    if let Some(image) = &args.image {
        let took = moves(&client, args, image).await?;
        tracing::info!(?took, "the role of a deleted pod has moved");
    }
    Ok(())
}

/// The application: this program, which waits.
fn application(image: &str, pull_policy: &str) -> Value {
    let mut app = container("app", image);
    app["imagePullPolicy"] = json!(pull_policy);
    app["command"] = json!(["/active-passive-webhook", "idle"]);
    app
}

/// Objects of a kind as trees: code for all that pods may hold would be a tenth of the program.
fn api<K: Resource<DynamicType = ()>>(client: &Client, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<K>(&());
    Api::namespaced_with(client.clone(), namespace, &resource)
}

async fn injects(client: &Client, namespace: &str) -> Result<(), CheckError> {
    let pods = api::<Pod>(client, namespace);
    let pod = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": NAME,
            "annotations": {contract::INJECT: "true", contract::GROUP: NAME},
        },
        "spec": {"containers": [application("none", "IfNotPresent")]},
    }))?;
    let dry_run = PostParams {
        dry_run: true,
        ..post()
    };
    let made = within(REQUEST_DEADLINE, pods.create(&dry_run, &pod)).await;
    let made = made.map_err(|source| CheckError::Api {
        action: "create a pod as a dry run",
        source,
    })?;
    let mut containers = items(&made, "/spec/initContainers");
    if containers.any(|container| container["name"] == contract::CONTAINER) {
        return Ok(());
    }
    Err(CheckError::NotInjected(namespace.to_owned()))
}

/// Deletes the active one of two pods; returns how long it took until another was active.
async fn moves(client: &Client, args: &CheckArgs, image: &str) -> Result<Duration, CheckError> {
    let deployments = api::<Deployment>(client, &args.namespace);
    let labels = json!({"app": NAME});
    let deployment = serde_json::from_value(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": labels,
                    // In the end all pods go, and the last one need not wait for a successor.
                    "annotations": {
                        contract::INJECT: "true",
                        contract::SETTLE: "0s",
                        contract::DRAIN_TIMEOUT: "2s",
                    },
                },
                "spec": {
                    "automountServiceAccountToken": false,
                    "terminationGracePeriodSeconds": 10,
                    "containers": [application(image, &args.image_pull_policy)],
                },
            },
        },
    }))?;
    let (params, namespace) = (post(), &args.namespace);
    let made = within(REQUEST_DEADLINE, deployments.create(&params, &deployment)).await;
    made.map_err(|source| CheckError::Api {
        action: "create a Deployment",
        source,
    })?;
    let pods = api::<Pod>(client, namespace);
    let what = "was given to one of two pods";
    let first = active(&pods, None, what, START_MAX, namespace).await?;
    let began = Instant::now();
    let (name, params) = (first.name_any(), DeleteParams::default());
    let deleted = within(REQUEST_DEADLINE, pods.delete(&name, &params)).await;
    deleted.map_err(|source| CheckError::Api {
        action: "delete the active pod",
        source,
    })?;
    let what = "moved away from a deleted pod";
    active(&pods, Some(&first), what, MOVE_MAX, namespace).await?;
    Ok(began.elapsed())
}

/// Waits for an active pod other than `old`; at first, until every pod is ready as well.
async fn active(
    pods: &Api<DynamicObject>,
    old: Option<&DynamicObject>,
    what: &'static str,
    limit: Duration,
    namespace: &str,
) -> Result<DynamicObject, CheckError> {
    let began = Instant::now();
    loop {
        let list = ListParams::default().labels("app=check");
        let found = within(REQUEST_DEADLINE, pods.list(&list)).await;
        let found = found.map_err(|source| CheckError::Api {
            action: "list pods",
            source,
        })?;
        let ready = found.items.iter().filter(|pod| is_ready(pod)).count();
        let settled = old.is_some() || ready == REPLICAS;
        let mut others = found.items.iter();
        let next =
            others.find(|pod| is_active(pod) && old.is_none_or(|old| old.uid() != pod.uid()));
        if let Some(pod) = next.filter(|_| settled) {
            return Ok(pod.clone());
        }
        if began.elapsed() > limit {
            let all = found.items.len();
            return Err(CheckError::NoRole {
                what,
                limit,
                seen: format!("{all} pods, {ready} of them ready"),
                namespace: namespace.to_owned(),
            });
        }
        sleep(PAUSE).await;
    }
}

fn is_active(pod: &DynamicObject) -> bool {
    pod.labels()
        .get(contract::ROLE)
        .is_some_and(|role| role == ACTIVE)
}

fn is_ready(pod: &DynamicObject) -> bool {
    let mut conditions = items(pod, "/status/conditions");
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// What a list in an object holds.
fn items<'a>(object: &'a DynamicObject, at: &str) -> impl Iterator<Item = &'a Value> {
    let list = object.data.pointer(at).and_then(Value::as_array);
    list.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_api::FakeApi;

    fn args(image: Option<&str>) -> CheckArgs {
        CheckArgs {
            namespace: "test".to_owned(),
            image: image.map(str::to_owned),
            image_pull_policy: "IfNotPresent".to_owned(),
        }
    }

    fn pod(uid: &str, role: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"uid": uid, "labels": {"app": NAME, contract::ROLE: role}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_injects_nothing_is_told_of() {
        let error = check(FakeApi::new().client(), &args(None))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("does not get the sidecar"),
            "{error}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_active_pod_is_awaited_and_so_is_the_next() {
        let api = FakeApi::new();
        let pods = super::api::<Pod>(&api.client(), "test");
        let at = |name: &str| format!("/api/v1/namespaces/test/pods/{name}");
        api.put(&at("a"), pod("u-a", "active"));
        let wait = |old| active(&pods, old, "came", MOVE_MAX, "test");
        let error = wait(None).await.unwrap_err().to_string();
        assert!(error.contains("1 pods, 1 of them ready"), "{error}");
        api.put(&at("b"), pod("u-b", "passive"));
        let first = wait(None).await.unwrap();
        assert_eq!(first.uid().unwrap(), "u-a");
        assert!(wait(Some(&first)).await.is_err());
        api.put(&at("b"), pod("u-b", "active"));
        assert_eq!(wait(Some(&first)).await.unwrap().uid().unwrap(), "u-b");
    }
}
