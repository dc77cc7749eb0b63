//! What the harness promises to every other test.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tests::cluster::{Cluster, ClusterOptions, Signal};
use tests::load::{Load, LoadOptions};

use crate::context::{Case, Context};

/// The second role of this program: own a cluster until it is killed.
const OWNER: &str = "--own-a-cluster";
const SEEN_MS: u64 = 10_000;
const GONE_MS: u64 = 10_000;
/// Well below the deadline for a start that goes on.
const FAILED_MS: u64 = 30_000;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "harness: a Service answers from each of its pods",
        run: |context| Box::pin(service_answers(context)),
    },
    Case {
        name: "harness: a cut node is silent until it is healed",
        run: |context| Box::pin(cut_node_is_silent(context)),
    },
    Case {
        name: "harness: a killed container restarts, a stopped one hangs",
        run: |context| Box::pin(signals_reach_containers(context)),
    },
    Case {
        name: "harness: the API server stops and starts, and writes down who asked",
        run: |context| Box::pin(api_server_restarts(context)),
    },
    Case {
        name: "harness: a program that ends at once is told of, with its log",
        run: |_| Box::pin(failed_start_is_explained()),
    },
    Case {
        name: "harness: nothing is left of a cluster that was stopped",
        run: |_| Box::pin(nothing_is_left_after_stop()),
    },
    Case {
        name: "harness: nothing is left of a cluster whose owner was killed",
        run: |_| Box::pin(nothing_is_left_after_kill()),
    },
];

async fn service_answers(context: &Context<'_>) -> Result<()> {
    context.deploy_app("web", 3).await?;
    let address = context.expose_app("web").await?;
    let names: BTreeSet<String> = context
        .pods("web")
        .await?
        .into_iter()
        .map(|pod| pod.name)
        .collect();
    let load = Load::start(context.cluster, &LoadOptions::new(address))?;
    for name in &names {
        load.until(name, SEEN_MS, |request| request.body() == Some(name))
            .await?;
    }
    let strangers: Vec<_> = load
        .stop()
        .await?
        .into_iter()
        .filter(|request| request.body().is_some_and(|body| !names.contains(body)))
        .collect();
    ensure!(
        strangers.is_empty(),
        "answers of others than {names:?}: {strangers:?}"
    );
    Ok(())
}

async fn cut_node_is_silent(context: &Context<'_>) -> Result<()> {
    context.deploy_app("web", 2).await?;
    let pod = context.pod_on("web", "n2").await?;
    let other = context.pod_on("web", "n1").await?;
    let load = Load::start(
        context.cluster,
        &LoadOptions::new(format!("{}:8080", pod.address)),
    )?;
    let answered = "an answer of the pod";
    load.until(answered, SEEN_MS, |request| {
        request.body() == Some(&pod.name)
    })
    .await?;

    context.cluster.cut("n2").await?;
    let silent = load.until("a request without answer", SEEN_MS, |request| {
        request.outcome.is_err()
    });
    silent.await?;
    let beside = Load::start(
        context.cluster,
        &LoadOptions::new(format!("{}:8080", other.address)),
    )?;
    beside
        .until("an answer of the other node", SEEN_MS, |r| {
            r.body().is_some()
        })
        .await?;
    let during = beside.stop().await?;
    ensure!(
        during.iter().all(|request| request.outcome.is_ok()),
        "the other node was cut too"
    );

    context.cluster.heal("n2").await?;
    load.until(answered, SEEN_MS, |request| {
        request.body() == Some(&pod.name)
    })
    .await?;
    Ok(())
}

async fn signals_reach_containers(context: &Context<'_>) -> Result<()> {
    context.deploy_app("web", 1).await?;
    let pod = context.pods("web").await?.remove(0);
    let load = Load::start(
        context.cluster,
        &LoadOptions::new(format!("{}:8080", pod.address)),
    )?;
    load.until("an answer", SEEN_MS, |request| request.outcome.is_ok())
        .await?;

    context
        .cluster
        .signal(&pod.uid, "app", Signal::SIGSTOP)
        .await?;
    load.until("a frozen app", SEEN_MS, |request| request.outcome.is_err())
        .await?;
    context
        .cluster
        .signal(&pod.uid, "app", Signal::SIGCONT)
        .await?;
    load.until("an awake app", SEEN_MS, |request| request.outcome.is_ok())
        .await?;

    context
        .cluster
        .signal(&pod.uid, "app", Signal::SIGKILL)
        .await?;
    load.until("a dead app", SEEN_MS, |request| request.outcome.is_err())
        .await?;
    load.until("a restarted app", SEEN_MS, |request| {
        request.outcome.is_ok()
    })
    .await?;
    let restarted = "--for=jsonpath={.status.containerStatuses[0].restartCount}=1";
    context
        .kubectl(&["wait", restarted, &format!("pod/{}", pod.name)])
        .await?;
    let after = context.pods("web").await?.remove(0);
    ensure!(
        after.uid == pod.uid && after.restarts == 1,
        "another pod, or no restart: {after:?}"
    );
    Ok(())
}

async fn api_server_restarts(context: &Context<'_>) -> Result<()> {
    let mut audit = context.cluster.audit();
    audit.skip()?;
    context.cluster.stop_api_server().await?;
    let refused = context
        .kubectl(&["create", "configmap", "while-down"])
        .await;
    ensure!(refused.is_err(), "an API server that is stopped answered");
    context.cluster.start_api_server().await?;
    context.kubectl(&["create", "configmap", "after"]).await?;

    let events = audit.read()?;
    let created: Vec<_> = events
        .iter()
        .filter(|event| event.verb == "create" && event.stage == "ResponseComplete")
        .filter_map(|event| Some((event.object_ref.as_ref()?, event)))
        .filter(|(object, _)| object.namespace == context.namespace)
        .map(|(object, event)| (object.resource.as_str(), event.user.username.as_str()))
        .filter(|(_, user)| *user == "admin")
        .collect();
    ensure!(
        created == [("configmaps", "admin")],
        "the audit log holds {created:?}"
    );
    Ok(())
}

async fn failed_start_is_explained() -> Result<()> {
    let start = Instant::now();
    let options = ClusterOptions {
        nodes: 1,
        api_server_args: vec!["--no-such-flag".into()],
        ..Default::default()
    };
    let Err(error) = Cluster::start(options).await else {
        bail!("the API server started with a flag that does not exist");
    };
    let text = error.to_string();
    for part in [
        "kube-apiserver",
        "it has ended",
        "unknown flag: --no-such-flag",
    ] {
        ensure!(text.contains(part), "no {part:?} in: {text}");
    }
    ensure!(
        start.elapsed() < Duration::from_millis(FAILED_MS),
        "it took {:?}",
        start.elapsed()
    );
    Ok(())
}

async fn nothing_is_left_after_stop() -> Result<()> {
    let cluster = Cluster::start(ClusterOptions {
        nodes: 1,
        ..Default::default()
    })
    .await?;
    let id = cluster.id().to_string();
    let folder = cluster
        .logs()
        .parent()
        .map(Path::to_path_buf)
        .context("no folder")?;
    ensure!(
        !traces(&id, &folder)?.is_empty(),
        "a running cluster leaves no trace: a bad test"
    );
    cluster.stop()?;
    let left = traces(&id, &folder)?;
    ensure!(left.is_empty(), "left behind: {left:#?}");
    Ok(())
}

async fn nothing_is_left_after_kill() -> Result<()> {
    let mut owner = Command::new("/proc/self/exe")
        .arg(OWNER)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut answers = BufReader::new(owner.stdout.take().context("no output")?).lines();
    let mut next = || {
        answers
            .next()
            .context("the owner ended")?
            .context("the owner is silent")
    };
    let (id, folder) = (next()?, next()?);
    let folder = Path::new(&folder);
    ensure!(
        !traces(&id, folder)?.is_empty(),
        "a running cluster leaves no trace: a bad test"
    );
    owner.kill()?;
    owner.wait()?;
    let start = Instant::now();
    loop {
        let left = traces(&id, folder)?;
        if left.is_empty() {
            return Ok(());
        }
        ensure!(
            start.elapsed() < Duration::from_millis(GONE_MS),
            "left behind: {left:#?}"
        );
        // The end of a process of another process sends no event.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whatever of a cluster can be seen from outside it.
pub(crate) fn traces(id: &str, folder: &Path) -> Result<Vec<String>> {
    let mut traces = Vec::new();
    if folder.exists() {
        traces.push(folder.display().to_string());
    }
    let group = format!("ap-{id}-");
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let read = |name| std::fs::read_to_string(path.join(name)).unwrap_or_default();
        // One that has ended and waits for whoever collects its status is left by nobody of ours:
        // only the init process can be slow about it.
        let ended = read("status").contains("\nState:\tZ");
        let ours = read("cgroup").contains(&group)
            || read("cmdline").contains(&folder.display().to_string());
        if ours && !ended {
            traces.push(format!("process {}: {}", path.display(), read("cmdline")));
        }
    }
    for mount in std::fs::read_to_string("/proc/self/mountinfo")?.lines() {
        if mount.contains(&folder.display().to_string()) {
            traces.push(format!("mount {mount}"));
        }
    }
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup")? {
        let Ok(groups) = std::fs::read_dir(hierarchy?.path()) else {
            continue;
        };
        for entry in groups.flatten() {
            if entry.file_name().to_string_lossy().starts_with(&group) {
                traces.push(entry.path().display().to_string());
            }
        }
    }
    Ok(traces)
}

/// The second role of this program.
pub(crate) fn divert() -> Option<ExitCode> {
    if std::env::args().nth(1)? != OWNER {
        return None;
    }
    let own = async {
        let cluster = Cluster::start(ClusterOptions {
            nodes: 1,
            ..Default::default()
        })
        .await?;
        println!(
            "{}\n{}",
            cluster.id(),
            cluster
                .logs()
                .parent()
                .unwrap_or_else(|| Path::new("/"))
                .display()
        );
        std::future::pending::<Result<()>>().await
    };
    let result = tokio::runtime::Runtime::new()
        .map_err(Into::into)
        .and_then(|r| r.block_on(own));
    eprintln!("{result:?}");
    Some(ExitCode::FAILURE)
}
