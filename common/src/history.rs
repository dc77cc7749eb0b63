//! The Lease's history of moves: the JSON list in its annotation
//! [`HISTORY`](crate::contract::HISTORY).

use serde::{Deserialize, Serialize};

/// Entries that are kept; older ones go.
pub const ENTRIES_MAX: usize = 20;
/// Longest text of the list, bytes: annotations share 256 KiB, and each renewal sends them.
pub const TEXT_BYTES_MAX: usize = 8 * 1_024;

/// One move of the role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Term that began with it.
    pub term: u64,
    /// Name of the pod that became active.
    pub pod: String,
    /// When, by the wall clock of the pod that wrote the entry; RFC 3339.
    pub at: String,
    /// Why: `first`, `drain`, `unready`, `disruption`, `switchover`, `released`, `expired`,
    /// `retaken` or `recreated`.
    pub kind: String,
    /// From the last sign of the last holder, milliseconds: to the new one's first write of the
    /// Lease; from its next renewal on, until labels and Services were written. Absent where nobody
    /// knows it, or while the named pod has not confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

impl Entry {
    /// The list in `text`, oldest first; empty if it is none.
    pub fn read(text: &str) -> Vec<Self> {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The text of `entries`.
    pub fn write(entries: &[Self]) -> String {
        // Numbers and strings always have a JSON form.
        serde_json::to_string(entries).unwrap_or_default()
    }
}
