//! Narrow windows: what happens there is known, and no invariant is violated.

#![allow(clippy::panic, reason = "tests")]

use world::{Run, SECOND, World, scenario};

/// Runs of each scenario; they differ in latencies and clocks.
const SEEDS: u64 = 40;

/// Plays a scenario with many seeds, and checks what each run has recorded; `expected` gets the
/// instant of the first operation of this name.
#[track_caller]
fn check(name: &str, what: &str, expected: impl Fn(&Run, u64)) {
    let scenario = scenario(name).expect("the scenario exists");
    for seed in 0..SEEDS {
        match World::run(seed, scenario) {
            Ok(run) => {
                println!("make sim SEED={seed} SCENARIO={name}");
                let mark = run.mark(what).expect("the operation took place");
                expected(&run, mark.at_us);
            }
            Err(violation) => panic!("{violation}"),
        }
    }
}

#[test]
fn a_write_of_a_leader_of_before_that_comes_late_changes_no_service() {
    check("late-service-write", "delete", |run, _| {
        assert_eq!(run.most_active(), 1);
    });
}

#[test]
fn an_exclusive_leader_hands_nothing_on_while_its_label_may_be_on() {
    check("lost-label-answer", "switchover", |run, at_us| {
        assert_eq!(run.moves_after(at_us), 1);
        assert_eq!(run.most_active(), 1);
    });
}

#[test]
fn an_exclusive_leader_hands_nothing_on_before_it_knows_the_services() {
    check("blind-restart", "crash sidecar", |run, at_us| {
        assert_eq!(run.moves_after(at_us), 1);
    });
}

#[test]
fn an_exclusive_successor_labels_itself_once_it_knows_the_services() {
    check("blind-takeover", "crash node", |run, at_us| {
        assert_eq!(run.moves_after(at_us), 1);
        assert_eq!(run.most_active(), 1);
    });
}

#[test]
fn the_term_of_a_service_never_falls() {
    check("outbid-service", "outbid service", |run, at_us| {
        assert!(run.moves_after(at_us) >= 1);
    });
}

#[test]
fn an_exclusive_sidecar_that_is_restarted_alone_keeps_the_role() {
    check("restart-exclusive", "restart sidecar", |run, at_us| {
        assert_eq!(run.moves_after(at_us), 0);
        assert_eq!(run.sent_after(at_us, "handover"), 0);
        assert_eq!(run.sent_after(at_us, "release"), 0);
    });
}

#[test]
fn a_paused_group_gets_no_new_leader_though_its_own_is_deleted() {
    check("paused-delete", "pause", |run, at_us| {
        assert_eq!(run.moves_after(at_us), 1);
        let leader = run.leader_at(at_us).expect("a pod leads").to_owned();
        let moved_us = run.moved_us(at_us, Some(&leader)).expect("the role moves");
        assert!(moved_us >= 60 * SECOND, "{moved_us}");
    });
}

#[test]
fn a_pod_whose_lease_another_program_took_is_not_active() {
    check("foreigner-takes", "cut", |run, at_us| {
        assert_eq!(run.active_at(at_us).len(), 1);
        assert!(run.active_at(at_us + 40 * SECOND).is_empty());
        assert_eq!(run.active_at(at_us + 70 * SECOND).len(), 1);
    });
}
