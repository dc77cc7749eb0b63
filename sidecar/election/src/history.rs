//! What the Lease's history says about a move of the role.

/// Why the role came to its new holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MoveKind {
    /// Nobody had it before.
    First,
    /// The last holder is being deleted, or its process was ended.
    Drain,
    /// The last holder's app was not ready for longer than its grace.
    Unready,
    /// The last holder is about to be evicted.
    Disruption,
    /// Somebody asked for it.
    Switchover,
    /// The last holder had freed the Lease.
    Released,
    /// The last holder let the Lease expire.
    Expired,
    /// The same pod took its own Lease back, after a restart or a loss.
    Retaken,
    /// The Lease had been deleted.
    Recreated,
}

impl MoveKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::First,
        Self::Drain,
        Self::Unready,
        Self::Disruption,
        Self::Switchover,
        Self::Released,
        Self::Expired,
        Self::Retaken,
        Self::Recreated,
    ];

    /// The kind as the history, Events and metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Drain => "drain",
            Self::Unready => "unready",
            Self::Disruption => "disruption",
            Self::Switchover => "switchover",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Retaken => "retaken",
            Self::Recreated => "recreated",
        }
    }
}

/// What a write of the Lease adds to its history. Entries are told apart by their term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HistoryNote {
    /// The role is on its way to the holder that the write names.
    Directed(MoveKind),
    /// It has arrived: this completes the entry of the term, or puts it right.
    Confirmed {
        /// As far as it is known: from the first sight of the directed record to this write,
        /// milliseconds.
        took_ms: u64,
    },
    /// The writer took it.
    Taken {
        /// Why.
        kind: MoveKind,
        /// From the last sign of the last holder to this write, milliseconds; `None` where this
        /// process does not know it.
        took_ms: Option<u64>,
    },
}
