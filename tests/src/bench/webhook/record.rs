//! The results as `results/webhook.json` holds them.

use serde::{Deserialize, Serialize};

use super::reviews::Review;
use crate::admission::Admitted;
use crate::bench::machine::Machine;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Server {
    /// The webhook, as it is shipped.
    #[serde(rename = "active-passive")]
    Ours,
    /// `tests/peer/floor`.
    #[serde(rename = "floor")]
    Floor,
}

impl Server {
    /// Both, in the order in which they take turns.
    pub(super) const ALL: [Self; 2] = [Self::Ours, Self::Floor];

    /// As results name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "active-passive",
            Self::Floor => "floor",
        }
    }
}

/// One stretch of load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) reviews: usize,
    pub(super) ms: u64,
    /// CPU time of the server, all of its threads, microseconds.
    pub(super) cpu_us: u64,
    /// Time to an answer.
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
}

/// All runs of one kind of load on one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Load {
    pub(super) review: Review,
    pub(super) bytes: usize,
    pub(super) connections: usize,
    pub(super) server: Server,
    pub(super) runs: Vec<Run>,
}

/// Resident set of a server, kB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) server: Server,
    pub(super) idle_kb: u64,
    /// After 10,000 typical reviews.
    pub(super) used_kb: u64,
    /// The most that it ever had, 16 large reviews at once being the last that it was asked.
    pub(super) peak_kb: u64,
    /// 10 s after these.
    pub(super) later_kb: u64,
}

/// From the start of the process to its first good answer, each time, microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) server: Server,
    pub(super) answer_us: Vec<u64>,
}

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) measured: Machine,
    /// CPU time that everything but the servers took while there was load, of all the CPU time there
    /// was, percent: the clients, the control plane, and what else ran on the machine.
    pub(super) elsewhere_percent: u64,
    pub(super) loads: Vec<Load>,
    pub(super) memory: Vec<Memory>,
    pub(super) starts: Vec<Start>,
    /// A thousand pods through an API server.
    pub(super) admission: Option<Admission>,
}

/// What a thousand pods took, with the webhook installed as the chart does it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Admission {
    /// Created as dry runs, 32 at once.
    pub(super) dry_runs: Admitted,
    /// Those of a Deployment.
    pub(super) scaled: Admitted,
}
