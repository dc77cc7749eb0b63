//! What a group costs while nothing happens: requests, memory, size.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams};
use serde_json::json;
use tests::cluster::AuditEvent;
use tests::cluster::images::{self, Image, Kind};
use tests::observe::process;
use tests::scene::{SYSTEM_NAMESPACE, Scene};

use crate::context::{Case, Context};

/// After this long a new standby has read what it needs, milliseconds.
const WARM_UP_MS: u64 = 10_000;
/// How long requests are counted, seconds.
const COUNTED_S: u64 = 30;
/// Most writes of the Lease in that time: 0.25 a second.
const LEASE_WRITES_MAX: usize = 7;
const SIDECAR_RSS_KB_MAX: u64 = 8_000;
/// How often a sidecar is woken in that time: four times a second.
const SIDECAR_WAKEUPS_MAX: u64 = 4 * COUNTED_S;
/// CPU time of a sidecar in that time, milliseconds: a hundredth of a core. A wakeup on a machine with cold
/// caches takes ten times what it takes on a good one; `make bench ONLY=rest` measures it beside a peer.
const SIDECAR_CPU_MS_MAX: u64 = 10 * COUNTED_S;
const WEBHOOK_RSS_KB_MAX: u64 = 20_000;
const SIDECAR_BINARY_BYTES_MAX: u64 = 6_000_000;
const SIDECAR_ARCHIVE_BYTES_MAX: u64 = 3_000_000;
/// Metric of the webhook: reviews by result.
const REVIEWS: &str = "active_passive_webhook_reviews_total";

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "steady: a quiet group writes its Lease and asks nothing, and stays small",
        run: |context| Box::pin(quiet_group(context)),
    },
    Case {
        name: "steady: the sidecar's program and image are small",
        run: |_| Box::pin(small_image()),
    },
    Case {
        name: "steady: a pod that did not ask never reaches the webhook",
        run: |context| Box::pin(unasked(context)),
    },
];

async fn quiet_group(context: &Context<'_>) -> Result<()> {
    let manifest = Scene::example()?;
    let scene = Scene::open(context.cluster, &context.namespace, "web", &manifest, 3).await?;
    let active = scene.settled().await?;
    tokio::time::sleep(Duration::from_millis(WARM_UP_MS)).await;
    let mut audit = context.cluster.audit();
    audit.skip()?;
    let silent_since = Timestamp::now();
    let sidecars = sidecars(context, &scene, &active.uid).await?;
    let before = sidecars.iter().map(spent).collect::<Result<Vec<_>>>()?;
    tokio::time::sleep(Duration::from_secs(COUNTED_S)).await;
    let account = format!(
        "system:serviceaccount:{}:active-passive-group-web",
        scene.namespace
    );
    let requests: Vec<AuditEvent> = audit
        .read()?
        .into_iter()
        .filter(|event| event.user.username == account)
        .collect();
    let (writes, others): (Vec<_>, Vec<_>) = requests.iter().partition(|event| {
        let object = event.object_ref.clone().unwrap_or_default();
        event.verb == "update" && object.resource == "leases"
    });
    ensure!(
        !writes.is_empty(),
        "no renewal in {COUNTED_S} s: a bad test"
    );
    ensure!(
        writes.len() <= LEASE_WRITES_MAX,
        "{} writes in {COUNTED_S} s",
        writes.len()
    );
    // A watch that was opened again is no request of its own.
    let asked: Vec<_> = others
        .into_iter()
        .filter(|event| event.verb != "watch")
        .collect();
    ensure!(asked.is_empty(), "asked in {COUNTED_S} s: {asked:#?}");
    silent(context, &scene, silent_since).await?;
    for (sidecar, before) in sidecars.iter().zip(before) {
        let (role, kb, now) = (sidecar.role, process::rss_kb(sidecar.pid)?, spent(sidecar)?);
        let cpu_ms = (now.cpu_us - before.cpu_us) / 1_000;
        let wakeups = now.wakeups - before.wakeups;
        println!(
            "sidecar of the {role}: {kb} kB resident, in {COUNTED_S} s {cpu_ms} ms of CPU and {wakeups} wakeups"
        );
        ensure!(
            kb <= SIDECAR_RSS_KB_MAX,
            "the sidecar of the {role} holds {kb} kB"
        );
        ensure!(
            cpu_ms <= SIDECAR_CPU_MS_MAX,
            "the sidecar of the {role} took {cpu_ms} ms of CPU in {COUNTED_S} s"
        );
        ensure!(
            wakeups <= SIDECAR_WAKEUPS_MAX,
            "the sidecar of the {role} woke {wakeups} times in {COUNTED_S} s"
        );
    }
    for pod in webhook_pods(context).await? {
        let uid = pod.metadata.uid.context("no uid")?;
        let kb = process::rss_kb(process_of(context, &uid, "webhook").await?)?;
        println!("webhook: {kb} kB resident");
        ensure!(kb <= WEBHOOK_RSS_KB_MAX, "the webhook holds {kb} kB");
    }
    Ok(())
}

/// Nothing was logged at info or above.
async fn silent(context: &Context<'_>, scene: &Scene<'_>, since: Timestamp) -> Result<()> {
    let since = format!("--since-time={since}");
    for pod in scene.pods().await? {
        let name = pod.metadata.name.context("the pod has no name")?;
        let container = format!("--container={}", common::contract::CONTAINER);
        let said = context
            .kubectl(&["logs", &name, &container, &since])
            .await?;
        ensure!(said.is_empty(), "{name} at rest: {said}");
    }
    Ok(())
}

/// The process of a sidecar.
struct Sidecar {
    role: &'static str,
    pid: i32,
}

/// What a process has taken so far.
struct Spent {
    cpu_us: u64,
    wakeups: u64,
}

fn spent(sidecar: &Sidecar) -> Result<Spent> {
    Ok(Spent {
        cpu_us: process::cpu_us(sidecar.pid)?,
        wakeups: process::wakeups(sidecar.pid)?,
    })
}

async fn sidecars(context: &Context<'_>, scene: &Scene<'_>, active: &str) -> Result<Vec<Sidecar>> {
    let mut sidecars = Vec::new();
    for pod in scene.pods().await? {
        let uid = pod.metadata.uid.context("the pod has no uid")?;
        let role = if uid == active { "leader" } else { "standby" };
        let pid = process_of(context, &uid, common::contract::CONTAINER).await?;
        sidecars.push(Sidecar { role, pid });
    }
    Ok(sidecars)
}

async fn process_of(context: &Context<'_>, uid: &str, container: &str) -> Result<i32> {
    let pids = context.cluster.container_processes(uid, container).await?;
    Ok(*pids.first().context("the container does not run")?)
}

async fn small_image() -> Result<()> {
    let images = images::build(&[Kind::Sidecar]).await?;
    let Image {
        binary_bytes,
        archive_bytes,
        ..
    } = images.first().context("no image")?;
    println!("sidecar: program {binary_bytes} bytes, compressed image {archive_bytes} bytes");
    ensure!(
        *binary_bytes < SIDECAR_BINARY_BYTES_MAX,
        "the program has {binary_bytes} bytes"
    );
    ensure!(
        *archive_bytes < SIDECAR_ARCHIVE_BYTES_MAX,
        "the image has {archive_bytes} bytes"
    );
    Ok(())
}

async fn unasked(context: &Context<'_>) -> Result<()> {
    let pod = |name: &str, annotations: serde_json::Value| {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"containers": [{"name": "app", "image": Kind::ExampleApp.name()}]},
        })
    };
    let before = reviews(context).await?;
    context.apply(&pod("plain", json!({}))).await?;
    context
        .apply(&pod(
            "declined",
            json!({"active-passive.dev/inject": "false"}),
        ))
        .await?;
    let after = reviews(context).await?;
    ensure!(
        after == before,
        "the webhook was asked {} times",
        after - before
    );
    let asks = json!({"active-passive.dev/inject": "true", "active-passive.dev/group": "solo"});
    context.apply(&pod("asked", asks)).await?;
    let asked = reviews(context).await?;
    ensure!(asked > after, "the counter does not count: a bad test");
    Ok(())
}

async fn webhook_pods(context: &Context<'_>) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(context.cluster.client(), SYSTEM_NAMESPACE);
    let list = ListParams::default().labels("app.kubernetes.io/component=webhook");
    Ok(api.list(&list).await?.items)
}

/// Reviews that the webhook has answered so far, all replicas together.
async fn reviews(context: &Context<'_>) -> Result<u64> {
    let mut sum = 0;
    for pod in webhook_pods(context).await? {
        let name = pod.metadata.name.context("the pod has no name")?;
        let path = format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods/{name}:8080/proxy/metrics");
        let metrics = context.cluster.kubectl(&["get", "--raw", &path]).await?;
        for line in metrics.lines().filter(|line| line.starts_with(REVIEWS)) {
            let value = line.rsplit(' ').next().context("no value")?;
            sum += value.parse::<u64>()?;
        }
    }
    Ok(sum)
}
