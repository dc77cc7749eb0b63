//! The scopes that are explored, and why these. A dimension that multiplies the states (clocks
//! apart, a second fault, a third elector, a Service) is opened where it can matter.

use super::scope::{Change, Effort, Fault, Scope, Start};
use election::Handover;

/// Every fault that leaves the Lease where it is.
const FAULTS: &[Fault] = &[
    Fault::Slow,
    Fault::Behind,
    Fault::Freeze,
    Fault::Cut,
    Fault::Crash,
];
/// From a change, through a successor that does not confirm, to the next term: 2 s and some.
const MOVE_TICKS: u16 = 12;
/// From a renewal through a lease duration to the next leader's first writes.
const EXPIRY_TICKS: u16 = 18;

/// A group of two that has settled, is seamless, and meets one fault.
const SETTLED: Scope = Scope {
    name: "",
    about: "",
    effort: Effort::Test,
    pods: 2,
    handover: Handover::Seamless,
    service: false,
    start: Start::Settled,
    ticks: EXPIRY_TICKS,
    apart_ticks: 0,
    faults: 1,
    kinds: FAULTS,
    changes: 0,
    change_kinds: &[],
    recovers: false,
};
const EXCLUSIVE: Scope = Scope {
    handover: Handover::Exclusive,
    ..SETTLED
};
/// One planned change.
const CHANGED: Scope = Scope {
    ticks: MOVE_TICKS,
    changes: 1,
    ..SETTLED
};
const CHANGED_EXCLUSIVE: Scope = Scope {
    handover: Handover::Exclusive,
    ..CHANGED
};

/// All scopes.
#[must_use]
pub fn scopes() -> Vec<Scope> {
    [starts(), failures(), deletions(), moves(), recoveries()].concat()
}

/// The first leader.
fn starts() -> Vec<Scope> {
    vec![
        Scope {
            name: "start",
            about: "the first leader",
            start: Start::Fresh,
            ticks: 3,
            ..SETTLED
        },
        Scope {
            name: "start-of-three",
            about: "the first leader of three",
            effort: Effort::Deep,
            pods: 3,
            start: Start::Fresh,
            ticks: 3,
            ..SETTLED
        },
    ]
}

/// A leader, a standby or the Lease fails, and nobody wants anything.
fn failures() -> Vec<Scope> {
    vec![
        Scope {
            name: "expiry",
            about: "a leader fails, while clocks are apart",
            apart_ticks: 1,
            ..SETTLED
        },
        Scope {
            name: "expiry-exclusive",
            about: "the same, exclusive",
            apart_ticks: 1,
            ..EXCLUSIVE
        },
        Scope {
            name: "slow-then-cut",
            about: "a late answer, and then none at all",
            apart_ticks: 1,
            faults: 2,
            kinds: &[Fault::Slow, Fault::Cut],
            ticks: 16,
            ..SETTLED
        },
        Scope {
            name: "lease-deleted",
            about: "somebody deletes the Lease of a leader that fails",
            kinds: &[Fault::DeleteLease, Fault::Cut, Fault::Crash],
            faults: 2,
            ticks: 14,
            ..SETTLED
        },
        Scope {
            name: "expiry-of-three",
            about: "two standbys, clocks apart",
            effort: Effort::Deep,
            pods: 3,
            apart_ticks: 1,
            ..SETTLED
        },
        Scope {
            name: "expiry-service",
            about: "a leader fails, exclusive, with a Service",
            service: true,
            ..EXCLUSIVE
        },
        Scope {
            name: "two-faults",
            about: "any two faults",
            effort: Effort::Deep,
            faults: 2,
            ..SETTLED
        },
        Scope {
            name: "two-faults-exclusive",
            about: "the same, exclusive",
            effort: Effort::Deep,
            faults: 2,
            ..EXCLUSIVE
        },
    ]
}

/// Pods are deleted.
fn deletions() -> Vec<Scope> {
    vec![
        Scope {
            name: "delete",
            about: "a pod is deleted",
            change_kinds: &[Change::Delete],
            ticks: 9,
            ..CHANGED
        },
        Scope {
            name: "delete-exclusive",
            about: "the same, exclusive",
            change_kinds: &[Change::Delete],
            ticks: 9,
            ..CHANGED_EXCLUSIVE
        },
        Scope {
            name: "delete-service",
            about: "a pod is deleted, exclusive, with a Service",
            effort: Effort::Deep,
            service: true,
            change_kinds: &[Change::Delete],
            ticks: 9,
            ..CHANGED_EXCLUSIVE
        },
        Scope {
            name: "delete-of-three",
            about: "a pod of three is deleted",
            effort: Effort::Deep,
            pods: 3,
            change_kinds: &[Change::Delete],
            ticks: 9,
            ..CHANGED
        },
    ]
}

/// The role is asked to move, or has to.
fn moves() -> Vec<Scope> {
    vec![
        Scope {
            name: "switchover",
            about: "the role is asked to move",
            change_kinds: &[Change::Switchover],
            ..CHANGED
        },
        Scope {
            name: "switchover-exclusive",
            about: "the same, exclusive, until a late label could stay",
            change_kinds: &[Change::Switchover],
            ticks: 14,
            ..CHANGED_EXCLUSIVE
        },
        Scope {
            name: "switchover-service",
            about: "the role is asked to move, exclusive, with a Service",
            effort: Effort::Deep,
            service: true,
            change_kinds: &[Change::Switchover],
            ..CHANGED_EXCLUSIVE
        },
        Scope {
            name: "switchover-apart",
            about: "the role is asked to move, clocks apart",
            effort: Effort::Deep,
            apart_ticks: 1,
            change_kinds: &[Change::Switchover],
            ..CHANGED
        },
        Scope {
            name: "two-changes",
            about: "any two changes, and a fault",
            effort: Effort::Deep,
            changes: 2,
            change_kinds: &[Change::Switchover, Change::Unready],
            ticks: 8,
            ..CHANGED
        },
    ]
}

/// In time somebody leads again, and the labels say so.
fn recoveries() -> Vec<Scope> {
    vec![
        Scope {
            name: "recovery",
            about: "somebody leads again in time",
            recovers: true,
            ticks: 22,
            ..SETTLED
        },
        Scope {
            name: "recovery-exclusive",
            about: "the same, exclusive",
            recovers: true,
            ticks: 22,
            ..EXCLUSIVE
        },
        Scope {
            name: "recovery-of-three",
            about: "somebody of three leads again in time",
            effort: Effort::Deep,
            pods: 3,
            recovers: true,
            ticks: 24,
            ..SETTLED
        },
        Scope {
            name: "recovery-deleted",
            about: "somebody leads in time after a deletion",
            recovers: true,
            change_kinds: &[Change::Delete],
            faults: 0,
            ticks: 28,
            ..CHANGED
        },
        Scope {
            name: "recovery-deleted-exclusive",
            about: "the same, exclusive",
            recovers: true,
            change_kinds: &[Change::Delete],
            faults: 0,
            ticks: 28,
            ..CHANGED_EXCLUSIVE
        },
    ]
}
