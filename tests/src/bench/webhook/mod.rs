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

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::machine::{Machine, busy_us};
use super::{WEBHOOK, record as files};
use crate::cluster::{Cluster, ClusterOptions, Result};
use crate::observe::process;
use crate::progress;
use crate::scene::SYSTEM_NAMESPACE;
use programs::{Programs, Running};
use record::{Load, Memory, Results, Run, Server, Start};
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
/// Large reviews at once.
const AT_ONCE: usize = 16;
/// Time after them until the resident set is read again, and before it is read first.
const REST: Duration = Duration::from_secs(10);

/// Measures both and writes the results down.
///
/// # Errors
/// If a server does not start, or does not answer well.
pub(super) async fn run(runs: Option<usize>) -> Result<()> {
    let options = ClusterOptions {
        nodes: 1,
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(options).await?;
    let measured = measure(&cluster, runs.unwrap_or(RUNS)).await;
    cluster.stop()?;
    files::write(WEBHOOK, &measured?)
}

async fn measure(cluster: &Cluster, runs: usize) -> Result<Results> {
    for namespace in [SYSTEM_NAMESPACE, NAMESPACE] {
        cluster.kubectl(&["create", "namespace", namespace]).await?;
    }
    let programs = Programs::compile(cluster, Review::Small.request()?).await?;
    programs.forget_certificate();
    let mut memory = Vec::new();
    let mut servers = Vec::new();
    for server in Server::ALL {
        let step = progress::step(format!("memory of {}", server.name()));
        let running = programs.start(server).await?;
        memory.push(remember(server, &running).await?);
        servers.push((server, running));
        step.done();
    }
    let (began, before_us) = (Instant::now(), busy_us()? - used_us(&servers)?);
    let mut loads = Vec::new();
    for review in Review::ALL {
        for connections in CONNECTIONS {
            let step = progress::step(format!("{} reviews, {connections} at once", review.name()));
            loads.extend(take_turns(&servers, review, connections, runs).await?);
            step.done();
        }
    }
    let elsewhere_us = (busy_us()? - used_us(&servers)?).saturating_sub(before_us);
    drop(servers);
    let measured = Machine::of(cluster).await?;
    let all_us = began.elapsed().as_micros() * measured.cores as u128;
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
        elsewhere_percent: u64::try_from(u128::from(elsewhere_us) * 100 / all_us.max(1))
            .unwrap_or(100),
        loads,
        memory,
        starts,
    })
}

/// CPU time of the servers and of the clients, which are this process.
fn used_us(servers: &[(Server, Running)]) -> Result<u64> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let servers = servers.iter().map(|(_, running)| running.pid);
    servers.chain([own]).map(process::cpu_us).sum()
}

/// The resident set of a server that has just been started, through all that may make it larger.
async fn remember(server: Server, running: &Running) -> Result<Memory> {
    tokio::time::sleep(REST).await;
    let idle_kb = process::rss_kb(running.pid)?;
    let far = Instant::now() + Duration::from_secs(60);
    let (reviews, connections) = USED;
    let typical = Arc::from(Review::Typical.request()?);
    running
        .target
        .clients(connections)
        .await?
        .send(&typical, reviews, far)
        .await?;
    let used_kb = process::rss_kb(running.pid)?;
    let large = Arc::from(Review::Large.request()?);
    running
        .target
        .clients(AT_ONCE)
        .await?
        .send(&large, AT_ONCE, far)
        .await?;
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
    servers: &[(Server, Running)],
    review: Review,
    connections: usize,
    runs: usize,
) -> Result<Vec<Load>> {
    let request: Arc<[u8]> = review.request()?.into();
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
            load.runs.push(once(running, &request, connections).await?);
        }
    }
    Ok(loads)
}

async fn once(running: &Running, request: &Arc<[u8]>, connections: usize) -> Result<Run> {
    let mut clients = running.target.clients(connections).await?;
    clients
        .send(request, usize::MAX, Instant::now() + WARM_UP)
        .await?;
    let (began, before_us) = (Instant::now(), process::cpu_us(running.pid)?);
    let mut took_us = clients.send(request, usize::MAX, began + MEASURED).await?;
    let cpu_us = process::cpu_us(running.pid)? - before_us;
    took_us.sort_unstable();
    let at = |percent: usize| took_us[(took_us.len() - 1) * percent / 100];
    Ok(Run {
        reviews: took_us.len(),
        ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        cpu_us,
        p50_us: at(50),
        p99_us: at(99),
    })
}
