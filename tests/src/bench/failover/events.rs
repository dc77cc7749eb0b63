//! The events of the bench, in the order in which they are performed.

use super::cast::Variant;
use crate::system::System;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Delete,
    Restart,
    Drain,
    Cut,
    AppDead,
    AppUnready,
    Freeze,
    Partition,
    RefuseApi,
    StopApi,
    BadRoad,
}

/// One row of the table.
#[derive(Debug)]
pub(super) struct Event {
    /// For `ONLY`, and in the results.
    pub(super) name: &'static str,
    pub(super) deed: Deed,
    pub(super) variant: Variant,
    /// How often: ours, the peer.
    pub(super) runs: (usize, usize),
    /// What is done, for people.
    pub(super) what: &'static str,
    /// What is wanted of ours.
    pub(super) wanted: &'static str,
}

/// Under a minute.
const SHORT: (usize, usize) = (10, 5);
const SHORT_OURS: (usize, usize) = (10, 0);
/// Longer.
const LONG: (usize, usize) = (3, 3);
const ONCE: (usize, usize) = (1, 1);

const fn event(
    name: &'static str,
    (deed, variant, runs): (Deed, Variant, (usize, usize)),
    what: &'static str,
    wanted: &'static str,
) -> Event {
    Event {
        name,
        deed,
        variant,
        runs,
        what,
        wanted,
    }
}

pub(super) const EVENTS: [Event; 15] = [
    event(
        "delete-closes",
        (Deed::Delete, Variant::Default, SHORT),
        "the active pod is deleted; its app closes its listener at once on SIGTERM",
        "new active in under 150 ms (median), no request failed",
    ),
    event(
        "delete-lingers",
        (Deed::Delete, Variant::Lingers, SHORT),
        "the same; its app serves 2 s longer",
        "new active in under 150 ms (median), no request failed",
    ),
    event(
        "delete-eats",
        (Deed::Delete, Variant::EatsGrace, SHORT),
        "the same; its app never ends by itself (grace period 10 s)",
        "new active in under 150 ms (median), no request failed",
    ),
    event(
        "restart",
        (Deed::Restart, Variant::Default, SHORT),
        "`kubectl rollout restart` of the three replicas",
        "one move, no request failed",
    ),
    event(
        "drain",
        (Deed::Drain, Variant::Default, SHORT),
        "`kubectl drain` of the active pod's node, with the webhook's pod on it",
        "no request failed",
    ),
    event(
        "node-crash",
        (Deed::Cut, Variant::Default, SHORT),
        "the active pod's node vanishes: it is cut off, which looks the same from outside",
        "new active after at most LD + 0.3 s (median), LD + 1 s (longest)",
    ),
    event(
        "node-crash-3s",
        (Deed::Cut, Variant::ShortLease, SHORT_OURS),
        "the same with `lease-duration: 3s`",
        "new active after at most 3.3 s (median)",
    ),
    event(
        "app-dead",
        (Deed::AppDead, Variant::Default, SHORT),
        "the active pod's app is killed whenever it runs, for 20 s or until the role has moved; \
         its sidecar lives",
        "new active 5 s (unready-grace) + 0.3 s after the pod was seen not ready",
    ),
    event(
        "app-unready",
        (Deed::AppUnready, Variant::Default, SHORT),
        "the active pod's app hangs (SIGSTOP), for 20 s or until the role has moved; its sidecar \
         lives",
        "new active 5 s (unready-grace) + 0.3 s after the pod was seen not ready",
    ),
    event(
        "sidecar-frozen",
        (Deed::Freeze, Variant::Default, SHORT),
        "the active pod's sidecar is frozen for 30 s (SIGSTOP, SIGCONT)",
        "the woken one writes nothing",
    ),
    event(
        "partition",
        (Deed::Partition, Variant::Default, LONG),
        "the active pod's node is cut off for 60 s, then healed",
        "one active label from the new one's first writes on; the old one knows within 1 s of \
         the heal",
    ),
    event(
        "api-refused",
        (Deed::RefuseApi, Variant::Default, SHORT),
        "the API server refuses nodes and pods for 6 s",
        "the role stays",
    ),
    event(
        "api-stopped",
        (Deed::StopApi, Variant::Default, LONG),
        "the API server is killed, and started 30 s later",
        "no sidecar says that it leads 15 s (LD) after the kill; one leads 3 s after the start",
    ),
    event(
        "bad-road",
        (Deed::BadRoad, Variant::Default, ONCE),
        "for 10 min, 500 ms of latency between sidecars and API server; of their requests, 5 % \
         get no answer and 5 % are reset",
        "the role stays",
    ),
    event(
        "sidecar-frozen-exclusive",
        (Deed::Freeze, Variant::Exclusive, SHORT_OURS),
        "the active pod's sidecar is frozen for 30 s, with `handover: exclusive`",
        "never two active, and the woken one writes nothing",
    ),
];

impl Event {
    /// The events whose names start with one of `wishes`.
    pub(super) fn wanted(wishes: &[String]) -> Vec<&'static Self> {
        let wished = |event: &&Self| wishes.iter().any(|wish| event.name.starts_with(wish));
        EVENTS.iter().filter(wished).collect()
    }

    /// Whether ours may show two labels for a moment: it labels the new one first on purpose.
    pub(super) fn is_seamless_move(&self, system: System) -> bool {
        let planned = matches!(
            self.deed,
            Deed::Delete | Deed::Restart | Deed::Drain | Deed::AppDead | Deed::AppUnready
        );
        planned && system == System::Ours && self.variant != Variant::Exclusive
    }

    /// Whether it happens to all groups at once, which are then measured at once.
    pub(super) fn is_for_all(&self) -> bool {
        matches!(self.deed, Deed::RefuseApi | Deed::StopApi | Deed::BadRoad)
    }

    /// How often to do it: ours, the peer.
    pub(super) fn runs(&self, asked: Option<usize>) -> (usize, usize) {
        match (asked, self.runs) {
            (None, runs) => runs,
            (Some(ours), (_, 0)) => (ours, 0),
            (Some(ours), (most, peer)) if most == peer => (ours, ours),
            (Some(ours), _) => (ours, ours.div_ceil(2)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_by_their_start() {
        let mut names: Vec<&str> = EVENTS.iter().map(|event| event.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), EVENTS.len());
        let delete = Event::wanted(&["delete".to_owned()]);
        assert_eq!(delete.len(), 3);
        assert_eq!(Event::wanted(&[String::new()]).len(), EVENTS.len());
    }

    #[test]
    fn asked_runs_keep_the_share_of_the_peer() {
        let short = &EVENTS[0];
        assert_eq!(short.runs(None), (10, 5));
        assert_eq!(short.runs(Some(5)), (5, 3));
        let ours = Event::wanted(&["node-crash-3s".to_owned()])[0];
        assert_eq!(ours.runs(Some(5)), (5, 0));
    }
}
