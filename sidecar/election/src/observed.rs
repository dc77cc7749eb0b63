//! The Lease as this pod has observed it, and since when by its own clock.

use crate::time::Mono;
use crate::view::{LeaseView, Record, Version};

/// Where news of an object comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// A watch or its list. They never show an object in an older version than before, unless the
    /// API server's storage was restored from a backup: then what they show is what is.
    Watch,
    /// The answer to a write, which may be ahead of the watch.
    Write,
    /// The answer to a read. It is no older than what was `known` when it was sent, with the same
    /// exception.
    Read {
        /// That version.
        known: Version,
    },
}

/// What is known of the Lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Content {
    /// Nothing yet.
    Unknown,
    /// It does not exist.
    Absent,
    /// It exists.
    Present(Record),
}

/// The Lease and the instant from which its expiry counts. Only changes of the record matter:
/// its own time stamps come from another machine's wall clock and are never compared (c11).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Observed {
    content: Content,
    version: Version,
    /// Version that the watch last showed.
    watched: Version,
    /// When this claim (holder, term, duration, renewal) was first seen.
    since: Mono,
    /// The claim is what a restored backup held: its holder may not live.
    restored: bool,
    /// Duration of the last record seen, milliseconds; outlives a deleted Lease.
    duration_ms: u64,
    /// Highest term ever seen in the Lease; outlives a deleted one.
    term: u64,
    /// A write failed or its answer was lost: read before writing again (c7).
    pub(crate) stale: bool,
}

impl Observed {
    pub(crate) fn nothing() -> Self {
        Self {
            content: Content::Unknown,
            version: Version::default(),
            watched: Version::default(),
            since: Mono::ZERO,
            duration_ms: 0,
            restored: false,
            term: 0,
            stale: false,
        }
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        match &self.content {
            Content::Present(record) => Some(record),
            Content::Unknown | Content::Absent => None,
        }
    }

    /// What a PUT must be based on; `None`: create.
    pub(crate) fn base(&self) -> Option<Version> {
        self.record().map(|_| self.version)
    }

    pub(crate) fn since(&self) -> Mono {
        self.since
    }

    /// Whether this is a claim of before, which a restored backup has brought back.
    pub(crate) fn is_restored(&self) -> bool {
        self.restored
    }

    pub(crate) fn duration_ms(&self) -> u64 {
        self.duration_ms
    }

    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    /// Takes what a watch or an answer showed, unless it is older than what is known.
    pub(crate) fn see(&mut self, now: Mono, lease: LeaseView, source: Source) {
        let went_back = self.goes_back(lease.version, source);
        if lease.version < self.version && !went_back {
            return;
        }
        // One that nobody has held has nothing but its version to be known by.
        let unheld = lease.record.is_unheld() && lease.version != self.version;
        let same_claim = self
            .record()
            .is_some_and(|known| !unheld && claim(known) == claim(&lease.record));
        if went_back || !same_claim {
            self.since = now;
            self.restored = went_back;
        }
        self.version = lease.version;
        self.term = self.term.max(lease.record.term);
        self.duration_ms = lease.record.duration_ms;
        self.content = Content::Present(lease.record);
    }

    fn goes_back(&mut self, version: Version, source: Source) -> bool {
        let went_back = match source {
            Source::Watch => version < self.watched,
            Source::Read { known } => version < known,
            Source::Write => false,
        };
        if source == Source::Watch {
            self.watched = version;
        }
        // What was written since is not there any more.
        self.stale &= !went_back;
        went_back
    }

    /// Takes the watch's news that there is no Lease as of `version`.
    pub(crate) fn see_absent(&mut self, now: Mono, version: Version) {
        let went_back = self.goes_back(version, Source::Watch);
        if version >= self.version || went_back {
            self.version = version;
            self.become_absent(now);
        }
    }

    /// Takes the answer that there is no Lease, which says no version.
    pub(crate) fn answered_absent(&mut self, now: Mono) {
        self.become_absent(now);
    }

    fn become_absent(&mut self, now: Mono) {
        if self.content != Content::Absent {
            self.since = now;
        }
        self.content = Content::Absent;
    }
}

/// The part of a record whose change proves that somebody is alive.
fn claim(record: &Record) -> (Option<&str>, u64, u64, i64) {
    (
        record.holder.as_deref(),
        record.term,
        record.duration_ms,
        record.renew_time_us,
    )
}
