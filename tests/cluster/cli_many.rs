//! The kubectl plugin where there are many groups: how long it takes, what it asks for, what it holds.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use common::contract;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tests::cluster::AuditEvent;
use tokio::process::Command;

use crate::browser::Browser;
use crate::cli::{PEAK, Plugin};
use crate::context::{Case, Context, eventually};
use crate::dashboard::{self, ADDRESS_ALONE};

const GROUPS: usize = 500;
/// Pods of each group.
const PODS: usize = 2;
/// Writes at a time.
const AT_A_TIME: usize = 24;
/// How long all groups may take to be shown, milliseconds; of three times the one in the middle.
const SHOWN_MS: u128 = 1_500;
/// Most memory of the plugin.
const PEAK_KB: u64 = 60_000;
/// Objects of one page of a list.
const PAGE: usize = 500;
/// How long the audit log and new rights may lag behind, milliseconds.
const LAG_MS: u64 = 10_000;
const ACCOUNT: &str = "looker";

pub(crate) const CASES: &[Case] = &[Case {
    name: "cli: 500 groups are shown in a second and a half, with one list a kind, and on the page",
    run: |context| Box::pin(many(context)),
}];

async fn many(context: &Context<'_>) -> Result<()> {
    let plugin = Plugin::new(context)?;
    // No node runs these: the plugin reads what the API server has.
    stream::iter((0..GROUPS).map(|number| group(context, number)))
        .buffer_unordered(AT_A_TIME)
        .try_collect::<()>()
        .await?;
    let kubeconfig = looker(context).await?;
    let account = format!("system:serviceaccount:{}:{ACCOUNT}", context.namespace);
    let mut audit = context.cluster.audit();
    audit.skip()?;

    let mut took_ms = Vec::new();
    for _ in 0..3 {
        let seen = look(&plugin, &kubeconfig, &["status", "-A"]).await?;
        let own = format!("{} ", context.namespace);
        let lines = seen.text.lines().filter(|line| line.starts_with(&own));
        let lines: Vec<&str> = lines.collect();
        ensure!(lines.len() == GROUPS, "{} of {GROUPS} groups", lines.len());
        let sound = lines
            .iter()
            .filter(|it| it.contains("-0 ") && it.contains("2/2"));
        ensure!(sound.count() == GROUPS, "{}", lines[0]);
        println!("{} ms, {} kB at most", seen.took_ms, seen.peak_kb);
        ensure!(seen.peak_kb < PEAK_KB, "it has held {} kB", seen.peak_kb);
        took_ms.push(seen.took_ms);
    }
    took_ms.sort_unstable();
    ensure!(took_ms[1] < SHOWN_MS, "it took {took_ms:?} ms");

    let mut asked: Vec<AuditEvent> = Vec::new();
    let requests = eventually("three times three lists", LAG_MS, async || {
        asked.extend(audit.read()?);
        let own = asked.iter().filter(|it| it.user.username == account);
        let own: Vec<String> = own
            .map(|it| format!("{} {}", it.verb, it.request_uri))
            .collect();
        let first = |it: &&String| !it.contains("continue=");
        Ok(if own.iter().filter(first).count() >= 9 {
            Ok(own)
        } else {
            Err(format!("{own:#?}"))
        })
    })
    .await?;
    for kind in ["/leases?", "/pods?", "/services?"] {
        let of_kind = requests.iter().filter(|it| it.contains(kind));
        let (more, first): (Vec<_>, Vec<_>) = of_kind.partition(|it| it.contains("continue="));
        ensure!(first.len() == 3, "not one list a time: {first:#?}");
        // Of what other tests leave there is less than a page.
        let pages_max = 3 * (GROUPS * PODS / PAGE + 1);
        ensure!(more.len() <= pages_max, "{} more pages", more.len());
    }
    let others = requests.iter().filter(|it| !it.starts_with("list "));
    let others: Vec<&String> = others.collect();
    ensure!(others.is_empty(), "it also asked {others:#?}");
    let binding = ["delete", "clusterrolebinding", &context.namespace];
    context.cluster.kubectl(&binding).await?;
    on_the_page(&plugin).await?;
    plugin.end()
}

/// The page has a row for each of them, and its search leaves what was typed.
async fn on_the_page(plugin: &Plugin<'_>) -> Result<()> {
    let (mut server, address) = dashboard::start(plugin, &[ADDRESS_ALONE]).await?;
    let name = format!("many-{}", plugin.context().namespace);
    let mut browser = Browser::start(&name).await?;
    let page = &mut browser;
    page.look(dashboard::wide()).await?;
    let began = Instant::now();
    page.open(&address).await?;
    let rows = |count: usize| format!("document.querySelectorAll('.row').length === {count}");
    page.until("all groups are shown", &rows(GROUPS)).await?;
    println!("{} ms on the page", began.elapsed().as_millis());
    for key in "/group-49".chars() {
        page.press(&key.to_string()).await?;
    }
    page.until("ten are left", &rows(10)).await?;
    page.press("ArrowDown").await?;
    page.press("ArrowDown").await?;
    page.until("one is chosen", "location.hash.endsWith('/group-491')")
        .await?;
    dashboard::pictures(page, "many").await?;
    let complaints = std::mem::take(&mut page.complaints);
    ensure!(complaints.is_empty(), "the page complains: {complaints:#?}");
    browser.end().await?;
    server.kill().await?;
    Ok(())
}

/// A group at rest: its first pod is active, the other one ready.
async fn group(context: &Context<'_>, number: usize) -> Result<()> {
    let name = format!("group-{number:03}");
    let mut holder = String::new();
    for index in 0..PODS {
        let pod = format!("{name}-{index}");
        let role = if index == 0 { "active" } else { "passive" };
        let api = context.api::<Pod>();
        let made: Pod = serde_json::from_value(json!({
            "metadata": {
                "name": pod,
                "labels": {contract::GROUP: name, contract::ROLE: role},
                "annotations": {contract::INJECTED: "0.1.0+0", contract::TERM: "1"},
            },
            "spec": {
                "schedulerName": "nobody",
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "app", "image": "example.invalid/app"}],
            },
        }))?;
        let made = api.create(&PostParams::default(), &made).await?;
        if index == 0 {
            holder = format!("{pod}_{}", made.uid().context("a uid")?);
        }
        let ready = json!({"status": {
            "phase": "Running",
            "containerStatuses": [{
                "name": "app", "ready": true, "restartCount": 0,
                "image": "example.invalid/app", "imageID": "",
            }],
        }});
        let patch = Patch::Merge(&ready);
        api.patch_status(&pod, &PatchParams::default(), &patch)
            .await?;
    }
    let now = Timestamp::now();
    let moved = json!([{"term": 1, "pod": format!("{name}-0"), "kind": "first",
        "at": format!("{now:.3}")}]);
    let lease: Lease = serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "labels": {contract::LEASE: "true"},
            "annotations": {contract::HISTORY: moved.to_string()},
        },
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 3600,
            "leaseTransitions": 1,
            "acquireTime": format!("{now:.6}"),
            "renewTime": format!("{now:.6}"),
        },
    }))?;
    let leases = context.api::<Lease>();
    leases.create(&PostParams::default(), &lease).await?;
    Ok(())
}

/// A kubeconfig of somebody whose requests can be told from everybody else's.
async fn looker(context: &Context<'_>) -> Result<std::path::PathBuf> {
    context
        .kubectl(&["create", "serviceaccount", ACCOUNT])
        .await?;
    let account = format!("--serviceaccount={}:{ACCOUNT}", context.namespace);
    let role = "--clusterrole=cluster-admin";
    let bind = [
        "create",
        "clusterrolebinding",
        &context.namespace,
        role,
        &account,
    ];
    context.cluster.kubectl(&bind).await?;
    let token = context.kubectl(&["create", "token", ACCOUNT]).await?;
    let kube = context.cluster.kube();
    let looker = kube.with_token(ACCOUNT, token.trim()).await?;
    eventually("the right to list", LAG_MS, async || {
        let may = looker
            .kubectl(&["get", "leases", "-A", "--chunk-size=1"])
            .await;
        Ok(may.map(drop).map_err(|error| format!("{error:#}")))
    })
    .await?;
    Ok(looker.kubeconfig().to_owned())
}

/// What the plugin said, how long that took from the start of kubectl, and what it held at most.
struct Look {
    text: String,
    took_ms: u128,
    peak_kb: u64,
}

async fn look(plugin: &Plugin<'_>, kubeconfig: &Path, args: &[&str]) -> Result<Look> {
    let peak = plugin.folder().join("peak");
    let began = Instant::now();
    let output = Command::new(plugin.context().cluster.binaries().path("kubectl"))
        .arg("active-passive")
        .args(args)
        .env("PATH", plugin.folder())
        .env("KUBECONFIG", kubeconfig)
        .env(PEAK, &peak)
        .kill_on_drop(true)
        .output()
        .await?;
    let took_ms = began.elapsed().as_millis();
    ensure!(output.status.success(), "{output:?}");
    let peak_kb = std::fs::read_to_string(&peak).context("the plugin wrote its peak")?;
    Ok(Look {
        text: String::from_utf8(output.stdout)?,
        took_ms,
        peak_kb: peak_kb.trim().parse()?,
    })
}
