//! A policy rolled out over thirty workloads, as docs/policy.md says it.
//!
//! No pod of them runs: they ask for a node that is not there.

use anyhow::{Context as _, Result, ensure};
use common::contract;
use serde_json::{Value, json};
use tests::cluster::Cluster;
use tests::scene::SYSTEM_NAMESPACE;

use crate::context::{Case, Context, eventually};

const NAMESPACES: [&str; 5] = ["web-1", "web-2", "web-3", "web-4", "web-5"];
/// Of each namespace, Deployments beside one StatefulSet.
const DEPLOYMENTS: usize = 5;
/// Label of these namespaces.
const LABEL: &str = "tier";
const NAME: &str = "web-tier";
/// Until a status says what it should, milliseconds: the longest is a count that was just missed.
const COUNTED_MS: u64 = 45_000;
/// Until entries have come or gone, milliseconds.
pub(crate) const ENTRIES_MS: u64 = 20_000;
/// Until API server and proxies have learned that the webhook is gone, or is back, milliseconds.
const WEBHOOK_MS: u64 = 60_000;
const WEBHOOK: &str = "deployment/active-passive-webhook";
const ENTRY: &str = "web-tier.policy.active-passive.dev";
/// What the policy says to a lease-duration of 4s.
const TOO_SHORT: &str = "policy web-tier: the lease-duration is 4s, and at least 10s is required: \
                         write it into active-passive.dev/lease-duration of the pod template";

pub(crate) const CASES: &[Case] = &[Case {
    name: "policy: rolled out step by step, counted, warned of, enforced, and gone without a trace",
    run: |context| Box::pin(rolls_out(context)),
}];

async fn rolls_out(context: &Context<'_>) -> Result<()> {
    let cluster = context.cluster;
    make(cluster).await?;
    let rolled = steps(context).await;
    // Other tests need their cluster as it was.
    let gone = leave(cluster).await;
    rolled.and(gone)
}

async fn steps(context: &Context<'_>) -> Result<()> {
    let cluster = context.cluster;
    // 1. Who is there?
    entries(cluster, &[], &[]).await?;
    apply(cluster, &policy("OptIn", "Audit")).await?;
    counts(
        cluster,
        &Counts {
            injected: 1,
            not_yet: 28,
            opted_out: 1,
            violating: 1,
        },
    )
    .await?;
    glance(
        cluster,
        &["OptIn", "Audit", "5", "30", "1", "28", "1", "True"],
    )
    .await?;
    entries(cluster, &[], &[]).await?;

    // 2. What would it come to?
    plans(context).await?;

    // 3. Who applies what violates it is told.
    apply(cluster, &policy("OptIn", "Warn")).await?;
    entries(cluster, &[], &[ENTRY]).await?;
    let mut attempt = 0;
    let told = eventually("a warning", ENTRIES_MS, async || {
        attempt += 1;
        let change = format!("warned-{attempt}");
        let answer = apply_answer(context, &checkout("4s", &change)).await?;
        ensure!(answer.0, "refused: {}", answer.1);
        Ok(if answer.1.contains("Warning") {
            Ok(answer.1)
        } else {
            Err(answer.1)
        })
    });
    let told = told.await?;
    ensure!(told.contains(TOO_SHORT), "{told}");

    // 4. Everybody gets the sidecar, a namespace at a time.
    apply(cluster, &policy("Default", "Warn")).await?;
    entries(cluster, &[ENTRY], &[ENTRY]).await?;
    counts(
        cluster,
        &Counts {
            injected: 1,
            not_yet: 28,
            opted_out: 1,
            violating: 1,
        },
    )
    .await?;
    for (index, namespace) in NAMESPACES.iter().enumerate() {
        restart(cluster, namespace).await?;
        let injected = [6, 11, 17, 23, 29][index];
        let now = Counts {
            injected,
            not_yet: 29 - injected,
            opted_out: 1,
            violating: 1,
        };
        counts(cluster, &now).await?;
    }
    carries_the_defaults(cluster).await?;
    ignores_an_absent_webhook(cluster).await?;

    // 5. From now on it must be so.
    apply(cluster, &policy("Default", "Enforce")).await?;
    let refused = eventually("a refusal", ENTRIES_MS, async || {
        attempt += 1;
        let change = format!("refused-{attempt}");
        let answer = apply_answer(context, &checkout("4s", &change)).await?;
        Ok(if answer.0 {
            Err(answer.1)
        } else {
            Ok(answer.1)
        })
    });
    let refused = refused.await?;
    let said = format!("admission webhook \"{ENTRY}\" denied the request: {TOO_SHORT}");
    ensure!(refused.contains(&said), "{refused}");
    let (applied, why) = apply_answer(context, &checkout("10s", "right")).await?;
    ensure!(applied && !why.contains("Warning"), "{why}");
    counts(
        cluster,
        &Counts {
            injected: 29,
            not_yet: 0,
            opted_out: 1,
            violating: 0,
        },
    )
    .await?;
    let wait = ["wait", "--for=condition=RolledOut", "--timeout=30s"];
    cluster
        .kubectl(&[&wait[..], &["activepassivepolicy", NAME]].concat())
        .await?;
    Ok(())
}

fn policy(inject: &str, enforcement: &str) -> Value {
    json!({
        "apiVersion": "active-passive.dev/v1alpha1",
        "kind": "ActivePassivePolicy",
        "metadata": {"name": NAME},
        "spec": {
            "namespaceSelector": {"matchLabels": {LABEL: "web"}},
            "inject": inject,
            "enforcement": enforcement,
            "defaults": {contract::HANDOVER: "exclusive"},
            "constraints": {"minLeaseDuration": "10s"},
        },
    })
}

/// The only workload that asks by itself, for too short a time.
fn checkout(lease_duration: &str, change: &str) -> Value {
    let annotations = json!({
        contract::INJECT: "true",
        contract::LEASE_DURATION: lease_duration,
        "change": change,
    });
    workload("Deployment", NAMESPACES[0], "app-1", &annotations)
}

fn workload(kind: &str, namespace: &str, name: &str, annotations: &Value) -> Value {
    let labels = json!({"app": name});
    let mut spec = json!({
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels, "annotations": annotations},
            "spec": {
                "nodeSelector": {"example.com/nowhere": "true"},
                "containers": [{"name": "app", "image": "example.com/app:1"}],
            },
        },
    });
    match kind {
        // Old pods go though no new one is ever ready.
        "Deployment" => spec["strategy"] = json!({"type": "Recreate"}),
        _ => spec["podManagementPolicy"] = json!("Parallel"),
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": spec,
    })
}

/// Five namespaces with six workloads each. One workload asks, one refuses.
async fn make(cluster: &Cluster) -> Result<()> {
    let mut items = Vec::new();
    for name in NAMESPACES {
        let metadata = json!({"name": name, "labels": {LABEL: "web"}});
        items.push(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}));
    }
    for namespace in NAMESPACES {
        for index in 1..=DEPLOYMENTS {
            let annotations = match (namespace, index) {
                ("web-2", 1) => json!({contract::INJECT: "false"}),
                _ => json!({}),
            };
            let name = format!("app-{index}");
            items.push(workload("Deployment", namespace, &name, &annotations));
        }
        items.push(workload("StatefulSet", namespace, "store", &json!({})));
    }
    let first = checkout("4s", "none");
    items.retain(|item| item["metadata"] != first["metadata"]);
    items.push(first);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    apply(cluster, &list).await?;
    // Pods that are made later would get the sidecar at once.
    eventually("pods of all workloads", COUNTED_MS, async || {
        let pods = ["get", "pods", "--all-namespaces", "--output=json"];
        let pods: Value = serde_json::from_str(&cluster.kubectl(&pods).await?)?;
        let all = pods["items"].as_array().context("a list has items")?;
        let ours = |pod: &&Value| {
            NAMESPACES
                .iter()
                .any(|name| pod["metadata"]["namespace"] == *name)
        };
        let count = all.iter().filter(ours).count();
        Ok(if count == 30 {
            Ok(())
        } else {
            Err(format!("{count} pods"))
        })
    })
    .await
}

/// Takes everything away, and sees that no entry is left.
async fn leave(cluster: &Cluster) -> Result<()> {
    let policy = ["delete", "activepassivepolicy", NAME, "--ignore-not-found"];
    cluster.kubectl(&policy).await?;
    let namespaces = [&["delete", "namespace", "--wait=false"][..], &NAMESPACES].concat();
    cluster.kubectl(&namespaces).await?;
    entries(cluster, &[], &[]).await
}

pub(crate) async fn apply(cluster: &Cluster, object: &Value) -> Result<()> {
    let input = object.to_string();
    cluster
        .kubectl_with_input(&["apply", "-f", "-"], &input)
        .await?;
    Ok(())
}

/// Whether it was applied, and what kubectl said besides.
async fn apply_answer(context: &Context<'_>, object: &Value) -> Result<(bool, String)> {
    let args = ["--namespace", NAMESPACES[0], "apply", "-f", "-"];
    let answer = context.kubectl_answer(&args, &object.to_string()).await?;
    Ok((answer.succeeded, answer.stderr))
}

/// What the status counts, of thirty workloads.
struct Counts {
    injected: u64,
    not_yet: u64,
    opted_out: u64,
    violating: u64,
}

async fn counts(cluster: &Cluster, wanted: &Counts) -> Result<()> {
    let wanted = json!({
        "namespaces": 5,
        "matched": 30,
        "injected": wanted.injected,
        "notYetInjected": wanted.not_yet,
        "optedOut": wanted.opted_out,
        "violating": wanted.violating,
    });
    let keys = wanted.as_object().context("an object")?;
    let status = eventually("the counts", COUNTED_MS, async || {
        let policy = show(cluster).await?;
        let status = &policy["status"];
        let found: Value = keys
            .keys()
            .map(|key| (key.clone(), status[key].clone()))
            .collect();
        let current = status["observedGeneration"] == policy["metadata"]["generation"];
        let good = current && found == wanted;
        Ok(if good {
            Ok(status.clone())
        } else {
            Err(format!("{found}, not {wanted}"))
        })
    })
    .await?;
    let named = |key: &str| status[key].as_array().map_or(0, Vec::len) as u64;
    let not_yet = wanted["notYetInjected"].as_u64().unwrap_or_default();
    ensure!(
        named("notYetInjectedWorkloads") == not_yet.min(20),
        "{status:#}"
    );
    ensure!(
        wanted["violating"] == named("violatingWorkloads"),
        "{status:#}"
    );
    Ok(())
}

async fn show(cluster: &Cluster) -> Result<Value> {
    let get = ["get", "activepassivepolicy", NAME, "--output=json"];
    Ok(serde_json::from_str(&cluster.kubectl(&get).await?)?)
}

/// What `kubectl get` shows after the name.
async fn glance(cluster: &Cluster, wanted: &[&str]) -> Result<()> {
    let shown = cluster
        .kubectl(&["get", "activepassivepolicies", "--no-headers"])
        .await?;
    let cells: Vec<&str> = shown
        .split_whitespace()
        .skip(1)
        .take(wanted.len())
        .collect();
    ensure!(cells == wanted, "{shown}");
    Ok(())
}

/// The entries that are there for policies, about pods and about workloads, each with its caBundle.
pub(crate) async fn entries(cluster: &Cluster, pods: &[&str], workloads: &[&str]) -> Result<()> {
    let suffix = contract::POLICY_ENTRY_SUFFIX;
    eventually("the entries of the policy", ENTRIES_MS, async || {
        let mut found = Vec::new();
        for kind in ["mutating", "validating"] {
            let kind = format!("{kind}webhookconfiguration");
            let get = ["get", &kind, "active-passive", "--output=json"];
            let configuration: Value = serde_json::from_str(&cluster.kubectl(&get).await?)?;
            let all = configuration["webhooks"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let mut names = Vec::new();
            for entry in &all {
                let name = entry["name"].as_str().unwrap_or_default();
                let bundle = &entry["clientConfig"]["caBundle"];
                if name.ends_with(suffix)
                    && bundle.is_string()
                    && entry["failurePolicy"] == "Ignore"
                {
                    names.push(name.to_owned());
                }
            }
            found.push(names);
        }
        let good = found[0] == pods && found[1] == workloads;
        Ok(if good {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        })
    })
    .await
}

/// `kubectl active-passive policy plan`, of the policy that comes after.
async fn plans(context: &Context<'_>) -> Result<()> {
    let plugin = crate::cli::Plugin::new(context)?;
    let file = plugin.file("policy.json", &policy("Default", "Enforce").to_string())?;
    let answer = plugin.answer(&["policy", "plan", "-f", &file]).await?;
    let said = &answer.stdout;
    ensure!(
        answer.code == Some(REFUSING),
        "exit code {:?}: {said}",
        answer.code
    );
    for part in [
        "web-1       Deployment/app-1    refuse   the lease-duration is 4s",
        "web-5       StatefulSet/store   change   it gets the sidecar, with active-passive.dev/handover",
        "30 workloads in 5 namespaces: 28 change when their pods are made anew, 0 cannot",
        "violating: 0 counted, 0 warned of, 1 refused at their next change",
    ] {
        ensure!(said.contains(part), "no {part:?} in\n{said}");
    }
    ensure!(
        !said.contains("web-2       Deployment/app-1 "),
        "it refuses the sidecar:\n{said}"
    );
    plugin.end()
}

/// Exit code of a plan by which something would be refused.
const REFUSING: i32 = 7;

async fn restart(cluster: &Cluster, namespace: &str) -> Result<()> {
    let restart = [
        "--namespace",
        namespace,
        "rollout",
        "restart",
        "deployment,statefulset",
    ];
    cluster.kubectl(&restart).await?;
    Ok(())
}

async fn carries_the_defaults(cluster: &Cluster) -> Result<()> {
    let get = [
        "--namespace",
        "web-5",
        "get",
        "pod",
        "store-0",
        "--output=json",
    ];
    let pod: Value = serde_json::from_str(&cluster.kubectl(&get).await?)?;
    let annotations = &pod["metadata"]["annotations"];
    ensure!(
        annotations[contract::INJECTED_BY] == NAME,
        "{annotations:#}"
    );
    ensure!(
        annotations[contract::HANDOVER] == "exclusive",
        "{annotations:#}"
    );
    ensure!(
        pod["spec"]["initContainers"][0]["name"] == contract::CONTAINER,
        "{pod:#}"
    );
    Ok(())
}

/// Who did not ask does not wait for the webhook.
async fn ignores_an_absent_webhook(cluster: &Cluster) -> Result<()> {
    let at = ["--namespace", SYSTEM_NAMESPACE];
    let webhook = |args: &[&str]| {
        [&at[..], args]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    let run = async |args: Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        cluster.kubectl(&args).await
    };
    run(webhook(&["scale", WEBHOOK, "--replicas=0"])).await?;
    // Pods that end in order would serve on for a while.
    let selector = "--selector=app.kubernetes.io/component=webhook";
    run(webhook(&[
        "delete",
        "pods",
        selector,
        "--force",
        "--grace-period=0",
    ]))
    .await?;
    let bare = born_with(cluster, false).await;
    run(webhook(&["scale", WEBHOOK, "--replicas=2"])).await?;
    run(webhook(&["rollout", "status", WEBHOOK, "--timeout=90s"])).await?;
    bare.context("a pod that did not ask waits for the webhook")?;
    born_with(cluster, true)
        .await
        .context("the webhook is back")
}

/// Waits until a pod of a workload that says nothing is made with, or without, the sidecar. It is a dry
/// run: nothing is kept.
async fn born_with(cluster: &Cluster, sidecar: bool) -> Result<()> {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "store", "uid": "1", "controller": true,
    });
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "web-5", "name": "store-9", "ownerReferences": [owner]},
        "spec": {"containers": [{"name": "app", "image": "example.com/app:1"}]},
    });
    let create = ["create", "--dry-run=server", "--output=json", "-f", "-"];
    eventually("the pod", WEBHOOK_MS, async || {
        let made = cluster
            .kubectl_with_input(&create, &pod.to_string())
            .await?;
        let made: Value = serde_json::from_str(&made)?;
        let found = made["spec"]["initContainers"][0]["name"] == contract::CONTAINER;
        Ok(if found == sidecar {
            Ok(())
        } else {
            Err(format!("sidecar: {found}"))
        })
    })
    .await
}
