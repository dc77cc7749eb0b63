//! The objects of the API server, what only the world knows about them, and their changes.

use super::admission::Term;
use election::{LeaseView, Outcome, PodView, ServiceView, Version};

/// A pod and what only the world knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    /// The object.
    pub view: PodView,
    /// The annotation as it stands there.
    pub term: Term,
    /// Its role was last written by a person, not by an elector.
    pub by_hand: bool,
    /// It carries the label of the group; electors watch no other.
    pub grouped: bool,
}

/// A Service and what only the world knows about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// The object.
    pub view: ServiceView,
    /// The annotation as it stands there.
    pub term: Term,
    /// It carries the group annotation; electors see no other.
    pub annotated: bool,
    /// Where it points was last written by a person, not by an elector.
    pub by_hand: bool,
    /// Where it points was last written by a request that its sender had given up.
    pub late: bool,
}

/// One committed write.
#[derive(Debug, Clone)]
pub(super) struct Change {
    /// When it was committed.
    pub version: Version,
    /// The object before and after.
    pub object: Object,
}

/// The object of a change, before and after; `None` where it does not exist.
#[derive(Debug, Clone)]
pub(super) enum Object {
    Lease {
        before: Option<LeaseView>,
        after: Option<LeaseView>,
    },
    Pod {
        before: Option<Pod>,
        after: Option<Pod>,
    },
    Service {
        before: Option<Service>,
        after: Option<Service>,
    },
}

impl Pod {
    /// The object as watches of the group show it; `None` once it has left the group.
    pub(super) fn shown(&self) -> Option<PodView> {
        self.grouped.then(|| self.view.clone())
    }

    /// What whoever asks for it is answered.
    pub(super) fn answer(&self) -> Outcome {
        let outcome = if self.grouped {
            Outcome::Pod
        } else {
            Outcome::PodLeft
        };
        outcome(self.view.clone())
    }

    /// Its uid.
    pub(super) fn uid(&self) -> String {
        self.view.uid.clone()
    }

    /// Writes the annotation as it stands and as electors read it.
    pub(super) fn set_term(&mut self, term: Term) {
        self.term = term;
        self.view.term = term.read();
    }
}

impl Service {
    /// Writes the annotation as it stands and as electors read it.
    pub(super) fn set_term(&mut self, term: Term) {
        self.term = term;
        self.view.term = term.read();
    }

    /// The object as electors see it; `None` once it has left the group.
    pub(super) fn shown(&self) -> Option<ServiceView> {
        self.annotated.then(|| self.view.clone())
    }
}
