//! A bad road to the API server for some pods: slow, and now and then a request is lost.
//!
//! Their connections are led to a proxy in the hub, which knows nothing of TLS: whatever a client
//! sends at once and is long enough for a request counts as one. A request is lost with its
//! connection, as behind a router that has forgotten it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::Cluster;
use super::error::{Doing, Error, Result};
use super::machine::Machine;
use super::network::{API_PORT, API_SERVICE_ADDRESS, HUB_ADDRESS};
use super::refuse::{self, Whose};

/// Helper: its argument is a [`Road`] as JSON. It prints a line when it listens, and [`Traffic`] as
/// JSON at its end.
pub(crate) const HELPER: &str = "detour";
const PORT: u16 = 7_443;
const TABLE: &str = "ip harness-detour";
/// How long the proxy may take to begin or to end, milliseconds.
const DEADLINE_MS: u64 = 5_000;
/// More than what a TLS handshake or a window update sends, less than a request with its token.
const REQUEST_BYTES_MIN: usize = 256;
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks on their way in one direction.
const CHUNKS_MAX: usize = 1_024;

/// How bad the road is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Road {
    /// Between a request and its answer, beyond what the API server takes, milliseconds.
    pub latency_ms: u64,
    /// Requests of 1000 that get no answer; nothing comes any more on their connection.
    pub lost_per_mille: u32,
    /// Requests of 1000 whose connection is reset.
    pub reset_per_mille: u32,
    /// What chance follows from.
    pub seed: u64,
}

/// What passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// All requests.
    pub requests: u64,
    /// Without an answer.
    pub lost: u64,
    /// Reset.
    pub reset: u64,
}

/// A detour that is in place. Dropping it ends the proxy and leaves the rules: [`Detour::end`].
pub struct Detour {
    proxy: Child,
}

impl Detour {
    /// Leads the connections of pods with these addresses over `road`; those that are open are
    /// reset.
    ///
    /// # Errors
    /// If the proxy or a rule cannot be made.
    pub async fn begin(cluster: &Cluster, road: Road, pods: &[String]) -> Result<Self> {
        let action = || "start the proxy before the API server".to_owned();
        let text = serde_json::to_string(&road).doing(action)?;
        let mut proxy = cluster
            .hub_helper(HELPER)
            .arg(text)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .doing(action)?;
        let output = proxy.stdout.as_mut();
        let mut lines =
            BufReader::with_capacity(1, output.ok_or_else(|| Error::new(action(), "no output"))?);
        let mut line = String::new();
        let listens = timeout(
            Duration::from_millis(DEADLINE_MS),
            lines.read_line(&mut line),
        );
        listens.await.doing(action)?.doing(action)?;
        let from = pods.join(", ");
        let rules = format!(
            "table {TABLE} {{\n\
               chain prerouting {{\n\
                 type nat hook prerouting priority -110;\n\
                 ip saddr {{ {from} }} ip daddr {API_SERVICE_ADDRESS} tcp dport 443 \
                   dnat to {HUB_ADDRESS}:{PORT}\n\
               }}\n\
             }}\n"
        );
        for node in &cluster.nodes {
            refuse::apply(node, &rules, "lead requests to the proxy").await?;
        }
        refuse::refuse(&cluster.hub, &Whose::Pods(pods.to_vec())).await?;
        Ok(Self { proxy })
    }

    /// Ends it: the direct road is open again. Says what passed.
    ///
    /// # Errors
    /// If a rule cannot be taken away, or the proxy does not end.
    pub async fn end(mut self, cluster: &Cluster) -> Result<Traffic> {
        let action = || "end the proxy before the API server".to_owned();
        remove(&cluster.hub, &cluster.nodes).await?;
        drop(self.proxy.stdin.take());
        let ended = self.proxy.wait_with_output();
        let ended = timeout(Duration::from_millis(DEADLINE_MS), ended).await;
        let output = ended.doing(action)?.doing(action)?.stdout;
        let text = String::from_utf8_lossy(&output);
        serde_json::from_str(text.trim()).doing(action)
    }
}

/// Takes all rules of detours away.
pub(crate) async fn remove(hub: &Machine, nodes: &[Machine]) -> Result<()> {
    let rules = format!("table {TABLE} {{}}\ndelete table {TABLE}\n");
    for node in nodes {
        refuse::apply(node, &rules, "lead requests directly").await?;
    }
    refuse::serve(hub).await
}

/// The helper: serves until standard input ends.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let action = || "be a proxy before the API server".to_string();
    let [road] = args else {
        return Err(Error::new(action(), "one argument is needed"));
    };
    let road: Road = serde_json::from_str(road).doing(action)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing(action)?
        .block_on(serve(road))
        .doing(action)
}

async fn serve(road: Road) -> std::io::Result<()> {
    let listener = TcpListener::bind((HUB_ADDRESS, PORT)).await?;
    println!("listening");
    let (stop, mut stopped) = oneshot::channel();
    std::thread::spawn(move || {
        let _ended = std::io::stdin().read_to_end(&mut Vec::new());
        stop.send(()).unwrap_or_default();
    });
    let counts = Arc::new(Counts::default());
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => {
                let (client, _) = accepted?;
                let counts = counts.clone();
                tokio::spawn(lead(client, Toll { road, counts }));
            }
        }
    }
    println!("{}", serde_json::to_string(&counts.read())?);
    Ok(())
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    lost: AtomicU64,
    reset: AtomicU64,
}

impl Counts {
    fn read(&self) -> Traffic {
        Traffic {
            requests: self.requests.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            reset: self.reset.load(Ordering::Relaxed),
        }
    }
}

/// How a connection ends before its peers end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lost,
    Reset,
}

async fn lead(mut client: TcpStream, toll: Toll) {
    let target = SocketAddr::from((Ipv4Addr::LOCALHOST, API_PORT));
    // An API server that is down is a closed connection.
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let _nodelay = (client.set_nodelay(true), server.set_nodelay(true));
    let half = Duration::from_millis(toll.road.latency_ms / 2);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let fate = tokio::select! {
        fate = pass(from_client, to_server, half, Some(toll)) => fate,
        fate = pass(from_server, to_client, half, None) => fate,
    };
    match fate {
        // Nobody hears the client any more, until it gives the connection up.
        Some(Fate::Lost) => {
            let mut unheard = vec![0; CHUNK_BYTES];
            while client.read(&mut unheard).await.is_ok_and(|size| size > 0) {}
        }
        Some(Fate::Reset) => client.set_zero_linger().unwrap_or_default(),
        None => {}
    }
}

/// Decides about each request.
struct Toll {
    road: Road,
    counts: Arc<Counts>,
}

impl Toll {
    /// What becomes of `size` bytes that were sent at once, if they do not pass.
    fn charge(&self, size: usize) -> Option<Fate> {
        if size < REQUEST_BYTES_MIN {
            return None;
        }
        let (road, counts) = (&self.road, &self.counts);
        let number = counts.requests.fetch_add(1, Ordering::Relaxed);
        let mut hasher = DefaultHasher::new();
        (road.seed, number).hash(&mut hasher);
        let drawn = hasher.finish() % 1_000;
        if drawn < u64::from(road.lost_per_mille) {
            counts.lost.fetch_add(1, Ordering::Relaxed);
            Some(Fate::Lost)
        } else if drawn < u64::from(road.lost_per_mille + road.reset_per_mille) {
            counts.reset.fetch_add(1, Ordering::Relaxed);
            Some(Fate::Reset)
        } else {
            None
        }
    }
}

/// Passes on what comes, `delay` later, until the end of the stream or a fate.
async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    delay: Duration,
    toll: Option<Toll>,
) -> Option<Fate> {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let read = async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Ok(size @ 1..) = from.read(&mut chunk).await {
            let fate = toll.as_ref().and_then(|toll| toll.charge(size));
            if fate.is_some() {
                return fate;
            }
            let late = (Instant::now() + delay, chunk[..size].to_vec());
            if sender.send(late).await.is_err() {
                break;
            }
        }
        None
    };
    let write = async {
        while let Some((at, chunk)) = receiver.recv().await {
            sleep_until(at).await;
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
        receiver.close();
    };
    let (fate, ()) = tokio::join!(read, write);
    fate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_road_loses_and_resets_as_many_requests_as_it_says() {
        let road = Road {
            latency_ms: 0,
            lost_per_mille: 50,
            reset_per_mille: 50,
            seed: 1,
        };
        let counts = Arc::new(Counts::default());
        let toll = Toll {
            road,
            counts: counts.clone(),
        };
        for _ in 0..10_000 {
            toll.charge(REQUEST_BYTES_MIN);
            assert_eq!(toll.charge(REQUEST_BYTES_MIN - 1), None);
        }
        let Traffic {
            requests,
            lost,
            reset,
        } = counts.read();
        assert_eq!(requests, 10_000);
        assert!((400..600).contains(&lost), "{lost} lost");
        assert!((400..600).contains(&reset), "{reset} reset");
    }
}
