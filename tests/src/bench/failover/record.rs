//! The results as `results/failover.json` holds them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::events::EVENTS;
use crate::bench::machine::Machine;
use crate::bench::{FAILOVER, record};
use crate::cluster::Result;
use crate::system::System;

/// What one event did to clients and roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::bench) struct Run {
    /// From the trigger to the first sight of another pod that traffic is sent to; `null`: the role
    /// stayed.
    pub(in crate::bench) new_active_ms: Option<u64>,
    /// Requests without a good answer.
    pub(in crate::bench) failed: usize,
    /// All requests.
    pub(in crate::bench) requests: usize,
    /// Longest time between two good answers.
    pub(in crate::bench) longest_gap_ms: u64,
    /// How long the watch showed two or more active labels, or a Service that selected another pod
    /// than the labelled one; for ours not counted where a planned seamless move overlaps.
    pub(in crate::bench) two_active_ms: u64,
    /// What else the event is about.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::bench) also: BTreeMap<String, u64>,
}

/// All runs of one event with one system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) event: String,
    pub(super) system: System,
    /// What it was measured on.
    pub(super) measured: Machine,
    pub(super) runs: Vec<Run>,
}

/// What the file holds; nothing if there is none.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read() -> Result<Vec<Entry>> {
    Ok(record::read(FAILOVER)?.unwrap_or_default())
}

/// Puts the results of an event in the place of earlier ones. Those of other events are kept.
///
/// # Errors
/// If the file cannot be read or written.
pub(super) fn put(entries: Vec<Entry>) -> Result<()> {
    let mut all = read()?;
    for entry in entries {
        all.retain(|other| (&other.event, other.system) != (&entry.event, entry.system));
        all.push(entry);
    }
    let place = |name: &str| EVENTS.iter().position(|event| event.name == name);
    all.sort_by_key(|entry| (place(&entry.event), entry.system));
    record::write(FAILOVER, &all)
}
