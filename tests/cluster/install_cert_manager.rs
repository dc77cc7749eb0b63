//! cert-manager makes the webhook's certificate, and changes it and its authority under load.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use serde_json::json;
use tests::cluster::{Cluster, ClusterOptions, images};
use tests::scene::{self, SYSTEM_NAMESPACE};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::context::{Case, eventually};
use crate::install_reviews::Reviews;

/// cert-manager's own controllers, as a program of the tests.
const SOURCE: &str = "tests/cert-manager";
const MODULE: &str = "github.com/cert-manager/cert-manager";
/// What it says once it runs.
const READY: &str = "ready";
const CERTIFICATE: &str = "active-passive-webhook";
const AUTHORITY: &str = "active-passive-authority";
const SECRET: &str = "active-passive-webhook-certificate";
const AUTHORITY_SECRET: &str = "active-passive-webhook-authority";
/// How long reviews have to succeed one after the other.
const TRIED: Duration = Duration::from_secs(1);
/// Time for one certificate, milliseconds.
const ISSUED_MS: u64 = 20_000;
/// Until each replica serves what an authority has signed that is published beside another,
/// milliseconds: API servers get 10 s to learn of it.
const SWITCHED_MS: u64 = 30_000;
/// Of the webhook, by default.
const REPLICAS: usize = 2;

pub(crate) const CASES: &[Case] = &[Case {
    name: "install: cert-manager makes the certificate, and renews it and its authority",
    run: |_| Box::pin(by_cert_manager()),
}];

/// In a cluster of its own: there is one installation a cluster.
async fn by_cert_manager() -> Result<()> {
    let program = images::compile_go(SOURCE, "cert-manager").await?;
    let options = ClusterOptions {
        nodes: 1,
        ..Default::default()
    };
    let cluster = Cluster::start(options).await?;
    let crds = images::go_module(SOURCE, MODULE).await?.join("deploy/crds");
    let crds = crds.to_string_lossy();
    cluster
        .kubectl(&["apply", "--server-side", "--filename", &crds])
        .await?;
    let known = ["wait", "--for=condition=Established", "crd", "--all"];
    cluster.kubectl(&known).await?;
    let mut controllers = start(&program, cluster.kubeconfig()).await?;

    scene::install(&cluster, &["certificates.mode=certManager"]).await?;
    // kube-proxy takes new endpoints up a moment after they are ready.
    reviewed(&cluster).await?;
    let reviews = Reviews::start(&cluster)?;
    for _ in 0..2 {
        renew(&cluster, CERTIFICATE, SECRET).await?;
    }
    reviews
        .all_injected("two certificates of cert-manager")
        .await?;

    // The next authority signs with another key; who is asked next is signed by it. cert-manager does
    // not keep the last one in the Secret: the webhook publishes both.
    renew(&cluster, AUTHORITY, AUTHORITY_SECRET).await?;
    let reviews = Reviews::start(&cluster)?;
    renew(&cluster, CERTIFICATE, SECRET).await?;
    let signed = data(&cluster, SECRET, "ca.crt").await?;
    let authority = data(&cluster, AUTHORITY_SECRET, "tls.crt").await?;
    ensure!(signed == authority, "not signed by the new authority");
    served(&cluster, &signed).await?;
    switched(&cluster).await?;
    reviews.all_injected("a change of the authority").await?;

    controllers.kill().await?;
    is_given(&cluster).await?;
    cluster.stop()?;
    Ok(())
}

/// Mode `secret`: the same Secret, which nobody renews from now on.
async fn is_given(cluster: &Cluster) -> Result<()> {
    let reviews = Reviews::start(cluster)?;
    let given = format!("certificates.secretName={SECRET}");
    scene::install(cluster, &["certificates.mode=secret", &given]).await?;
    let left = ["get", "certificates.cert-manager.io", "-A", "--output=name"];
    let left = cluster.kubectl(&left).await?;
    ensure!(left.is_empty(), "certificates of the chart: {left}");
    reviews
        .all_injected("the change to a Secret that is given")
        .await
}

/// Waits until reviews succeed one after the other.
async fn reviewed(cluster: &Cluster) -> Result<()> {
    eventually("reviews that succeed", ISSUED_MS, async || {
        let reviews = Reviews::start(cluster)?;
        tokio::time::sleep(TRIED).await;
        let judged = reviews.all_injected("a second").await;
        Ok(judged.map_err(|error| format!("{error:#}")))
    })
    .await
}

/// Starts the controllers, and returns once all of them run. They end when they are dropped.
async fn start(program: &Path, kubeconfig: &Path) -> Result<Child> {
    let mut child = Command::new(program)
        .arg(kubeconfig)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let said = child.stdout.take().context("no output")?;
    let said = BufReader::new(said).lines().next_line().await?;
    ensure!(said.as_deref() == Some(READY), "cert-manager says {said:?}");
    Ok(child)
}

/// Asks cert-manager for a new certificate, as its command line tool does, and waits for it.
async fn renew(cluster: &Cluster, certificate: &str, secret: &str) -> Result<()> {
    let before = data(cluster, secret, "tls.crt").await?;
    let asked = json!([{"op": "add", "path": "/status/conditions/-", "value": {
        "type": "Issuing",
        "status": "True",
        "reason": "ManuallyTriggered",
        "message": "asked for by a test",
    }}]);
    let at = ["--namespace", SYSTEM_NAMESPACE];
    let patch = ["patch", "certificate.cert-manager.io", certificate];
    let how = ["--subresource=status", "--type=json", "--patch"];
    let asked = asked.to_string();
    cluster
        .kubectl(&[&at[..], &patch, &how, &[&asked]].concat())
        .await?;
    eventually(
        &format!("a new certificate {certificate}"),
        ISSUED_MS,
        async || {
            let now = data(cluster, secret, "tls.crt").await?;
            Ok(if now == before {
                Err("the old one".to_owned())
            } else {
                Ok(())
            })
        },
    )
    .await
}

/// API servers that trust what is published reach a webhook that serves what is in the Secret.
async fn served(cluster: &Cluster, authority: &[u8]) -> Result<()> {
    let get = ["get", "mutatingwebhookconfiguration", "active-passive"];
    let bundle =
        "--output=go-template={{range .webhooks}}{{.clientConfig.caBundle | base64decode}}{{end}}";
    let authority = std::str::from_utf8(authority)?.trim();
    eventually(
        "the authority in the configuration",
        ISSUED_MS,
        async || {
            let published = cluster.kubectl(&[&get[..], &[bundle]].concat()).await?;
            Ok(if published.contains(authority) {
                Ok(())
            } else {
                Err(published)
            })
        },
    )
    .await
}

/// Waits until each replica serves the next certificate: by its log, the second step of two.
async fn switched(cluster: &Cluster) -> Result<()> {
    let at = ["--namespace", SYSTEM_NAMESPACE];
    let logs = ["logs", "--selector=app.kubernetes.io/component=webhook"];
    let logs = [&at[..], &logs, &["--tail=-1"]].concat();
    eventually("the next certificate", SWITCHED_MS, async || {
        let said = cluster.kubectl(&logs).await?;
        let step = |line: &&str| line.contains("serving the certificate") && line.contains("true");
        let steps = said.lines().filter(step).count();
        Ok(if steps == 2 * REPLICAS {
            Ok(())
        } else {
            Err(format!("{steps} steps in\n{said}"))
        })
    })
    .await
}

async fn data(cluster: &Cluster, secret: &str, key: &str) -> Result<Vec<u8>> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), SYSTEM_NAMESPACE);
    let data = secrets.get(secret).await?.data.unwrap_or_default();
    Ok(data
        .get(key)
        .with_context(|| format!("no {key} in {secret}"))?
        .0
        .clone())
}
