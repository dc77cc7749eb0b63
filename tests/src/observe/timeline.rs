//! Roles and routes over time, as resourceVersions arrived.

use std::collections::{BTreeMap, BTreeSet};

/// One change that a watch showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A pod carries (or no longer carries) the active value.
    Label {
        /// uid of the pod.
        uid: String,
        /// Its name.
        pod: String,
        /// Whether it carries the active value.
        active: bool,
    },
    /// A Service selects this pod (uid), or none.
    Route {
        /// Name of the Service.
        service: String,
        /// uid in the selector; `None` where no pod is selected by it.
        uid: Option<String>,
    },
    /// A pod's Ready condition is true, or is not.
    Ready {
        /// uid of the pod.
        uid: String,
        /// Whether it is.
        ready: bool,
    },
    /// A pod has a deletionTimestamp.
    Terminating {
        /// uid of the pod.
        uid: String,
    },
    /// A pod's object is gone.
    Gone {
        /// uid of the pod.
        uid: String,
    },
    /// The Lease names this holder.
    Holder {
        /// holderIdentity; `None` for a free or absent Lease.
        holder: Option<String>,
        /// leaseTransitions.
        term: u64,
    },
}

/// A change and when it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Milliseconds of the harness' clock.
    pub at_ms: u64,
    /// resourceVersion of the object.
    pub version: u64,
    /// What changed.
    pub change: Change,
}

/// Everything seen of one group, in the order of arrival.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    events: Vec<Event>,
    names: BTreeMap<String, String>,
}

impl Timeline {
    /// Appends an event. `at_ms` never falls.
    pub fn push(&mut self, event: Event) {
        if let Change::Label { uid, pod, .. } = &event.change {
            self.names.insert(uid.clone(), pod.clone());
        }
        self.events.push(event);
    }

    /// The events from `from_ms` on.
    pub fn since(&self, from_ms: u64) -> impl Iterator<Item = &Event> {
        self.events
            .iter()
            .filter(move |event| event.at_ms >= from_ms)
    }

    /// Name of the pod with this uid, if it was ever seen.
    pub fn name(&self, uid: &str) -> Option<&str> {
        self.names.get(uid).map(String::as_str)
    }

    /// uid of the pod that `service` selects now.
    pub fn routed(&self, service: &str) -> Option<&str> {
        self.events
            .iter()
            .rev()
            .find_map(|event| match &event.change {
                Change::Route { service: name, uid } if name == service => Some(uid.as_deref()),
                _ => None,
            })?
    }

    /// uids of the pods that carry the active label now.
    pub fn labelled(&self) -> BTreeSet<&str> {
        let mut labelled = BTreeSet::new();
        for event in &self.events {
            apply_label(&mut labelled, &event.change);
        }
        labelled
    }

    /// Whether the object of the pod with this uid is gone.
    pub fn is_gone(&self, uid: &str) -> bool {
        self.events
            .iter()
            .any(|event| matches!(&event.change, Change::Gone { uid: gone } if gone == uid))
    }

    /// The first moment from `from_ms` on at which the pod with this uid was not ready.
    pub fn first_unready(&self, uid: &str, from_ms: u64) -> Option<u64> {
        let unready = |change: &Change| matches!(change, Change::Ready { uid: of, ready: false } if of == uid);
        self.since(from_ms)
            .find(|event| unready(&event.change))
            .map(|event| event.at_ms)
    }

    /// Who holds the Lease now.
    pub fn holder(&self) -> Option<&str> {
        let mut newest = self.events.iter().rev();
        newest.find_map(|event| match &event.change {
            Change::Holder { holder, .. } => Some(holder.as_deref()),
            _ => None,
        })?
    }

    /// When the Lease was last written before `before_ms`.
    pub fn last_renewal(&self, before_ms: u64) -> Option<u64> {
        let renewed = |event: &&Event| matches!(event.change, Change::Holder { .. });
        let before = self.events.iter().filter(|event| event.at_ms < before_ms);
        let renewals = before.filter(renewed).map(|event| event.at_ms);
        renewals.max()
    }

    /// Highest term that the Lease showed.
    pub fn term(&self) -> u64 {
        let terms = self.events.iter().filter_map(|event| match &event.change {
            Change::Holder { term, .. } => Some(*term),
            _ => None,
        });
        terms.max().unwrap_or(0)
    }

    /// Everything, in the order of arrival.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// The first moment from `from_ms` on at which `service` selects a pod other than `old_uid`.
    pub fn first_other_route(
        &self,
        service: &str,
        old_uid: &str,
        from_ms: u64,
    ) -> Option<(u64, &str)> {
        self.since(from_ms).find_map(|event| match &event.change {
            Change::Route {
                service: name,
                uid: Some(uid),
            } if name == service && uid != old_uid => Some((event.at_ms, uid.as_str())),
            _ => None,
        })
    }

    /// Milliseconds from the first sight of the deletion of the pod with `old_uid`, from `from_ms`
    /// on, to the first moment at which `service` selects another pod.
    pub fn chosen_after(&self, service: &str, old_uid: &str, from_ms: u64) -> Option<u64> {
        let doomed = self
            .since(from_ms)
            .find(|event| matches!(&event.change, Change::Terminating { uid } if uid == old_uid))?;
        let (routed_ms, _) = self.first_other_route(service, old_uid, from_ms)?;
        Some(routed_ms.saturating_sub(doomed.at_ms))
    }

    /// Whether the pod with this uid carries the active label, and since when; `None` for a pod
    /// that was never seen.
    pub fn role(&self, uid: &str) -> Option<(bool, u64)> {
        let mut role: Option<(bool, u64)> = None;
        for event in &self.events {
            if let Change::Label {
                uid: of, active, ..
            } = &event.change
                && of == uid
                && role.is_none_or(|(before, _)| before != *active)
            {
                role = Some((*active, event.at_ms));
            }
        }
        role
    }

    /// Fewest and most pods that carried the active label at any resourceVersion from `from_ms` to
    /// `to_ms`, the state at `from_ms` included.
    pub fn labelled_range(&self, from_ms: u64, to_ms: u64) -> (usize, usize) {
        let mut labelled = BTreeSet::new();
        let mut range: Option<(usize, usize)> = None;
        for event in self.events.iter().filter(|event| event.at_ms <= to_ms) {
            let before = labelled.len();
            apply_label(&mut labelled, &event.change);
            if event.at_ms >= from_ms {
                let (low, high) = range.unwrap_or((before, before));
                range = Some((low.min(labelled.len()), high.max(labelled.len())));
            }
        }
        range.unwrap_or((labelled.len(), labelled.len()))
    }

    /// Number of times that `service` came to select another pod than before, from `from_ms` on.
    pub fn moves(&self, service: &str, from_ms: u64) -> usize {
        let mut last: Option<&str> = None;
        let mut moves = 0;
        for event in &self.events {
            let Change::Route {
                service: name,
                uid: Some(uid),
            } = &event.change
            else {
                continue;
            };
            if name == service && last != Some(uid) {
                moves += usize::from(last.is_some() && event.at_ms >= from_ms);
                last = Some(uid);
            }
        }
        moves
    }

    /// Spans `[from_ms, to_ms)` in which a pod was active: labelled so, or selected by `service`.
    /// An open span ends at `u64::MAX`.
    pub fn active_spans(&self, service: &str) -> BTreeMap<String, Vec<(u64, u64)>> {
        let mut spans: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
        let mut labelled: BTreeSet<&str> = BTreeSet::new();
        let mut routed: Option<&str> = None;
        let mut open: BTreeMap<&str, u64> = BTreeMap::new();
        for event in &self.events {
            apply_label(&mut labelled, &event.change);
            if let Change::Route { service: name, uid } = &event.change
                && name == service
            {
                routed = uid.as_deref();
            }
            let active: BTreeSet<&str> = labelled.iter().copied().chain(routed).collect();
            for uid in &active {
                open.entry(uid).or_insert(event.at_ms);
            }
            let ended: Vec<&str> = open
                .keys()
                .copied()
                .filter(|u| !active.contains(u))
                .collect();
            for uid in ended {
                if let Some(from_ms) = open.remove(uid) {
                    self.close(&mut spans, uid, from_ms, event.at_ms);
                }
            }
        }
        for (uid, from_ms) in open {
            self.close(&mut spans, uid, from_ms, u64::MAX);
        }
        spans
    }

    /// Files a span under the pod's name: answers carry names.
    fn close(
        &self,
        spans: &mut BTreeMap<String, Vec<(u64, u64)>>,
        uid: &str,
        from_ms: u64,
        to_ms: u64,
    ) {
        let name = self.name(uid).unwrap_or(uid).to_owned();
        spans.entry(name).or_default().push((from_ms, to_ms));
    }
}

pub(super) fn apply_label<'a>(labelled: &mut BTreeSet<&'a str>, change: &'a Change) {
    match change {
        Change::Label {
            uid, active: true, ..
        } => {
            labelled.insert(uid);
        }
        Change::Label {
            uid, active: false, ..
        }
        | Change::Gone { uid } => {
            labelled.remove(uid.as_str());
        }
        Change::Route { .. }
        | Change::Ready { .. }
        | Change::Terminating { .. }
        | Change::Holder { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(uid: &str, active: bool) -> Change {
        Change::Label {
            uid: uid.to_owned(),
            pod: format!("pod-{uid}"),
            active,
        }
    }

    fn route(uid: &str) -> Change {
        Change::Route {
            service: "web".to_owned(),
            uid: Some(uid.to_owned()),
        }
    }

    fn timeline(changes: &[(u64, Change)]) -> Timeline {
        let mut timeline = Timeline::default();
        for (at_ms, change) in changes {
            timeline.push(Event {
                at_ms: *at_ms,
                version: *at_ms,
                change: change.clone(),
            });
        }
        timeline
    }

    #[test]
    fn counts_labels_at_every_version() {
        let seen = timeline(&[
            (0, label("a", true)),
            (10, label("b", true)),
            (11, label("a", false)),
            (
                20,
                Change::Gone {
                    uid: "b".to_owned(),
                },
            ),
        ]);
        assert_eq!(seen.role("a"), Some((false, 11)));
        assert_eq!(seen.role("c"), None);
        assert_eq!(seen.labelled_range(5, 15), (1, 2));
        assert_eq!(seen.labelled_range(5, 30), (0, 2));
        assert_eq!(seen.labelled_range(12, 15), (1, 1));
        assert!(seen.labelled().is_empty());
    }

    #[test]
    fn a_move_is_another_pod_not_a_pause() {
        let none = Change::Route {
            service: "web".to_owned(),
            uid: None,
        };
        let seen = timeline(&[(0, route("a")), (5, none), (6, route("a")), (9, route("b"))]);
        assert_eq!(seen.moves("web", 0), 1);
        assert_eq!(seen.first_other_route("web", "a", 0), Some((9, "b")));
        assert_eq!(seen.routed("web"), Some("b"));
    }

    #[test]
    fn a_pod_is_active_while_labelled_or_selected() {
        let seen = timeline(&[
            (0, label("a", true)),
            (1, label("b", false)),
            (10, route("b")),
            (12, label("b", true)),
            (15, label("a", false)),
        ]);
        let spans = seen.active_spans("web");
        assert_eq!(spans["pod-a"], [(0, 15)]);
        assert_eq!(spans["pod-b"], [(10, u64::MAX)]);
    }
}
