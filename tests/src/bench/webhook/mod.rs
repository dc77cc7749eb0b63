//! What a review costs: the webhook as it is shipped beside a Go server that looks at nothing.
//!
//! Both are processes of this machine and take turns, over TLS, on the loopback device. The API
//! server that the webhook needs is a real one.

mod client;
mod page;
mod programs;
mod record;
mod reviews;

pub(super) use page::page;

use std::time::{Duration, Instant};

use super::machine::{Machine, busy_us};
use super::{WEBHOOK, record as files};
use crate::admission;
use crate::cluster::{Cluster, ClusterOptions, Result};
use crate::observe::process;
use crate::progress;
use crate::scene::{self, SYSTEM_NAMESPACE};
use client::Sent;
use programs::{Compiled, Programs, Running};
use record::{Admission, Load, Memory, Results, Run, Server, Start};
use reviews::Review;

/// Namespace of the pods that the reviews are about.
const NAMESPACE: &str = "whbench";
/// Connections, each with one review at a time.
const CONNECTIONS: [usize; 3] = [1, 8, 64];
/// How often each server is loaded unless told otherwise.
const RUNS: usize = 3;
/// How long one load is.
const MEASURED: Duration = Duration::from_secs(2);
/// Load before that, which is not measured.
const WARM_UP: Duration = Duration::from_millis(300);
/// How often each server is started.
const STARTS: usize = 5;
/// Reviews after which the resident set is read, and the connections that bring them.
const USED: (usize, usize) = (10_000, 8);
/// More reviews, and more time, than any of this takes.
const NO_END: usize = 1 << 32;
const FAR: Duration = Duration::from_secs(50);
/// Large reviews at once.
const AT_ONCE: usize = 16;
/// Time after them until the resident set is read again, and before it is read first.
const REST: Duration = Duration::from_secs(10);

/// Measures both and writes the results down.
///
/// # Errors
/// If a server does not start, or does not answer well.
pub(super) async fn run(runs: Option<usize>) -> Result<()> {
    let compiled = Compiled::new().await?;
    let options = ClusterOptions {
        nodes: 1,
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(options).await?;
    let measured = measure(&cluster, compiled, runs.unwrap_or(RUNS)).await;
    cluster.stop()?;
    files::write(WEBHOOK, &measured?)
}

async fn measure(cluster: &Cluster, compiled: Compiled, runs: usize) -> Result<Results> {
    for namespace in [SYSTEM_NAMESPACE, NAMESPACE] {
        cluster.kubectl(&["create", "namespace", namespace]).await?;
    }
    let programs = Programs::new(cluster, compiled)?;
    let mut memory = Vec::new();
    let mut servers = Vec::new();
    for server in Server::ALL {
        let step = progress::step(format!("memory of {}", server.name()));
        let running = programs.start(server).await?;
        memory.push(remember(&programs, server, &running).await?);
        servers.push((server, running));
        step.done();
    }
    let (began, before_us) = (Instant::now(), busy_us()? - used_us(&servers)?);
    let mut loads = Vec::new();
    for review in Review::ALL {
        for connections in CONNECTIONS {
            let step = progress::step(format!("{} reviews, {connections} at once", review.name()));
            loads.extend(take_turns(&programs, &servers, review, connections, runs).await?);
            step.done();
        }
    }
    let elsewhere_us = (busy_us()? - used_us(&servers)?).saturating_sub(before_us);
    let elapsed = began.elapsed();
    drop(servers);
    let measured = Machine::of(cluster).await?;
    let cores = u32::try_from(measured.cores).unwrap_or(u32::MAX);
    let mut starts = Vec::new();
    for server in Server::ALL {
        let mut answer_us = Vec::new();
        for _ in 0..STARTS {
            answer_us.push(programs.start(server).await?.answer_us);
        }
        starts.push(Start { server, answer_us });
    }
    Ok(Results {
        measured,
        elsewhere_percent: percent(elsewhere_us, elapsed * cores),
        loads,
        memory,
        starts,
        admission: Some(admit(cluster).await?),
    })
}

/// Installs the chart, and creates a thousand pods in each way.
async fn admit(cluster: &Cluster) -> Result<Admission> {
    let step = progress::step("a thousand pods through the API server".to_owned());
    let delete = [
        "--namespace",
        SYSTEM_NAMESPACE,
        "delete",
        "secrets",
        "--all",
    ];
    cluster.kubectl(&delete).await?;
    scene::install(cluster, &[]).await?;
    let admission = Admission {
        dry_runs: admission::dry_runs(cluster, NAMESPACE).await?,
        scaled: admission::scaled(cluster, NAMESPACE).await?,
    };
    step.done();
    Ok(admission)
}

fn percent(part_us: u64, all: Duration) -> u64 {
    let all_us = all.as_micros().max(1);
    u64::try_from(u128::from(part_us) * 100 / all_us).unwrap_or(u64::MAX)
}

/// CPU time of the servers.
fn used_us(servers: &[(Server, Running)]) -> Result<u64> {
    let servers = servers.iter().map(|(_, running)| running.pid);
    servers.map(process::cpu_us).sum()
}

/// The resident set of a server that has just been started, through all that may make it larger.
async fn remember(programs: &Programs<'_>, server: Server, running: &Running) -> Result<Memory> {
    tokio::time::sleep(REST).await;
    let idle_kb = process::rss_kb(running.pid)?;
    let (reviews, count) = USED;
    let mut clients = programs.clients(&running.address, Review::Typical, count)?;
    clients.send(reviews, FAR).await?;
    let used_kb = process::rss_kb(running.pid)?;
    let mut clients = programs.clients(&running.address, Review::Large, AT_ONCE)?;
    clients.send(AT_ONCE, FAR).await?;
    let peak_kb = process::peak_rss_kb(running.pid)?;
    tokio::time::sleep(REST).await;
    Ok(Memory {
        server,
        idle_kb,
        used_kb,
        peak_kb,
        later_kb: process::rss_kb(running.pid)?,
    })
}

/// Loads one server after the other, so often.
async fn take_turns(
    programs: &Programs<'_>,
    servers: &[(Server, Running)],
    review: Review,
    connections: usize,
    runs: usize,
) -> Result<Vec<Load>> {
    let mut loads: Vec<Load> = Vec::new();
    for (server, _) in servers {
        loads.push(Load {
            review,
            bytes: review.body()?.len(),
            connections,
            server: *server,
            runs: Vec::new(),
        });
    }
    for _ in 0..runs {
        for (load, (_, running)) in loads.iter_mut().zip(servers) {
            let mut clients = programs.clients(&running.address, review, connections)?;
            clients.send(NO_END, WARM_UP).await?;
            let before_us = process::cpu_us(running.pid)?;
            let Sent {
                reviews,
                us,
                p50_us,
                p99_us,
            } = clients.send(NO_END, MEASURED).await?;
            load.runs.push(Run {
                reviews,
                ms: us / 1_000,
                cpu_us: process::cpu_us(running.pid)? - before_us,
                p50_us,
                p99_us,
            });
        }
    }
    Ok(loads)
}
