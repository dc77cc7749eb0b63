//! Accounts of groups on a real API server, and many pods at once. The pods have a scheduling gate:
//! they are created and run nowhere.

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;
use tests::admission::{self, Admitted, PODS};

use crate::context::{Case, Context, eventually};
use crate::injector::{Created, create, gated_pod};

/// New namespaces that get their first pods at once.
const NAMESPACES: usize = 40;
/// What somebody deleted is there again within this.
const REPAIRED_MS: u64 = 5_000;
/// Longest time until a controller has taken up an object.
const TAKEN_UP_MS: u64 = 10_000;
/// What the API server may wait for the webhook in 99 of 100 cases, milliseconds: half of what it
/// would wait at most. It shares its cores with everything else here; what the webhook itself needs
/// is measured elsewhere.
const P99_MS: f64 = 2_500.0;
/// Longest time for all of the thousand, milliseconds.
const TOOK_MS: u64 = 60_000;

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
        name: "injector: a thousand pods at once, all injected, none late, none twice",
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
    let (cluster, namespace) = (context.cluster, &context.namespace);
    for (what, admitted) in [
        ("dry runs", admission::dry_runs(cluster, namespace).await?),
        (
            "of a Deployment",
            admission::scaled(cluster, namespace).await?,
        ),
    ] {
        let Admitted { ms, p50_ms, p99_ms } = admitted;
        println!("{PODS} pods, {what}: {ms} ms, webhook p50 <= {p50_ms} ms, p99 <= {p99_ms} ms");
        ensure!(p99_ms <= P99_MS, "{what}: p99 is {p99_ms} ms");
        ensure!(ms < TOOK_MS, "{what}: it took {ms} ms");
    }
    Ok(())
}
