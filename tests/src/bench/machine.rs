//! What was measured on, as far as a reader needs it.

use std::fmt::{self, Display, Formatter};
use std::fs;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, Doing, Result};

/// Variable of the environment.
const NOTE: &str = "NOTE";

/// The machine, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    /// Day, UTC.
    pub(super) day: String,
    /// Cores that the cluster and its load share.
    pub(super) cores: usize,
    /// Version of Linux.
    pub(super) linux: String,
    /// Version of Kubernetes; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) kubernetes: String,
    /// What else a reader must know, such as that other work ran meanwhile: `NOTE` of the
    /// environment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) note: String,
}

impl Machine {
    /// That of the cluster.
    ///
    /// # Errors
    /// If it cannot be found out.
    pub(super) async fn of(cluster: &Cluster) -> Result<Self> {
        let version = cluster.client().apiserver_version().await.doing(action)?;
        Ok(Self {
            kubernetes: version.git_version,
            ..Self::bare()?
        })
    }

    /// Without a cluster.
    ///
    /// # Errors
    /// If it cannot be found out.
    pub(super) fn bare() -> Result<Self> {
        let cores = std::thread::available_parallelism().doing(action)?;
        let linux = fs::read_to_string("/proc/sys/kernel/osrelease").doing(action)?;
        let numbers = |c: char| c.is_ascii_digit() || c == '.';
        Ok(Self {
            day: Timestamp::now().strftime("%Y-%m-%d").to_string(),
            cores: cores.get(),
            linux: linux.chars().take_while(|c| numbers(*c)).collect(),
            kubernetes: String::new(),
            note: std::env::var(NOTE).unwrap_or_default(),
        })
    }
}

fn action() -> String {
    "find out what is measured on".to_owned()
}

/// CPU time that was not idle so far, of all cores, microseconds.
///
/// # Errors
/// If the kernel does not say.
pub(super) fn busy_us() -> Result<u64> {
    /// The kernel counts in ticks of this many microseconds.
    const TICK_US: u64 = 10_000;
    /// user, nice, system; idle and waiting; interrupts.
    const BUSY: [usize; 5] = [0, 1, 2, 5, 6];
    let action = || "read the CPU time of the machine".to_owned();
    let stat = fs::read_to_string("/proc/stat").doing(action)?;
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line
        .split_whitespace()
        .filter_map(|it| it.parse().ok())
        .collect();
    let ticks = BUSY
        .iter()
        .filter_map(|field| ticks.get(*field))
        .sum::<u64>();
    Ok(ticks * TICK_US)
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            day,
            cores,
            linux,
            kubernetes,
            note,
        } = self;
        write!(f, "Measured on {day}: {cores} cores, Linux {linux}")?;
        if !kubernetes.is_empty() {
            write!(f, ", Kubernetes {kubernetes}")?;
        }
        f.write_str(".")?;
        match note.is_empty() {
            true => Ok(()),
            false => write!(f, " {note}"),
        }
    }
}
