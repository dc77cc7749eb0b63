//! The results as `results/rest.json` holds them.

use serde::{Deserialize, Serialize};

use crate::bench::machine::Machine;
use crate::bench::{REST, record};
use crate::cluster::Result;

/// What a sidecar does in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    Leader,
    Standby,
}

/// What one sidecar took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cost {
    pub(super) role: Role,
    pub(super) cpu_ms_per_hour: u64,
    pub(super) rss_kb: u64,
    /// Writes of the Lease by the group; counted at its leader.
    pub(super) lease_writes: usize,
    /// All other requests of the group but watches; counted at its leader.
    pub(super) other_requests: usize,
    /// How long was measured.
    pub(super) seconds: u64,
}

/// What the sidecars of one group took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Groups in the cluster.
    pub(super) groups: usize,
    /// What it was measured on.
    pub(super) measured: Machine,
    pub(super) costs: Vec<Cost>,
}

/// What the file holds; nothing if there is none.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read() -> Result<Vec<Entry>> {
    Ok(record::read(REST)?.unwrap_or_default())
}

/// Writes the results in the place of earlier ones.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write(entries: &[Entry]) -> Result<()> {
    record::write(REST, &entries)
}
