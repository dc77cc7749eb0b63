//! The API server's storage was restored from a backup: versions are lower than before.

use super::*;

fn held(version: u64, holder: &str, term: u64) -> LeaseView {
    LeaseView {
        version: Version(version),
        record: Record {
            holder: Some(format!("{holder}_uid-{holder}")),
            term,
            duration_ms: LD_MS,
            ..Record::default()
        },
    }
}

#[test]
fn what_a_watch_shows_again_in_an_older_version_is_what_is() {
    let mut bench = Bench::new(Handover::Seamless, vec![pod("a"), pod("b")]);
    bench.step(0, Input::LeaseSeen(held(50, "b", 9)));
    bench.step(5_000, Input::LeaseSeen(held(40, "c", 7)));
    assert_eq!(bench.elector.holder(), Some("c_uid-c"));
    // Its age counts from then, and the next term is above all that was ever seen.
    bench.step(5_000 + LD_MS - 1, Input::Wake);
    assert_eq!(bench.last.request, None);
    bench.step(5_000 + LD_MS, Input::Wake);
    let write = bench.lease_write();
    assert_eq!((write.base, write.term), (Some(Version(40)), 10));
}

#[test]
fn a_late_event_is_no_restored_backup() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let known = bench.elector.lease.base();
    bench.step(200, Input::LeaseSeen(held(5, "b", 9)));
    assert_eq!(bench.elector.lease.base(), known);
    assert!(bench.last.standing.role.leads());
}

#[test]
fn an_own_lease_of_a_backup_is_not_taken_back_at_once() {
    let mut bench = Bench::new(Handover::Seamless, vec![pod("a"), pod("b")]);
    bench.step(0, Input::LeaseSeen(held(50, "b", 9)));
    bench.step(5_000, Input::LeaseSeen(held(40, "a", 7)));
    assert_eq!(bench.last.request, None, "b may still lead in term 9");
    bench.step(5_000 + LD_MS, Input::Wake);
    assert_eq!(bench.lease_write().term, 10);
}

#[test]
fn pods_and_services_go_back_as_well() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let labelled = bench.elector.group.pods["uid-a"].clone();
    bench.step(200, Input::PodSeen(labelled.clone()));
    let restored = PodView {
        version: Version(1),
        role: RoleLabel::Other,
        term: None,
        ..labelled
    };
    let pods = vec![restored, pod("b")];
    bench.step(1_000, Input::PodsListed(pods));
    let action = bench.last.request.clone().unwrap().action;
    let Action::WritePod(write) = action else {
        panic!("the lost label is not put right: {action:?}")
    };
    assert_eq!((write.name.as_str(), write.base), ("a", Version(1)));
}

#[test]
fn a_read_that_is_older_than_what_was_known_when_it_was_sent_is_what_is() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let due_ms = bench.last.wake_at.as_ms();
    bench.step(due_ms, Input::Wake);
    let renewal = bench.last.request.clone().unwrap();
    let conflict = Outcome::Failed(Failure::Conflict);
    bench.step(due_ms + 5, Input::Done(renewal.id, conflict));
    let read = bench.last.request.clone().unwrap();
    assert_eq!(read.action, Action::ReadLease);
    let restored = held(2, "b", 1);
    let answer = Outcome::Lease(restored);
    bench.step(due_ms + 9, Input::Done(read.id, answer));
    assert_eq!(bench.elector.holder(), Some("b_uid-b"));
    assert!(!bench.last.standing.role.leads());
}

#[test]
fn an_answer_about_a_pod_that_is_gone_does_not_bring_it_back() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let mut edited = bench.elector.group.pods["uid-b"].clone();
    edited.version = Version(50);
    edited.role = RoleLabel::Other;
    bench.step(1_000, Input::PodSeen(edited.clone()));
    let repair = bench.last.request.clone().unwrap();
    bench.step(1_001, Input::PodGone("uid-b".to_owned()));
    edited.version = Version(51);
    bench.step(1_002, Input::Done(repair.id, Outcome::Pod(edited)));
    assert_eq!(bench.elector.peers().len(), 1);
}
