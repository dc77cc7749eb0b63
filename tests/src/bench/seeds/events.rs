//! What happens to each system.

use crate::bench::failover::{Turn, deeds};
use crate::cluster::Result;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Delete,
    Restart,
    Crash,
}

/// One event.
#[derive(Debug)]
pub(super) struct Event {
    /// Its name in results and after `ONLY=seeds/`.
    pub(super) name: &'static str,
    deed: Deed,
    /// What is done, for people.
    pub(super) what: &'static str,
}

pub(super) const EVENTS: [Event; 3] = [
    Event {
        name: "delete",
        deed: Deed::Delete,
        what: "the active pod is deleted; its app serves 2 s more",
    },
    Event {
        name: "restart",
        deed: Deed::Restart,
        what: "`kubectl rollout restart` of both replicas",
    },
    Event {
        name: "crash",
        deed: Deed::Crash,
        what: "the active pod's node vanishes, and is back after the role has moved",
    },
];

impl Event {
    /// Lets it happen, and waits until it is over.
    ///
    /// # Errors
    /// If it does not come to an end.
    pub(super) async fn happen(&self, turn: &mut Turn<'_, '_>) -> Result<()> {
        match self.deed {
            Deed::Delete => deeds::delete(turn).await,
            Deed::Restart => deeds::restart(turn).await,
            Deed::Crash => deeds::cut(turn).await,
        }
    }

    /// Whether the pod is told before it goes.
    pub(super) fn is_planned(&self) -> bool {
        self.deed != Deed::Crash
    }
}
