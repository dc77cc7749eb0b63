//! Plays scenarios, and asserts what their runs have recorded.

use world::{MS, Run, World, scenario};

/// Runs of each scenario with a fixed meaning; they differ in latencies and clocks.
const SEEDS: u64 = 40;
/// Plays a scenario with many seeds, and checks what each run has recorded.
#[track_caller]
pub(crate) fn check(name: &str, expected: impl Fn(&Run)) {
    let scenario = scenario(name).expect("the scenario exists");
    for seed in 0..SEEDS {
        match World::run(seed, scenario) {
            Ok(run) => {
                println!("make sim SEED={seed} SCENARIO={name}");
                expected(&run);
            }
            Err(violation) => panic!("{violation}"),
        }
    }
}

/// When the operation of this name took place, and on which pod.
#[track_caller]
pub(crate) fn mark<'a>(run: &'a Run, what: &str) -> (u64, Option<&'a str>) {
    let mark = run.mark(what).expect("the operation took place");
    (mark.at_us, mark.pod.as_deref())
}

/// Asserts that the role went once, to another pod, within a time.
#[track_caller]
pub(crate) fn moved_once(run: &Run, what: &str, at_least_us: u64, at_most_us: u64) {
    let (at_us, pod) = mark(run, what);
    let moved_us = run.moved_us(at_us, pod).expect("the role moves");
    assert!(
        moved_us >= at_least_us,
        "moved after {} ms already",
        moved_us / MS
    );
    assert!(
        moved_us <= at_most_us,
        "moved after {} ms only",
        moved_us / MS
    );
    assert_eq!(run.moves_after(at_us), 1);
}

/// Asserts that the same pod leads all the time.
#[track_caller]
pub(crate) fn stayed(run: &Run, what: &str) {
    stayed_for(run, what, run.end_us);
}

/// Asserts that the same pod leads for so long.
#[track_caller]
pub(crate) fn stayed_for(run: &Run, what: &str, for_us: u64) {
    let (at_us, _) = mark(run, what);
    assert!(run.leader_at(at_us).is_some());
    let during = at_us + 1..at_us + for_us;
    let changes: Vec<_> = run
        .leader
        .iter()
        .filter(|(us, _)| during.contains(us))
        .collect();
    assert!(changes.is_empty(), "{changes:?}");
}
