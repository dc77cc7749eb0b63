//! Reads what is looked at before an install.

use crate::check::before::{Before, KINDS, Kind, Native};
use crate::check::names;
use crate::check::read::{NO_IMAGE, Untried, dry_run, read};
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::gather::list;
use common::trial::container;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;

const ADMISSION: &str = "/apis/admissionregistration.k8s.io/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

#[derive(Deserialize)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
}

#[derive(Deserialize)]
struct Review {
    status: Answer,
}

#[derive(Deserialize)]
struct Answer {
    allowed: bool,
}

/// Everything.
pub(crate) async fn facts(
    cluster: &Cluster,
    system_namespace: Option<&str>,
) -> Result<Before, Failure> {
    let version: Version = cluster.get("read the version", "/version").await?;
    let resources: Resources = cluster.get("list admission APIs", ADMISSION).await?;
    let resources: Vec<String> = resources.resources.into_iter().map(|it| it.name).collect();
    let namespace = system_namespace.unwrap_or(names::NAMESPACE);
    let mut refused = Vec::new();
    for kind in KINDS {
        // What the API server does not know, the chart leaves out.
        let unknown = kind.is_admission() && !resources.iter().any(|it| it == kind.resource);
        if !unknown && !may_create(cluster, namespace, kind).await? {
            refused.push(*kind);
        }
    }
    let nodes = list(cluster, "list nodes", "/api/v1/nodes", "").await;
    let mut namespaces = Vec::new();
    for name in BTreeSet::from([cluster.namespace.as_str(), namespace]) {
        let what = format!("read namespace {name}");
        let path = format!("/api/v1/namespaces/{name}");
        let found = cluster.get(&what, &path).await;
        namespaces.push((name.to_owned(), read(found)?));
    }
    let webhooks = format!("{ADMISSION}/mutatingwebhookconfigurations");
    let webhooks = list(cluster, "list webhook configurations", &webhooks, "").await;
    Ok(Before {
        version: version.git_version,
        admission: resources,
        refused,
        nodes: read(nodes)?,
        namespaces,
        native: native(cluster).await?,
        webhooks: read(webhooks)?,
    })
}

async fn may_create(cluster: &Cluster, namespace: &str, kind: &Kind) -> Result<bool, Failure> {
    let namespace = if kind.namespaced { namespace } else { "" };
    let question = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "verb": "create",
            "group": kind.group,
            "resource": kind.resource,
            "namespace": namespace,
        }},
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let review: Review = cluster.ask("ask for rights", path, &question).await?;
    Ok(review.status.allowed)
}

/// Whether a native sidecar comes through admission as one.
async fn native(cluster: &Cluster) -> Result<Native, Failure> {
    let mut sidecar = container("sidecar", NO_IMAGE);
    sidecar["restartPolicy"] = json!("Always");
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "active-passive-check"},
        "spec": {"containers": [container("app", NO_IMAGE)], "initContainers": [sidecar]},
    });
    Ok(match dry_run(cluster, &pod).await? {
        Ok(tried) => match tried.native("sidecar") {
            Some(true) => Native::Kept,
            Some(false) | None => Native::Stripped,
        },
        Err(Untried::Failed(why) | Untried::Refused(why)) => Native::Refused(why),
        Err(Untried::NotAllowed(why)) => Native::NotAllowed(why),
    })
}
