//! SupportTools/leader-elector.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::sleep;

use super::journal::{Entries, Kind};
use super::refusals::{Refusal, end_with};
use super::stage::{SETTLED_MS, Stage, holder, label, ready_pods, with_our_image};
use crate::context::{Case, Context, eventually};

const MANIFEST: &str = include_str!("leader_elector.yaml");
const IMAGE: &str = "supporttools/leader-elector:latest";
const CONTAINER: &str = "leader-election-sidecar";
const LEASE: &str = "myapp-lock";
const ROLE: &str = "role";
const STATUS_DIR: &str = "tmp/leader_status";
/// A file that is older was left behind, milliseconds.
const FRESH_MS: u64 = 4_000;
/// How soon the files follow the Lease, milliseconds.
const SHOWN_MS: u64 = 5_000;
/// How long a lease and the move after it may take, milliseconds: a standby polls.
const EXPIRED_MS: u64 = 25_000;
/// Where the README's manifest has room for more variables.
const LAST_VARIABLE: &str = "              fieldPath: metadata.namespace\n";
const LABELLED: &str = "        - name: LABEL_POD_ROLE\n          value: \"true\"\n        \
                        - name: POD_NAME\n          valueFrom:\n            fieldRef:\n              \
                        fieldPath: metadata.name\n";

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "seeds: leader_elector_1_file_named_after_the_role",
        run: |context| Box::pin(files(context)),
    },
    Case {
        name: "seeds: leader_elector_2_file_stays_fresh",
        run: |context| Box::pin(fresh(context)),
    },
    Case {
        name: "seeds: leader_elector_3_labels_only_where_asked_for",
        run: |context| Box::pin(labels(context)),
    },
    Case {
        name: "seeds: leader_elector_4_healthz",
        run: |context| Box::pin(healthz(context)),
    },
    Case {
        name: "seeds: leader_elector_5_missing_env_exits_2",
        run: |context| Box::pin(missing_env(context)),
    },
    Case {
        name: "seeds: leader_elector_6_stale_file_has_expired_before_a_peer_leads",
        run: |context| Box::pin(stale_file(context)),
    },
    Case {
        name: "seeds: leader_elector_fixed_single_file_of_the_readme",
        run: |context| Box::pin(single_file(context)),
    },
];

fn manifest(more: &str) -> Result<String> {
    let manifest = with_our_image(MANIFEST, IMAGE)?;
    ensure!(manifest.contains(LAST_VARIABLE), "no room for variables");
    Ok(manifest.replace(LAST_VARIABLE, &format!("{LAST_VARIABLE}{more}")))
}

/// Two pods, the first of which leads.
async fn settled<'a>(context: &'a Context<'a>, more: &str) -> Result<(Stage<'a>, [String; 2])> {
    let mut stage = Stage::open(context, &manifest(more)?).await?;
    let pods = stage
        .until("one pod of two holds the Lease", SETTLED_MS, |entries| {
            let pods = ready_pods(entries, 2)?;
            let leases = entries.now(Kind::Lease);
            let leader = holder(leases.get(LEASE)?);
            let other = pods.iter().find(|pod| **pod != leader)?;
            pods.contains(&leader)
                .then(|| [leader, other].map(str::to_owned))
        })
        .await?;
    Ok((stage, pods))
}

/// A path as the sidecar of a pod sees it.
async fn path(stage: &Stage<'_>, pod: &str, file: &str) -> Result<PathBuf> {
    let uid = stage.uid(pod)?;
    let cluster = stage.context.cluster;
    let processes = cluster.container_processes(&uid, CONTAINER).await?;
    let process = processes
        .first()
        .with_context(|| format!("{pod} has no sidecar"))?;
    let seen_by = PathBuf::from(format!("/proc/{process}")).join("root");
    Ok(seen_by.join(file))
}

/// What the two files of a pod hold.
async fn shown(stage: &Stage<'_>, pod: &str) -> Result<[Option<String>; 2]> {
    let folder = path(stage, pod, STATUS_DIR).await?;
    Ok(["leader", "follower"].map(|name| std::fs::read_to_string(folder.join(name)).ok()))
}

/// Waits until the files of both pods say who leads.
async fn agree(stage: &Stage<'_>, [leader, other]: &[String; 2]) -> Result<()> {
    eventually("the files say who leads", SHOWN_MS, async || {
        let (on_leader, on_other) = (shown(stage, leader).await?, shown(stage, other).await?);
        let expected = ([Some(leader.clone()), None], [None, Some(other.clone())]);
        let found = (on_leader, on_other);
        Ok(if found == expected {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        })
    })
    .await
}

async fn files(context: &Context<'_>) -> Result<()> {
    let (mut stage, pods) = settled(context, "").await?;
    agree(&stage, &pods).await?;
    stage.delete(&pods[0]).await?;
    let moved = |entries: &Entries| {
        let leases = entries.now(Kind::Lease);
        (holder(leases.get(LEASE)?) == pods[1]).then_some(())
    };
    stage
        .until("the other pod leads", EXPIRED_MS, moved)
        .await?;
    eventually("its file says so", SHOWN_MS, async || {
        let found = shown(&stage, &pods[1]).await?;
        let expected = [Some(pods[1].clone()), None];
        Ok(if found == expected {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        })
    })
    .await
}

/// How long ago a file was written, milliseconds.
fn age_ms(path: &std::path::Path) -> Result<u128> {
    let written = std::fs::metadata(path)?.modified()?;
    Ok(written.elapsed().unwrap_or_default().as_millis())
}

async fn fresh(context: &Context<'_>) -> Result<()> {
    let (stage, pods) = settled(context, "").await?;
    agree(&stage, &pods).await?;
    let [leader, follower] = [(&pods[0], "leader"), (&pods[1], "follower")];
    for _ in 0..12 {
        for (pod, name) in [leader, follower] {
            let file = path(&stage, pod, &format!("{STATUS_DIR}/{name}")).await?;
            let age_ms = age_ms(&file)?;
            ensure!(age_ms <= FRESH_MS.into(), "{name} is {age_ms} ms old");
        }
        sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

async fn labels(context: &Context<'_>) -> Result<()> {
    let (mut stage, pods) = settled(context, "").await?;
    agree(&stage, &pods).await?;
    let entries = stage.journal.entries();
    let labelled = |pod: &&Value| label(pod, ROLE).is_some();
    ensure!(
        !entries.now(Kind::Pod).values().any(labelled),
        "nobody asked for labels"
    );
    let args = ["--namespace", &context.namespace, "apply", "-f", "-"];
    context
        .cluster
        .kubectl_with_input(&args, &manifest(LABELLED)?)
        .await?;
    let (old, label_of) = (pods, |pod: &Value| label(pod, ROLE).map(str::to_owned));
    stage
        .until(
            "the holder alone is labelled leader",
            SETTLED_MS,
            |entries| {
                let names = ready_pods(entries, 2)?;
                if names.iter().any(|name| old.iter().any(|old| old == name)) {
                    return None;
                }
                let leases = entries.now(Kind::Lease);
                let leader = holder(leases.get(LEASE)?);
                let pods = entries.now(Kind::Pod);
                let right = |(name, pod): (&&str, &&Value)| {
                    let role = if *name == leader {
                        "leader"
                    } else {
                        "follower"
                    };
                    label_of(pod).as_deref() == Some(role)
                };
                pods.iter().all(right).then_some(())
            },
        )
        .await
}

async fn healthz(context: &Context<'_>) -> Result<()> {
    let (_stage, pods) = settled(context, "").await?;
    for pod in &pods {
        let path = format!(
            "/api/v1/namespaces/{}/pods/{pod}:8080/proxy/healthz",
            context.namespace
        );
        let answer = context.cluster.kubectl(&["get", "--raw", &path]).await?;
        ensure!(answer == "ok", "{pod} answers {answer:?}");
    }
    Ok(())
}

async fn missing_env(context: &Context<'_>) -> Result<()> {
    const LEASE: (&str, &str) = ("LEASE_NAME", "a");
    const NAMESPACE: (&str, &str) = ("NAMESPACE", "b");
    let refusals = [
        Refusal {
            pod: "no-lease",
            env: &[NAMESPACE],
            message: "LEASE_NAME not set",
        },
        Refusal {
            pod: "no-namespace",
            env: &[LEASE],
            message: "NAMESPACE not set",
        },
        Refusal {
            pod: "no-pod",
            env: &[LEASE, NAMESPACE, ("LABEL_POD_ROLE", "true")],
            message: "POD_NAME must be set when LABEL_POD_ROLE is enabled",
        },
    ];
    end_with(context, ("leader-elector", 2), &refusals).await
}

/// A sidecar that stands still cannot take its file away: its age tells.
async fn stale_file(context: &Context<'_>) -> Result<()> {
    let (mut stage, pods) = settled(context, "").await?;
    agree(&stage, &pods).await?;
    let uid = stage.uid(&pods[0])?;
    let file = path(&stage, &pods[0], &format!("{STATUS_DIR}/leader")).await?;
    let cluster = context.cluster;
    cluster.signal(&uid, CONTAINER, Signal::SIGSTOP).await?;
    let moved = |entries: &Entries| {
        let leases = entries.now(Kind::Lease);
        (holder(leases.get(LEASE)?) == pods[1]).then_some(())
    };
    let moved = stage.until("the other pod leads", EXPIRED_MS, moved).await;
    let age_ms = age_ms(&file);
    cluster.signal(&uid, CONTAINER, Signal::SIGCONT).await?;
    moved?;
    let age_ms = age_ms?;
    ensure!(age_ms > FRESH_MS.into(), "it is {age_ms} ms old only");
    let [old, new] = pods;
    agree(&stage, &[new, old]).await
}

async fn single_file(context: &Context<'_>) -> Result<()> {
    let file = "        - name: STATUS_FILE\n          value: /tmp/leader_status/leader_status\n";
    let (stage, pods) = settled(context, file).await?;
    let [leader, other] = &pods;
    let file = "tmp/leader_status/leader_status";
    let (there, absent) = (
        path(&stage, leader, file).await?,
        path(&stage, other, file).await?,
    );
    eventually("the file is there on the leader", SHOWN_MS, async || {
        let found = std::fs::read_to_string(&there).ok();
        let right = found.as_ref() == Some(leader);
        Ok(if right {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        })
    })
    .await?;
    ensure!(!absent.exists(), "it is there on {other} too");
    Ok(())
}
