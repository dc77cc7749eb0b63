//! Narrow windows: what happens there is known, and no invariant is violated.

use crate::check::{check, mark};
use world::SECOND;

#[test]
fn a_write_of_a_leader_of_before_that_comes_late_changes_no_service() {
    check("late-service-write", |run| {
        assert_eq!(run.most_active(), 1);
    });
}

#[test]
fn an_exclusive_leader_hands_nothing_on_while_its_label_may_be_on() {
    check("lost-label-answer", |run| {
        let (at_us, _) = mark(run, "switchover");
        assert_eq!(run.moves_after(at_us), 1);
        assert_eq!(run.most_active(), 1);
    });
}

#[test]
fn an_exclusive_leader_hands_nothing_on_before_it_knows_the_services() {
    check("blind-restart", |run| {
        let (at_us, _) = mark(run, "crash sidecar");
        assert_eq!(run.moves_after(at_us), 1);
    });
}

#[test]
fn an_exclusive_successor_labels_itself_once_it_knows_the_services() {
    check("blind-takeover", |run| {
        let (at_us, _) = mark(run, "crash node");
        assert_eq!(run.moves_after(at_us), 1);
        assert_eq!(run.most_active(), 1);
    });
}

#[test]
fn the_term_of_a_service_never_falls() {
    check("outbid-service", |run| {
        let (at_us, _) = mark(run, "outbid service");
        assert!(run.moves_after(at_us) >= 1);
    });
}

#[test]
fn an_exclusive_sidecar_that_is_restarted_alone_keeps_the_role() {
    check("restart-exclusive", |run| {
        let (at_us, _) = mark(run, "restart sidecar");
        assert_eq!(run.moves_after(at_us), 0);
        assert_eq!(run.sent_after(at_us, "handover"), 0);
        assert_eq!(run.sent_after(at_us, "release"), 0);
    });
}

#[test]
fn a_paused_group_gets_no_new_leader_though_its_own_is_deleted() {
    check("paused-delete", |run| {
        let (at_us, _) = mark(run, "pause");
        assert_eq!(run.moves_after(at_us), 1);
        let leader = run.leader_at(at_us).expect("a pod leads").to_owned();
        let moved_us = run.moved_us(at_us, Some(&leader)).expect("the role moves");
        assert!(moved_us >= 60 * SECOND, "{moved_us}");
    });
}

#[test]
fn a_pod_whose_lease_another_program_took_is_not_active() {
    check("foreigner-takes", |run| {
        let (at_us, _) = mark(run, "cut");
        assert_eq!(run.active_at(at_us).len(), 1);
        assert!(run.active_at(at_us + 40 * SECOND).is_empty());
        assert_eq!(run.active_at(at_us + 70 * SECOND).len(), 1);
    });
}
