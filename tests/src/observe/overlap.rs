//! When a watcher saw two active pods.

use std::collections::BTreeSet;

use super::timeline::{Change, Timeline, apply_label};

impl Timeline {
    /// Spans `[from_ms, to_ms)` from `from_ms` to `to_ms` in which two or more pods carried the
    /// active label, or `service` selected another pod than the one that carried it. What counts is
    /// the order in which the API server took the changes: watches of pods and of Services do not
    /// arrive in step. A change counts from its first sight: a watch that begins anew shows it again.
    pub fn two_active(&self, service: &str, from_ms: u64, to_ms: u64) -> Vec<(u64, u64)> {
        let mut spans = Vec::new();
        let mut labelled: BTreeSet<&str> = BTreeSet::new();
        let mut routed: Option<&str> = None;
        let mut since_ms: Option<u64> = None;
        let mut close = |since_ms: &mut Option<u64>, end_ms: u64| {
            if let Some(start_ms) = since_ms.take() {
                let (start_ms, end_ms) = (start_ms.max(from_ms), end_ms.min(to_ms));
                if start_ms < end_ms {
                    spans.push((start_ms, end_ms));
                }
            }
        };
        let mut events: Vec<_> = self.events().iter().collect();
        events.sort_by_key(|event| event.version);
        let (mut at_ms, mut version) = (0, None);
        for event in events {
            if version != Some(event.version) {
                version = Some(event.version);
                at_ms = event.at_ms.max(at_ms);
            }
            apply_label(&mut labelled, &event.change);
            if let Change::Route { service: name, uid } = &event.change
                && name == service
            {
                routed = uid.as_deref();
            }
            let elsewhere = routed.is_some_and(|uid| !labelled.contains(uid));
            let two = labelled.len() > 1 || (labelled.len() == 1 && elsewhere);
            match two {
                true => {
                    since_ms.get_or_insert(at_ms);
                }
                false => close(&mut since_ms, at_ms),
            }
        }
        close(&mut since_ms, to_ms);
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::super::timeline::Event;
    use super::*;

    fn timeline(changes: &[(u64, Change)]) -> Timeline {
        let mut timeline = Timeline::default();
        for (at_ms, change) in changes.iter().cloned() {
            timeline.push(Event {
                at_ms,
                version: at_ms,
                change,
            });
        }
        timeline
    }

    fn label(uid: &str, active: bool) -> Change {
        Change::Label {
            uid: uid.to_owned(),
            pod: uid.to_owned(),
            active,
        }
    }

    fn route(uid: Option<&str>) -> Change {
        Change::Route {
            service: "web".to_owned(),
            uid: uid.map(str::to_owned),
        }
    }

    #[test]
    fn two_labels_or_a_service_that_differs_are_two() {
        let seen = timeline(&[
            (0, label("a", true)),
            (1, route(Some("a"))),
            (10, label("b", true)),
            (15, label("a", false)),
            (20, route(Some("b"))),
            (30, label("b", false)),
            (40, label("c", true)),
        ]);
        // Two labels from 10, then a is still selected until 20; and b is still selected at 40.
        assert_eq!(seen.two_active("web", 0, 50), [(10, 20), (40, 50)]);
        assert_eq!(seen.two_active("web", 12, 45), [(12, 20), (40, 45)]);
    }

    #[test]
    fn a_watch_that_is_behind_makes_no_two() {
        let mut seen = timeline(&[(0, label("a", true)), (1, route(Some("a")))]);
        late(
            &mut seen,
            [
                (20, 11, route(Some("b"))),
                (36, 10, label("a", false)),
                (37, 12, label("b", true)),
            ],
        );
        assert_eq!(seen.two_active("web", 0, 50), []);
    }

    #[test]
    fn a_watch_that_begins_anew_makes_no_span_longer() {
        let mut seen = timeline(&[
            (0, label("a", true)),
            (1, route(Some("a"))),
            (10, label("b", true)),
            (12, route(Some("b"))),
            (15, label("a", false)),
        ]);
        late(&mut seen, [(40, 10, label("b", true))]);
        assert_eq!(seen.two_active("web", 0, 50), [(10, 15)]);
    }

    fn late<const N: usize>(seen: &mut Timeline, events: [(u64, u64, Change); N]) {
        for (at_ms, version, change) in events {
            seen.push(Event {
                at_ms,
                version,
                change,
            });
        }
    }

    #[test]
    fn none_is_not_two() {
        let seen = timeline(&[
            (0, label("a", true)),
            (1, route(Some("a"))),
            (10, label("a", false)),
            (20, route(None)),
            (30, label("b", true)),
        ]);
        assert_eq!(seen.two_active("web", 0, 50), []);
    }
}
