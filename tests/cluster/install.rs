//! An installation's whole life beside a group that runs: upgraded, rolled back, removed, and put
//! back, by Helm 4, by Helm 3 and by kubectl.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use common::contract;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Service;
use kube::api::Api;
use serde_json::Value;
use tests::cluster::images::Kind;
use tests::cluster::{Binaries, Cluster, ClusterOptions, images};
use tests::scene::{self, RELEASE, SYSTEM_NAMESPACE, Scene};

use crate::chart::{KEPT, installed, of_the_release};
use crate::context::{Case, eventually};
use crate::{install_helm_3, install_leftovers, install_rights};

const GROUP: &str = "web";
const NAMESPACE: &str = "default";
const WEBHOOK: &str = "deployment/active-passive-webhook";
/// Longest time of a planned move, milliseconds.
const MOVED_MS: u64 = 10_000;
/// From the ready webhook to the first pod with a sidecar, milliseconds.
const FIRST_MS: u64 = 15_000;
/// Longest time of one step, as kubectl takes it.
const STEP: &str = "--timeout=90s";
/// What the policy of missed pods says.
const TOLD: &str = "goes without it";
/// Until API server and proxies have learned that the webhook is gone.
const ASKED_MAX: usize = 30;
const ASKED_AGAIN: Duration = Duration::from_millis(500);

pub(crate) const CASES: &[Case] = &[Case {
    name: "install: changed, rolled back, removed and put back, and no group is harmed",
    run: |_| Box::pin(lives()),
}];

/// In a cluster of its own: it takes away what other tests need.
async fn lives() -> Result<()> {
    let options = ClusterOptions {
        nodes: 1,
        ..Default::default()
    };
    // Built meanwhile, the first time.
    let helm_3 = tokio::spawn(Binaries::helm_3());
    let cluster = Cluster::start(options).await?;
    scene::install(&cluster, &[]).await?;
    tested(&cluster).await?;
    let manifest = Scene::example()?;
    let mut scene = Scene::open(&cluster, NAMESPACE, GROUP, &manifest, 3).await?;
    renewals_have_a_level_of_their_own(&cluster).await?;
    install_rights::are_as_written(&cluster).await?;
    changes_and_rolls_back(&cluster).await?;

    uninstall(&cluster).await?;
    goes_on(&cluster, &mut scene).await?;
    let bare = ["rollout", "restart", "deployment/web"];
    cluster.kubectl(&bare).await?;
    let status = ["rollout", "status", "deployment/web", STEP];
    cluster.kubectl(&status).await?;
    ensure!(
        selector(&cluster).await? == ["app"],
        "a bare group is starved"
    );

    comes_back(&cluster, &scene).await?;
    uninstall(&cluster).await?;
    install_helm_3::lives(&cluster, helm_3.await??).await?;
    drop(scene);
    install_leftovers::are_removed(&cluster, NAMESPACE).await?;
    by_kubectl(&cluster).await?;
    cluster.stop()?;
    Ok(())
}

/// `helm test` passes because it did what it is for, and leaves nothing.
async fn tested(cluster: &Cluster) -> Result<()> {
    let at = ["--namespace", SYSTEM_NAMESPACE];
    let mut audit = cluster.audit();
    audit.skip()?;
    let test = [&["test", RELEASE][..], &at, &["--timeout=100s"]].concat();
    if let Err(error) = cluster.kube().helm(&test).await {
        let logs = ["logs", "active-passive-check", "--tail=10"];
        let logs = cluster.kubectl(&[&at[..], &logs].concat()).await;
        return Err(error).with_context(|| format!("the pod says {logs:?}"));
    }
    let asked = audit.read()?;
    let of_the_test = |verb, wanted: &str| {
        let mut requests = asked.iter().filter(|event| event.verb == verb);
        requests.any(|event| {
            event.user.username.ends_with(":active-passive-check")
                && event.request_uri.contains(wanted)
        })
    };
    ensure!(of_the_test("create", "dryRun=All"), "no dry run");
    ensure!(of_the_test("delete", "/pods/check-"), "no pod was deleted");
    let roles = asked.iter().filter(|event| {
        let object = event.object_ref.as_ref();
        event.verb == "patch" && object.is_some_and(|it| it.namespace == "active-passive-test")
    });
    ensure!(roles.count() > 1, "no role was given and moved");
    let gone = ["get", "namespace", "active-passive-test"];
    let gone = [
        &gone[..],
        &["--ignore-not-found", "--output=jsonpath={.status.phase}"],
    ]
    .concat();
    let phase = cluster.kubectl(&gone).await?;
    ensure!(phase != "Active", "the namespace of the test stays");
    Ok(())
}

/// Requests for the Lease of the group went through the FlowSchema of the chart.
async fn renewals_have_a_level_of_their_own(cluster: &Cluster) -> Result<()> {
    let metrics = cluster.kubectl(&["get", "--raw", "/metrics"]).await?;
    let counter = "apiserver_flowcontrol_dispatched_requests_total{";
    let ours = |line: &&str| line.contains(r#"flow_schema="active-passive""#);
    let dispatched = metrics.lines().filter(|line| line.starts_with(counter));
    let dispatched: Vec<&str> = dispatched.filter(ours).collect();
    ensure!(
        dispatched.iter().any(|line| !line.ends_with(" 0")),
        "no Lease was written at the level of the chart: {dispatched:?}"
    );
    Ok(())
}

/// Other values reach every object, and a rollback brings back each as it was.
async fn changes_and_rolls_back(cluster: &Cluster) -> Result<()> {
    let before = of_the_release(cluster).await?;
    let values = [
        "webhook.failurePolicy=Ignore",
        "webhook.replicas=1",
        "webhook.timeoutSeconds=7",
        "commonLabels.team=ours",
    ];
    scene::install_chart(cluster.kube(), &values).await?;
    let changed = of_the_release(cluster).await?;
    let budget = "PodDisruptionBudget/active-passive-webhook";
    ensure!(before.contains_key(budget) && !changed.contains_key(budget));
    let entry = &changed["MutatingWebhookConfiguration/active-passive"]["webhooks"][0];
    ensure!(
        entry["failurePolicy"] == "Ignore" && entry["timeoutSeconds"] == 7,
        "{entry:#}"
    );
    ensure!(
        entry["clientConfig"]["caBundle"].is_string(),
        "the upgrade took the caBundle away"
    );
    for (name, object) in &changed {
        let team = &object["metadata"]["labels"]["team"];
        ensure!(team == "ours", "{name} has the label team {team}");
    }
    tells_of_missed_pods(cluster).await?;

    let rollback = [
        "rollback",
        RELEASE,
        "--namespace",
        SYSTEM_NAMESPACE,
        "--wait",
    ];
    cluster.kube().helm(&rollback).await?;
    let after = of_the_release(cluster).await?;
    for (name, object) in &before {
        let now = after.get(name);
        ensure!(
            now == Some(object),
            "the rollback left {name} changed:\n{object:#}\nis now\n{now:#?}"
        );
    }
    ensure!(
        after.len() == before.len(),
        "the rollback left more than there was"
    );
    Ok(())
}

/// Without the webhook, and with failurePolicy Ignore, a pod goes without sidecar, and who makes it is
/// told so.
async fn tells_of_missed_pods(cluster: &Cluster) -> Result<()> {
    let at = ["--namespace", SYSTEM_NAMESPACE];
    cluster
        .kubectl(&[&at[..], &["scale", WEBHOOK, "--replicas=0"]].concat())
        .await?;
    // Pods that end in order would serve on for a while. By force they would be gone for the API
    // server alone, which the kubelet of 1.33 may end with itself: it panics on what it does not find.
    let webhook = "--selector=app.kubernetes.io/component=webhook";
    let kill = ["delete", "pods", webhook, "--grace-period=1"];
    cluster.kubectl(&[&at[..], &kill].concat()).await?;
    let create = [
        "create",
        "--dry-run=server",
        "--warnings-as-errors",
        "-f",
        "-",
    ];
    let probe = probe().to_string();
    let mut told = String::new();
    for _ in 0..ASKED_MAX {
        let answer = cluster.kubectl_with_input(&create, &probe);
        told = answer
            .await
            .err()
            .map_or(String::new(), |error| error.to_string());
        if told.contains(TOLD) {
            break;
        }
        tokio::time::sleep(ASKED_AGAIN).await;
    }
    ensure!(told.contains(TOLD), "told only: {told:?}");
    cluster
        .kubectl(&[&at[..], &["scale", WEBHOOK, "--replicas=1"]].concat())
        .await?;
    Ok(())
}

fn probe() -> Value {
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "probe",
            "namespace": NAMESPACE,
            "annotations": {contract::INJECT: "true", contract::GROUP: "probe"},
        },
        "spec": {"containers": [{"name": "app", "image": Kind::ExampleApp.name()}]},
    })
}

/// Removes the release. What stays is the right of running groups to their Leases.
async fn uninstall(cluster: &Cluster) -> Result<()> {
    let args = ["uninstall", RELEASE, "--namespace", SYSTEM_NAMESPACE];
    cluster.kube().helm(&args).await?;
    only_what_is_kept(cluster).await
}

/// Nothing is left of a release that was removed, but what running groups need, and policies.
pub(crate) async fn only_what_is_kept(cluster: &Cluster) -> Result<()> {
    let left = installed(cluster).await?;
    let left: Vec<&String> = left
        .keys()
        .filter(|name| !is_of_the_cluster(name))
        .collect();
    ensure!(left == KEPT, "left behind: {left:?}");
    Ok(())
}

/// Whether it is of a kind that nobody but the cluster removes.
pub(crate) fn is_of_the_cluster(name: &str) -> bool {
    OTHERS.iter().any(|kind| name.starts_with(kind))
}

/// What the cluster itself removes, once its owner is gone.
const OTHERS: [&str; 5] = [
    "Pod/",
    "ReplicaSet/",
    "Endpoints/",
    "EndpointSlice/",
    "ControllerRevision/",
];

/// A group that ran keeps its role and moves it; its Service serves all of its pods.
async fn goes_on(cluster: &Cluster, scene: &mut Scene<'_>) -> Result<()> {
    let services: Api<Service> = Api::namespaced(cluster.client(), NAMESPACE);
    let service = services.get(GROUP).await?;
    let annotations = service.metadata.annotations.unwrap_or_default();
    ensure!(
        annotations.contains_key(contract::GROUP),
        "the annotation of the user is gone"
    );
    ensure!(
        selector(cluster).await? == ["app"],
        "the Service keeps our key"
    );

    let role = format!("--selector={}=active", contract::ROLE);
    let active = [
        "get",
        "pods",
        &role,
        "--output=jsonpath={.items[*].metadata.name}",
    ];
    let active = cluster.kubectl(&active).await?;
    ensure!(
        !active.is_empty() && !active.contains(' '),
        "active: {active:?}"
    );
    let before = scene.watcher.timeline();
    let old = before.labelled().into_iter().map(str::to_owned).next();
    scene.delete(&active).await?;
    let moved = scene.watcher.until(MOVED_MS, |timeline| {
        let labelled = timeline.labelled();
        labelled
            .iter()
            .find(|uid| Some(**uid) != old.as_deref())
            .map(|uid| (*uid).to_owned())
    });
    let new = moved
        .await
        .context("the role of a running group does not move any more")?;
    let leases: Api<Lease> = Api::namespaced(cluster.client(), NAMESPACE);
    let holder = leases
        .get(GROUP)
        .await?
        .spec
        .and_then(|spec| spec.holder_identity);
    ensure!(
        holder.is_some_and(|holder| holder.ends_with(&new)),
        "the Lease does not follow"
    );
    Ok(())
}

async fn selector(cluster: &Cluster) -> Result<Vec<String>> {
    let services: Api<Service> = Api::namespaced(cluster.client(), NAMESPACE);
    let spec = services.get(GROUP).await?.spec.unwrap_or_default();
    Ok(spec.selector.unwrap_or_default().into_keys().collect())
}

/// The next installation finds what the last one left, and the group once its pods are new.
async fn comes_back(cluster: &Cluster, scene: &Scene<'_>) -> Result<()> {
    scene::install_chart(cluster.kube(), &[]).await?;
    scene.rollout_restart(GROUP).await?;
    scene.settled().await?;
    Ok(())
}

/// What Helm renders can be applied by kubectl, to a namespace of Pod Security `restricted`.
async fn by_kubectl(cluster: &Cluster) -> Result<()> {
    let restricted = "pod-security.kubernetes.io/enforce=restricted";
    for command in [
        &["create", "namespace", SYSTEM_NAMESPACE][..],
        &["label", "namespace", SYSTEM_NAMESPACE, restricted],
    ] {
        cluster.kubectl(command).await?;
    }
    let chart = tests::project_root().join("charts/active-passive");
    let chart = chart.to_string_lossy();
    let images = images::chart_values();
    let mut template = vec!["template", RELEASE, &chart, "--namespace", SYSTEM_NAMESPACE];
    template.push("--no-hooks");
    for value in &images {
        template.extend(["--set", value]);
    }
    let rendered = cluster.kube().helm(&template).await?;
    let apply = ["apply", "--server-side", "-f", "-"];
    for _ in 0..2 {
        cluster.kubectl_with_input(&apply, &rendered).await?;
    }
    let status = [
        "--namespace",
        SYSTEM_NAMESPACE,
        "rollout",
        "status",
        WEBHOOK,
        STEP,
    ];
    cluster.kubectl(&status).await?;
    injects(cluster).await
}

/// Waits until an annotated pod gets its sidecar.
pub(crate) async fn injects(cluster: &Cluster) -> Result<()> {
    let create = ["create", "--dry-run=server", "--output=json", "-f", "-"];
    let probe = probe().to_string();
    // kube-proxy takes a new endpoint up a moment after it is ready.
    eventually("a pod gets its sidecar", FIRST_MS, async || {
        let pod = match cluster.kubectl_with_input(&create, &probe).await {
            Ok(pod) => serde_json::from_str::<Value>(&pod)?,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let first = &pod["spec"]["initContainers"][0]["name"];
        ensure!(first == contract::CONTAINER, "not injected: {pod:#}");
        Ok(Ok(()))
    })
    .await
}
