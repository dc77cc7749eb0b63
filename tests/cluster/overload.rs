//! The API server is busy with somebody else's requests: what the chart's priority level is for.
//!
//! A program with an account of its own makes ConfigMaps, which an admission webhook has to look at
//! that does not answer. Each request keeps its seat until it is given up: the level that it shares
//! with other accounts is full, its queues fill, and what comes then is answered with 429. That costs
//! next to no CPU, and lasts as long as the test wants it to.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::{Request, Response, StatusCode};
use k8s_openapi::api::core::v1::Pod;
use kube::client::Body;
use serde_json::json;
use tests::clock;
use tests::cluster::{Kube, Signal};
use tests::observe::Change;
use tests::scene::Scene;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::context::{Case, Context, eventually};
use crate::fencing_cast::token;
use crate::moves;

const GROUP: &str = "web";
/// Shorter than the flood: a group that could not renew would lose its role in it.
const LEASE_DURATION: &str = "active-passive.dev/lease-duration: 6s";
/// Longest time from one renewal to the next, milliseconds: they are 2 s apart, and the machine is
/// busy.
const RENEWED_MS: u64 = 3_500;
/// More than the seats of the level, those that it may borrow, and the places in the queues of one
/// account together.
const REQUESTS_MAX: usize = 900;
/// Requests that begin at the same time.
const AT_ONCE: usize = 100;
/// From one such batch to the next, milliseconds.
const BATCH_MS: u64 = 300;
/// How long the level is full, milliseconds.
const FULL_MS: u64 = 10_000;
/// How long an ordinary account waits in vain meanwhile, milliseconds.
const WAIT_MS: u64 = 2_000;
/// Name of the webhook that does not answer, and of its app.
const SILENT: &str = "silent";
/// How long the API server waits for it, seconds: longer than the test.
const SILENT_S: u32 = 25;
/// Accounts that may make ConfigMaps and list them: one floods, the other asks once.
const FLOOD: &str = "flood";
const BYSTANDER: &str = "bystander";
/// How long the API server may take to give them their rights, milliseconds.
const RIGHTS_MS: u64 = 10_000;

pub(crate) const CASES: &[Case] = &[Case {
    name: "overload: while ordinary requests wait and are refused, Leases are renewed",
    run: |context| Box::pin(renewals_go_on(context)),
}];

async fn renewals_go_on(context: &Context<'_>) -> Result<()> {
    silent_webhook(context).await?;
    let result = beside_a_flood(context).await;
    let webhook = ["delete", "validatingwebhookconfiguration", SILENT];
    context.kubectl(&webhook).await?;
    result
}

async fn beside_a_flood(context: &Context<'_>) -> Result<()> {
    let manifest = moves::example_with(LEASE_DURATION)?;
    let scene = Scene::open(context.cluster, &context.namespace, GROUP, &manifest, 3).await?;
    let active = scene.settled().await?;
    let flood = account(context, FLOOD).await?;
    let bystander = account(context, BYSTANDER).await?;

    let before = Metrics::read(context).await?;
    let held = fill(&flood, &context.namespace).await?;
    let full_ms = clock::now_ms();
    let ends = Instant::now() + Duration::from_millis(FULL_MS);
    let bystander = bystander.client();
    let asked = bystander.send(list(&context.namespace)?);
    let waits = timeout(Duration::from_millis(WAIT_MS), asked)
        .await
        .is_err();
    sleep_until(ends).await;
    let during = Metrics::read(context).await?;
    let end_ms = clock::now_ms();
    let held_requests = held.len();
    drop(held);

    println!("{held_requests} requests waited; before {before:?}, after {during:?}");
    ensure!(waits, "the level was not full: a bad test");
    ensure!(
        during.refused_others > before.refused_others,
        "nobody was refused: a bad test"
    );
    ensure!(
        during.served_ours > before.served_ours && during.refused_ours == before.refused_ours,
        "Leases were not written at the chart's level: {before:?}, then {during:?}"
    );
    let timeline = scene.watcher.timeline();
    let renewals = timeline.since(full_ms.saturating_sub(RENEWED_MS));
    let mut last_ms = full_ms;
    for event in renewals.filter(|event| matches!(event.change, Change::Holder { .. })) {
        let gap_ms = event.at_ms.min(end_ms).saturating_sub(last_ms);
        ensure!(gap_ms <= RENEWED_MS, "no renewal for {gap_ms} ms");
        last_ms = last_ms.max(event.at_ms);
    }
    let gap_ms = end_ms.saturating_sub(last_ms);
    ensure!(gap_ms <= RENEWED_MS, "no renewal for {gap_ms} ms");
    let after = scene.settled().await?;
    ensure!(after.uid == active.uid, "the role moved to {}", after.name);
    let (fewest, most) = timeline.labelled_range(full_ms, end_ms);
    ensure!(fewest == 1 && most == 1, "{fewest} to {most} labelled");
    Ok(())
}

/// A webhook that is asked about each ConfigMap of the namespace: an app that was stopped.
async fn silent_webhook(context: &Context<'_>) -> Result<()> {
    context.deploy_app(SILENT, 1).await?;
    context.expose_app(SILENT).await?;
    // Its readiness probe will find out.
    let unready = r#"{"spec":{"publishNotReadyAddresses":true}}"#;
    let patch = ["patch", "service", SILENT, "--patch", unready];
    context.kubectl(&patch).await?;
    let pod = context.pods(SILENT).await?.remove(0);
    let cluster = context.cluster;
    cluster.signal(&pod.uid, "app", Signal::SIGSTOP).await?;
    context
        .apply(&json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": SILENT},
            "webhooks": [{
                "name": "silent.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Ignore",
                "timeoutSeconds": SILENT_S,
                "clientConfig": {"service": {
                    "name": SILENT, "namespace": context.namespace, "port": 80,
                }},
                "rules": [{
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["configmaps"],
                }],
                "namespaceSelector": {"matchLabels": {
                    "kubernetes.io/metadata.name": context.namespace,
                }},
            }],
        }))
        .await
}

/// An account of the namespace that may make ConfigMaps and list them, and nothing else.
async fn account(context: &Context<'_>, name: &str) -> Result<Kube> {
    context.kubectl(&["create", "serviceaccount", name]).await?;
    let verbs = ["--verb=create,list", "--resource=configmaps"];
    let role = [&["create", "role", name], &verbs[..]].concat();
    context.kubectl(&role).await?;
    let role = format!("--role={name}");
    let account = format!("--serviceaccount={}:{name}", context.namespace);
    let binding = ["create", "rolebinding", name, &role, &account];
    context.kubectl(&binding).await?;
    let token = token(&context.api(), name, None::<&Pod>).await?;
    let kube = context.cluster.kube().with_token(name, &token).await?;
    eventually("ConfigMaps may be listed", RIGHTS_MS, async || {
        let answer = kube.client().send(list(&context.namespace)?).await?;
        let status = answer.status();
        Ok(if status.is_success() {
            Ok(())
        } else {
            Err(status.to_string())
        })
    })
    .await?;
    Ok(kube)
}

fn list(namespace: &str) -> Result<Request<Body>> {
    let path = format!("/api/v1/namespaces/{namespace}/configmaps");
    Ok(Request::get(path).body(Body::empty())?)
}

/// Makes a ConfigMap, in vain.
fn make(namespace: &str) -> Result<Request<Body>> {
    let path = format!("/api/v1/namespaces/{namespace}/configmaps?dryRun=All");
    let body = json!({"metadata": {"generateName": "flood-"}});
    let json = "application/json";
    let request = Request::post(path).header(http::header::CONTENT_TYPE, json);
    Ok(request.body(Body::from(serde_json::to_vec(&body)?))?)
}

/// A request without an answer.
type Asked = Pin<Box<dyn Future<Output = kube::Result<Response<Body>>> + Send>>;

/// Sends requests until one is refused. The others keep the level full for as long as they live.
async fn fill(flood: &Kube, namespace: &str) -> Result<FuturesUnordered<Asked>> {
    let mut asked: FuturesUnordered<Asked> = FuturesUnordered::new();
    for _ in 0..REQUESTS_MAX / AT_ONCE {
        for _ in 0..AT_ONCE {
            let (client, request) = (flood.client(), make(namespace)?);
            asked.push(Box::pin(async move { client.send(request).await }));
        }
        let next = Instant::now() + Duration::from_millis(BATCH_MS);
        if let Ok(Some(answer)) = timeout_at(next, asked.next()).await {
            let status = answer.context("the API server did not answer")?.status();
            if status == StatusCode::TOO_MANY_REQUESTS {
                return Ok(asked);
            }
            bail!("a ConfigMap that nobody admits: {status}");
        }
    }
    bail!("none of {REQUESTS_MAX} requests was refused")
}

/// What the API server counts.
#[derive(Debug)]
struct Metrics {
    /// Requests at the chart's level that were served, and refused.
    served_ours: u64,
    refused_ours: u64,
    /// Requests at the level of other accounts that were refused.
    refused_others: u64,
}

impl Metrics {
    async fn read(context: &Context<'_>) -> Result<Self> {
        let page = context
            .cluster
            .kubectl(&["get", "--raw", "/metrics"])
            .await?;
        let sum = |name: &str, level: &str| {
            let (name, level) = (
                format!("apiserver_flowcontrol_{name}{{"),
                format!("priority_level=\"{level}\""),
            );
            let lines = page.lines();
            let lines = lines.filter(|line| line.starts_with(&name) && line.contains(&level));
            let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
            values.sum()
        };
        let (ours, others) = ("active-passive", "workload-low");
        Ok(Self {
            served_ours: sum("dispatched_requests_total", ours),
            refused_ours: sum("rejected_requests_total", ours),
            refused_others: sum("rejected_requests_total", others),
        })
    }
}
