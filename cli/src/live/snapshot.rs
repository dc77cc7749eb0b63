//! What is known of all groups at one moment.

use super::Key;
use super::contact::Contact;
use super::tracks::Track;
use crate::group::Group;
use crate::lease::Lease;
use k8s_openapi::jiff::Timestamp;
use std::sync::Arc;

/// All groups at one moment. Cheap to make and to keep: groups that are the same are shared.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// Whether each kind has been listed, or may not be.
    pub(crate) complete: bool,
    pub(crate) contact: Contact,
    /// When Leases were listed, where they may not be watched; `None` where they may.
    pub(crate) listed_at: Option<Timestamp>,
    /// Kinds that may not be seen, as sentences.
    pub(crate) unseen: Vec<String>,
    /// By namespace and name.
    pub(crate) groups: Vec<Arc<Shown>>,
}

/// A group as it is shown.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) group: Group,
    /// What its pods did so far.
    pub(crate) tracks: Vec<Track>,
    /// All of it but the time of the last renewal, as JSON.
    pub(crate) face: String,
    /// Another one, another face.
    pub(crate) version: u64,
    /// The Lease has run out, or nobody holds it, as far as that can be seen.
    pub(crate) leaderless: bool,
}

impl Shown {
    pub(crate) fn key(&self) -> Key {
        (self.group.namespace.clone(), self.group.name.clone())
    }

    /// When the Lease was renewed, milliseconds since 1970.
    pub(crate) fn renewed_ms(&self) -> Option<i64> {
        let lease = self.group.lease.as_ref()?;
        lease.renewed_at().map(Timestamp::as_millisecond)
    }

    /// The version of the Lease, 0 if it cannot be seen. They are compared as numbers, which
    /// Kubernetes promises.
    pub(crate) fn lease_version(&self) -> u64 {
        let lease = self.group.lease.as_ref();
        lease.map_or(0, Lease::version)
    }
}

impl Snapshot {
    /// Up to when Leases are known: until now, unless the API server does not answer or they are seen
    /// now and then only. Whether one has run out since, nobody can say.
    pub(crate) fn seen_at(&self, now: Timestamp) -> Timestamp {
        let lost = self.contact.lost.is_some();
        let until = lost.then_some(self.contact.seen_until_ms);
        let until = until.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        [until, self.listed_at]
            .into_iter()
            .flatten()
            .fold(now, Timestamp::min)
    }

    /// A group.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<&Arc<Shown>> {
        self.groups
            .iter()
            .find(|it| it.group.namespace == namespace && it.group.name == name)
    }
}
