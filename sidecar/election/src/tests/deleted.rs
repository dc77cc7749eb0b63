//! A Lease that people delete, once or again and again.

use super::*;

fn held(version: u64, holder: &str, term: u64, renewed_us: i64) -> Input {
    let record = Record {
        holder: Some(format!("{holder}_uid-{holder}")),
        term,
        duration_ms: LD_MS,
        renew_time_us: renewed_us,
        ..Record::default()
    };
    let version = Version(version);
    Input::LeaseSeen(LeaseView { version, record })
}

fn unheld(version: u64) -> Input {
    let record = Record {
        holder: Some("none".to_owned()),
        duration_ms: LD_MS,
        ..Record::default()
    };
    let version = Version(version);
    Input::LeaseSeen(LeaseView { version, record })
}

/// A standby that has seen the Lease of another pod.
fn standby() -> Bench {
    let mut bench = Bench::new(Handover::Seamless, vec![pod("a"), pod("b")]);
    bench.step(0, held(5, "b", 3, 1));
    assert_eq!(bench.last.request, None);
    bench
}

#[test]
fn a_leader_whose_lease_is_deleted_makes_it_again_at_once_and_stays() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let term = bench.last.standing.term;
    bench.step(1_000, Input::LeaseAbsent(Version(20)));
    let made = bench.lease_write();
    assert_eq!(
        (made.kind, made.holder.is_none(), made.term, made.base),
        (LeaseWriteKind::Recreate, true, 0, None),
        "a write that comes late claims nothing"
    );
    bench.version = 20;
    bench.accept(1_005);
    assert_eq!(bench.last.standing.role, Role::Leader);
    let taken = bench.lease_write();
    assert_eq!(
        (taken.kind, taken.term, taken.base),
        (LeaseWriteKind::Acquire, term + 1, Some(Version(21)))
    );
    bench.accept(1_010);
    let standing = bench.last.standing;
    assert_eq!((standing.role, standing.term), (Role::Leader, term + 1));
    assert_eq!(standing.valid_until, at(1_005 + LD_MS - 750));
}

/// Another pod was faster: its write names nobody, and the leader goes on.
#[test]
fn a_leader_takes_what_another_pod_has_made_again() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    bench.step(1_000, unheld(20));
    assert_eq!(bench.last.standing.role, Role::Leader);
    let taken = bench.lease_write();
    assert_eq!(
        (taken.kind, taken.base),
        (LeaseWriteKind::Acquire, Some(Version(20)))
    );
}

#[test]
fn a_standby_makes_a_deleted_lease_again_and_takes_it_a_lease_duration_later() {
    let mut bench = standby();
    bench.step(1_000, Input::LeaseAbsent(Version(20)));
    assert_eq!(bench.last.request, None, "the last holder comes first");
    let made_ms = bench.last.wake_at.as_ms();
    assert!(made_ms <= 1_000 + 700, "{made_ms}");
    bench.step(made_ms, Input::Wake);
    assert_eq!(bench.lease_write().kind, LeaseWriteKind::Recreate);
    bench.version = 20;
    bench.accept(made_ms + 5);
    assert_eq!(bench.last.request, None);
    assert_eq!(bench.last.wake_at, at(made_ms + 5 + LD_MS));
    bench.step(made_ms + 5 + LD_MS, Input::Wake);
    let taken = bench.lease_write();
    assert_eq!(
        (taken.kind, taken.term, taken.base),
        (LeaseWriteKind::Acquire, 4, Some(Version(21)))
    );
}

/// The Lease of another holder comes and goes unseen: what is there is another one than before.
#[test]
fn the_wait_begins_anew_with_each_lease_that_was_made_again() {
    let mut bench = standby();
    bench.step(1_000, unheld(20));
    bench.step(14_000, unheld(30));
    bench.step(1_000 + LD_MS, Input::Wake);
    assert_eq!(bench.last.request, None);
    bench.step(14_000 + LD_MS, Input::Wake);
    assert_eq!(bench.lease_write().base, Some(Version(30)));
}
