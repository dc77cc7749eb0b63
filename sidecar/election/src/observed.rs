//! The Lease as this pod has observed it, and since when by its own clock.

use crate::time::Mono;
use crate::view::{LeaseView, Record, Version};

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
    /// When this claim (holder, term, duration, renewal) was first seen.
    since: Mono,
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
            since: Mono::ZERO,
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

    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    /// Takes what a watch or an answer showed. Returns false for news older than what is known.
    pub(crate) fn see(&mut self, now: Mono, lease: LeaseView) -> bool {
        if lease.version < self.version {
            return false;
        }
        let same_claim = self
            .record()
            .is_some_and(|known| claim(known) == claim(&lease.record));
        if !same_claim {
            self.since = now;
        }
        self.version = lease.version;
        self.term = self.term.max(lease.record.term);
        self.content = Content::Present(lease.record);
        true
    }

    /// Takes the news that there is no Lease; `version` is `None` where the answer carried none.
    pub(crate) fn see_absent(&mut self, now: Mono, version: Option<Version>) -> bool {
        if version.is_some_and(|version| version < self.version) {
            return false;
        }
        self.version = version.unwrap_or(self.version);
        if self.content != Content::Absent {
            self.since = now;
        }
        self.content = Content::Absent;
        true
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
