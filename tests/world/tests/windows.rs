//! Narrow windows: what happens there is known, and no invariant is violated.

use crate::check::{check, mark};
use world::{Run, SECOND};

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

/// An API server that has just started answers 403 to what it will grant.
#[test]
fn an_exclusive_successor_waits_for_services_that_it_is_forbidden_to_see_for_a_while() {
    check("services-forbidden", |run| {
        let (at_us, pod) = mark(run, "crash node");
        let active_us = became_active_us(run, at_us, pod);
        let routed_us = run.routed_us(at_us, pod).expect("the Service follows");
        assert!(active_us > 24 * SECOND, "{active_us}");
        assert!(routed_us < 27 * SECOND, "{routed_us}");
    });
}

/// After an uninstall, say.
#[test]
fn a_right_that_was_taken_away_holds_an_exclusive_role_up_for_half_a_minute() {
    check("services-taken-away", |run| {
        let (at_us, pod) = mark(run, "crash node");
        let active_us = became_active_us(run, at_us, pod);
        assert!(active_us < 47 * SECOND, "{active_us}");
        assert_eq!(run.most_active(), 1);
    });
}

/// Its app runs on: the role goes as it does in a switchover.
#[test]
fn a_leader_that_is_taken_out_of_the_group_hands_the_role_on() {
    for name in [
        "outside-exclusive",
        "outside-exclusive-fenced",
        "outside-seamless",
    ] {
        check(name, |run| {
            let (at_us, pod) = mark(run, "leave group");
            let active_us = became_active_us(run, at_us, pod);
            assert!(active_us < 2 * SECOND, "{name}: {active_us}");
            assert_eq!(run.moves_after(at_us), 1, "{name}");
            let last = run.active.last().map(|(_, pods)| pods.len());
            assert_eq!(last, Some(1), "{name}");
            let written = run.sent_after(at_us, "unlabel self");
            assert!(written >= 1, "{name}: its own label stays on");
        });
    }
}

#[test]
fn a_leader_whose_lease_was_deleted_twice_is_followed_no_sooner_than_it_ends() {
    check("lease-deleted-twice", |run| {
        let (at_us, pod) = mark(run, "cut");
        let moved_us = run.moved_us(at_us, pod).expect("the role moves");
        assert!((15..19).contains(&(moved_us / SECOND)), "{moved_us}");
        assert_eq!(run.most_active(), 1);
    });
}

/// How long after `from_us` a pod other than `pod` was the only active one.
fn became_active_us(run: &Run, from_us: u64, pod: Option<&str>) -> u64 {
    let only_another = |pods: &[String]| pods.len() == 1 && pods.first().map(String::as_str) != pod;
    let mut later = run.active.iter().filter(|(at_us, _)| *at_us >= from_us);
    let active = later.find(|(_, pods)| only_another(pods));
    active.expect("another pod becomes active").0 - from_us
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
fn an_exclusive_successor_strips_a_last_holder_that_its_watch_has_not_shown() {
    check("blind-to-the-last", |run| {
        let (deleted_us, first) = mark(run, "delete");
        let (at_us, second) = mark(run, "crash node");
        assert_eq!(run.moves_after(deleted_us), 2);
        let third = run.leader_at(at_us + 20 * SECOND);
        assert!(third.is_some() && third != first && third != second);
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
