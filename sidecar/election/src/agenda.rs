//! The next instant at which something is due.

use crate::time::Mono;

/// Collects instants and keeps the earliest that lies ahead.
#[derive(Debug)]
pub(crate) struct Agenda {
    now: Mono,
    wake_at: Mono,
}

impl Agenda {
    /// Nothing is due before `latest`.
    pub(crate) fn until(now: Mono, latest: Mono) -> Self {
        Self {
            now,
            wake_at: latest,
        }
    }

    /// Something is due at `at`. What was due already needs no wake-up: it has been looked at.
    pub(crate) fn at(&mut self, at: Mono) {
        if at > self.now {
            self.wake_at = self.wake_at.min(at);
        }
    }

    /// Whether `at` has come; if not, wakes then.
    pub(crate) fn reached(&mut self, at: Mono) -> bool {
        self.at(at);
        self.now >= at
    }

    pub(crate) fn now(&self) -> Mono {
        self.now
    }

    pub(crate) fn wake_at(&self) -> Mono {
        self.wake_at
    }
}
