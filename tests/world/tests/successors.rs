//! Who follows a leader that is deleted.

use crate::check::{check, mark};
use world::SECOND;

#[test]
fn the_highest_priority_is_named() {
    check("priority", |run| {
        let (at_us, pod) = mark(run, "delete");
        let expected = if pod == Some("u0") { "u2" } else { "u0" };
        assert_eq!(run.leader_at(at_us + SECOND), Some(expected));
    });
}

#[test]
fn a_negative_priority_never_leads() {
    check("never", |run| {
        let (at_us, pod) = mark(run, "delete");
        assert_eq!(pod, Some("u0"));
        assert_eq!(run.moves_after(at_us), 0);
        assert_eq!(run.leader_at(run.end_us), None);
    });
}

#[test]
fn a_pod_of_the_own_workload_is_named() {
    check("other-workload", |run| {
        let (at_us, pod) = mark(run, "delete");
        let partners = [("u0", "u1"), ("u1", "u0"), ("u2", "u3"), ("u3", "u2")];
        let partner = partners.iter().find(|(one, _)| pod == Some(*one));
        let expected = partner.map(|(_, other)| *other);
        assert_eq!(run.leader_at(at_us + SECOND), expected);
    });
}
