//! Accounts of groups on a real API server, and many pods at once. The pods have a scheduling gate:
//! they are created and run nowhere.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use http::Request;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;
use tokio::time::{Duration, Instant};

use crate::context::{Case, Context, eventually};
use crate::injector::{Created, create, gated_pod};

/// New namespaces that get their first pods at once.
const NAMESPACES: usize = 40;
/// Pods that are created one after the other as fast as the API server takes them.
const PODS: usize = 1_000;
/// Requests at once.
const AT_ONCE: usize = 32;
/// What somebody deleted is there again within this.
const REPAIRED_MS: u64 = 5_000;
/// Longest time until a controller has taken up an object.
const TAKEN_UP_MS: u64 = 10_000;
/// What the API server may wait for the webhook in 99 of 100 cases, milliseconds: half of what it
/// would wait at most. It shares its cores with everything else here; what the webhook itself needs
/// is measured elsewhere.
const P99_MS: f64 = 2_500.0;
const DURATIONS: &str = "apiserver_admission_webhook_admission_duration_seconds_bucket";

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "injector: first pods of many new namespaces are let in at once",
        run: |context| Box::pin(many_namespaces(context)),
    },
    Case {
        name: "injector: accounts and bindings come back, and dry runs make none",
        run: |context| Box::pin(accounts(context)),
    },
    Case {
        name: "injector: a thousand pods, all injected, none late",
        run: |context| Box::pin(thousand(context)),
    },
];

async fn many_namespaces(context: &Context<'_>) -> Result<()> {
    let client = context.cluster.client();
    let names: Vec<String> = (0..NAMESPACES)
        .map(|number| format!("{}-{number}", context.namespace))
        .collect();
    let made = names.iter().map(async |name| {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        namespaces
            .create(&PostParams::default(), &namespace)
            .await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
        eventually("the namespace has its account", TAKEN_UP_MS, async || {
            let account = accounts.get_opt("default").await?;
            Ok(account.ok_or_else(|| "none".to_owned()))
        })
        .await
    });
    try_join_all(made).await?;
    let first = names.iter().map(async |name| {
        let pods: Api<Pod> = Api::namespaced(client.clone(), name);
        let pod = serde_json::from_value(gated_pod("web", true, &json!({})))?;
        let pod = pods.create(&PostParams::default(), &pod).await?;
        let account = pod.spec.and_then(|spec| spec.service_account_name);
        ensure!(
            account.as_deref() == Some("active-passive-group-web"),
            "{name}: account {account:?}"
        );
        anyhow::Ok(())
    });
    try_join_all(first).await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let gone = names.iter().map(async |name| {
        let at_once = DeleteParams::background();
        namespaces.delete(name, &at_once).await
    });
    try_join_all(gone).await?;
    Ok(())
}

async fn accounts(context: &Context<'_>) -> Result<()> {
    let accounts: Api<ServiceAccount> = context.api();
    let bindings: Api<RoleBinding> = context.api();
    let pod = gated_pod("web", true, &json!({}));
    eventually("the namespace has its account", TAKEN_UP_MS, async || {
        let account = accounts.get_opt("default").await?;
        Ok(account.ok_or_else(|| "none".to_owned()))
    })
    .await?;
    let before = accounts.list(&ListParams::default()).await?.items.len();
    let looked_at = create(context, &pod, true).await?;
    ensure!(matches!(looked_at, Created::Pod(_)), "{looked_at:?}");
    let after = accounts.list(&ListParams::default()).await?.items.len();
    let bound = bindings.list(&ListParams::default()).await?.items.len();
    ensure!((after, bound) == (before, 0), "a dry run made something");

    let created = create(context, &pod, false).await?;
    ensure!(matches!(created, Created::Pod(_)), "{created:?}");
    let (account, binding) = (
        "active-passive-group-web",
        "active-passive-group-web.sidecar",
    );
    bindings.delete(binding, &DeleteParams::default()).await?;
    eventually("the binding is back", REPAIRED_MS, async || {
        let binding = bindings.get_opt(binding).await?;
        Ok(binding.ok_or_else(|| "none".to_owned()))
    })
    .await?;
    let old = accounts.get(account).await?.metadata.uid;
    accounts.delete(account, &DeleteParams::default()).await?;
    eventually("the account is back", REPAIRED_MS, async || {
        let account = accounts.get_opt(account).await?;
        let new = account.filter(|account| account.metadata.uid != old);
        Ok(new.ok_or_else(|| "none".to_owned()))
    })
    .await?;

    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "accounts"},
        "spec": {"hard": {"count/serviceaccounts": "2"}},
    });
    context.apply(&quota).await?;
    eventually(
        "the quota is said to whoever asks",
        TAKEN_UP_MS,
        async || {
            let pod = gated_pod("another", true, &json!({}));
            Ok(match create(context, &pod, false).await? {
                Created::Refused(403, message)
                    if message.contains("the account of group another cannot be made")
                        && message.contains("exceeded quota: accounts") =>
                {
                    Ok(())
                }
                other => Err(format!("{other:?}")),
            })
        },
    )
    .await
}

async fn thousand(context: &Context<'_>) -> Result<()> {
    // The group has its account, as every group has after its first pod.
    let first = create(context, &gated_pod("web", true, &json!({})), false).await?;
    ensure!(matches!(first, Created::Pod(_)), "{first:?}");
    let mut pod = gated_pod("web", true, &json!({}));
    pod["metadata"]["name"] = json!(null);
    pod["metadata"]["generateName"] = json!("web-");
    let before = durations(context).await?;
    let began = Instant::now();
    let injected: Vec<bool> = iter(0..PODS)
        .map(|_| create(context, &pod, true))
        .buffered(AT_ONCE)
        .map_ok(|created| match created {
            Created::Pod(pod) => {
                let containers = pod["spec"]["initContainers"].as_array();
                containers.is_some_and(|all| all.len() == 1)
            }
            Created::Refused(..) => false,
        })
        .try_collect()
        .await?;
    let took = began.elapsed();
    let missed = injected.iter().filter(|injected| !**injected).count();
    ensure!(
        missed == 0,
        "{missed} of {PODS} pods have not exactly one sidecar"
    );
    let p99_ms = percentile_ms(&before, &durations(context).await?, 0.99)?;
    println!("{PODS} pods in {took:?}, webhook p99 at most {p99_ms} ms as the API server saw it");
    ensure!(p99_ms <= P99_MS, "p99 is {p99_ms} ms");
    ensure!(took < Duration::from_secs(60), "it took {took:?}");
    Ok(())
}

/// How often a call of the webhook took at most so many seconds, by the API server's own figures.
async fn durations(context: &Context<'_>) -> Result<BTreeMap<String, u64>> {
    let request = Request::get("/metrics").body(Vec::new())?;
    let page = context.cluster.client().request_text(request).await?;
    let lines = page.lines().filter(|line| {
        line.starts_with(DURATIONS) && line.contains("name=\"inject.active-passive.dev\"")
    });
    let mut counts = BTreeMap::new();
    for line in lines {
        let (labels, count) = line.rsplit_once(' ').context("a figure has a value")?;
        let (_, le) = labels.split_once("le=\"").context("a bucket has a limit")?;
        let le = le.split('"').next().unwrap_or_default();
        *counts.entry(le.to_owned()).or_insert(0) += count.parse::<f64>()? as u64;
    }
    Ok(counts)
}

/// Upper limit of the bucket in which this part of the calls has ended.
fn percentile_ms(
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
    part: f64,
) -> Result<f64> {
    let mut buckets = Vec::new();
    for (le, count) in after {
        let limit_s: f64 = le.parse().unwrap_or(f64::INFINITY);
        buckets.push((limit_s, count - before.get(le).copied().unwrap_or(0)));
    }
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all = buckets.last().context("no figures")?.1;
    ensure!(all as usize >= PODS, "only {all} calls are counted");
    let wanted = (all as f64 * part).ceil() as u64;
    let (limit_s, _) = buckets
        .iter()
        .find(|(_, count)| *count >= wanted)
        .context("no bucket")?;
    Ok(limit_s * 1000.0)
}
