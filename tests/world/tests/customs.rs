//! Electors that free the Lease instead of directing it, because another kind takes part.

use crate::check::{check, mark, moved_once};
use world::{MS, SECOND};

/// A successor by rank takes the Lease at once.
const MOVED_US: u64 = 300 * MS;

#[test]
fn a_freed_lease_is_taken_at_once() {
    for name in ["freed-delete", "stripped-delete"] {
        check(name, |run| moved_once(run, "delete", 0, MOVED_US));
    }
    for name in ["freed-unready", "stripped-unready"] {
        check(name, |run| {
            moved_once(run, "unready", 4_950 * MS, 5_000 * MS + MOVED_US);
        });
    }
    for name in ["freed-node-crash", "stripped-node-crash"] {
        check(name, |run| {
            moved_once(run, "crash node", 9 * SECOND, 16 * SECOND);
        });
    }
}

#[test]
fn who_keeps_its_label_is_never_missed_and_who_strips_first_is_never_two() {
    check("freed-rollout", |run| {
        let (at_us, _) = mark(run, "rollout");
        assert_eq!(run.moves_after(at_us), 1);
        assert_eq!(run.longest_without_active_us(), 0);
    });
    check("stripped-rollout", |run| {
        let (at_us, _) = mark(run, "rollout");
        assert_eq!(run.moves_after(at_us), 1);
        assert_eq!(run.most_active(), 1);
    });
}
