//! Whose the name of a group is where a policy asks for the sidecar, and who passes a policy by.
//!
//! No pod of it runs: they ask for a node that is not there.

use anyhow::{Result, ensure};
use common::contract;
use serde_json::{Value, json};

use crate::context::{Case, Context, eventually};
use crate::policy::{ENTRIES_MS, apply, entries};

/// The policy, and the label of the namespace that it is about.
const NAME: &str = "names";
const ENTRY: &str = "names.policy.active-passive.dev";
/// Until pods are made, and a status says what it should, milliseconds.
const COUNTED_MS: u64 = 45_000;
/// The account by which Kubernetes makes the runs of CronJobs.
const CRON_JOBS: &str = "system:serviceaccount:kube-system:cronjob-controller";

pub(crate) const CASES: &[Case] = &[Case {
    name: "policy: a name is one workload's, and nobody passes by as another's object",
    run: |context| Box::pin(named_and_owned(context)),
}];

async fn named_and_owned(context: &Context<'_>) -> Result<()> {
    let cluster = context.cluster;
    let label = format!("{NAME}=yes");
    let label = ["label", "namespace", &context.namespace, &label];
    cluster.kubectl(&label).await?;
    let ended = async {
        names(context).await?;
        owners(context).await
    }
    .await;
    // Other tests need their cluster as it was.
    let delete = ["delete", "activepassivepolicy", NAME, "--ignore-not-found"];
    cluster.kubectl(&delete).await?;
    entries(cluster, &[], &[]).await?;
    ended
}

/// Of two workloads of one name the older one gets the sidecar, and one that has a Lease of its own
/// gets none.
async fn names(context: &Context<'_>) -> Result<()> {
    apply(context.cluster, &policy("Default", "Audit", &json!({}))).await?;
    entries(context.cluster, &[ENTRY], &[]).await?;
    context.apply(&lease("elects-itself")).await?;
    context.apply(&workload("Deployment", "twin")).await?;
    made(context, "twin", 1).await?;
    for (kind, name) in [("StatefulSet", "twin"), ("Deployment", "elects-itself")] {
        context.apply(&workload(kind, name)).await?;
    }
    made(context, "twin", 2).await?;
    made(context, "elects-itself", 1).await?;
    let pods = ["get", "pods", "--output=json"];
    let pods: Value = serde_json::from_str(&context.kubectl(&pods).await?)?;
    for pod in pods["items"].as_array().into_iter().flatten() {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let injected = pod["spec"]["initContainers"][0]["name"] == contract::CONTAINER;
        // The pod of the StatefulSet is twin-0.
        let wanted = name.starts_with("twin-") && name != "twin-0";
        ensure!(injected == wanted, "{name}, with the sidecar: {injected}");
    }
    let get = ["get", "activepassivepolicy", NAME, "--output=json"];
    eventually("the reasons", COUNTED_MS, async || {
        let policy: Value = serde_json::from_str(&context.cluster.kubectl(&get).await?)?;
        let named = policy["status"]["notYetInjectedWorkloads"].to_string();
        let all = [
            "Deployment/twin has the group of this name",
            "Lease elects-itself is another program's",
        ];
        Ok(if all.iter().all(|part| named.contains(part)) {
            Ok(())
        } else {
            Err(named)
        })
    })
    .await
}

/// What another object keeps is judged like everybody's, but for runs that Kubernetes makes.
async fn owners(context: &Context<'_>) -> Result<()> {
    let required = json!({"requireSidecar": true});
    apply(context.cluster, &policy("OptIn", "Enforce", &required)).await?;
    entries(context.cluster, &[], &[ENTRY]).await?;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "operator"}});
    context.apply(&map).await?;
    let cron_job = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "runs"},
        "spec": {"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": {"spec": {"template": {
            "spec": template_spec("Never"),
        }}}},
    });
    context.apply(&cron_job).await?;
    let mut kept = workload("StatefulSet", "kept");
    kept["metadata"]["ownerReferences"] = owner(context, ("v1", "ConfigMap", "operator")).await?;
    refused(context, &kept).await?;

    let mut run = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "runs-29384710"},
        "spec": {"template": {"spec": template_spec("Never")}},
    });
    run["metadata"]["ownerReferences"] = owner(context, ("batch/v1", "CronJob", "runs")).await?;
    refused(context, &run).await?;
    let kube = context.cluster.kube();
    let kubernetes = kube.with_user(CRON_JOBS, "system:serviceaccounts").await?;
    let create = ["--namespace", &context.namespace, "create", "-f", "-"];
    kubernetes
        .kubectl_with_input(&create, &run.to_string())
        .await?;
    Ok(())
}

async fn refused(context: &Context<'_>, object: &Value) -> Result<()> {
    eventually("a refusal", ENTRIES_MS, async || {
        let create = ["create", "--dry-run=server", "-f", "-"];
        let answer = context.kubectl_answer(&create, &object.to_string()).await?;
        let said = "policy names: the sidecar is required";
        Ok(if !answer.succeeded && answer.stderr.contains(said) {
            Ok(())
        } else {
            Err(answer.stderr)
        })
    })
    .await
}

/// Waits until so many pods of the app are made.
async fn made(context: &Context<'_>, app: &str, wanted: usize) -> Result<()> {
    let selector = format!("--selector=app={app}");
    eventually("pods", COUNTED_MS, async || {
        let names = ["get", "pods", &selector, "--output=name"];
        let names = context.kubectl(&names).await?;
        Ok(if names.lines().count() == wanted {
            Ok(())
        } else {
            Err(names)
        })
    })
    .await
}

async fn owner(context: &Context<'_>, (version, kind, name): (&str, &str, &str)) -> Result<Value> {
    let uid = ["get", kind, name, "--output=jsonpath={.metadata.uid}"];
    let uid = context.kubectl(&uid).await?;
    Ok(json!([{
        "apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true,
    }]))
}

fn policy(inject: &str, enforcement: &str, constraints: &Value) -> Value {
    json!({
        "apiVersion": "active-passive.dev/v1alpha1",
        "kind": "ActivePassivePolicy",
        "metadata": {"name": NAME},
        "spec": {
            "namespaceSelector": {"matchLabels": {NAME: "yes"}},
            "kinds": ["Deployment", "StatefulSet", "Job"],
            "inject": inject,
            "enforcement": enforcement,
            "constraints": constraints,
        },
    })
}

/// As a program makes it that elects a leader by itself.
fn lease(name: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
        "spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 15},
    })
}

fn template_spec(restart: &str) -> Value {
    json!({
        "nodeSelector": {"example.com/nowhere": "true"},
        "restartPolicy": restart,
        "containers": [{"name": "app", "image": "example.com/app:1"}],
    })
}

fn workload(kind: &str, name: &str) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": template_spec("Always")},
        },
    })
}
