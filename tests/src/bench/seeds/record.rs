//! The results as `results/seeds.json` holds them.

use serde::{Deserialize, Serialize};

use super::cast::Subject;
use super::events::EVENTS;
use crate::bench::machine::Machine;
use crate::bench::{SEEDS, record};
use crate::cluster::Result;

pub(super) use crate::bench::failover::Run;

/// All runs of one event with one system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) event: String,
    /// The profile's name, or the peer's.
    pub(super) system: String,
    /// What it was measured on.
    pub(super) measured: Machine,
    pub(super) runs: Vec<Run>,
}

/// What the file holds; nothing if there is none.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read() -> Result<Vec<Entry>> {
    Ok(record::read(SEEDS)?.unwrap_or_default())
}

/// Puts the results of an event in the place of earlier ones. Those of other events are kept.
///
/// # Errors
/// If the file cannot be read or written.
pub(super) fn put(entries: Vec<Entry>) -> Result<()> {
    let mut all = read()?;
    for entry in entries {
        all.retain(|other| (&other.event, &other.system) != (&entry.event, &entry.system));
        all.push(entry);
    }
    let event = |name: &str| EVENTS.iter().position(|event| event.name == name);
    let system = |name: &str| Subject::all().position(|subject| subject.name() == name);
    all.sort_by_key(|entry| (event(&entry.event), system(&entry.system)));
    record::write(SEEDS, &all)
}
