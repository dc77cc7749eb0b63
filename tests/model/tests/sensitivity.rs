//! The model can fail: what it assumes is what it needs, and what it never meets it reports.

use model::{Effort, Explored, Fault, Scope, explore, scopes};

/// Far more than these small scopes have.
const STATES_MAX: usize = 5_000_000;

fn scope(name: &str) -> Scope {
    let found = scopes().into_iter().find(|scope| scope.name == name);
    found.expect("the scope exists")
}

fn violated(explored: &Explored) -> Vec<&'static str> {
    let violations = explored.violations.iter();
    violations.map(|violation| violation.property).collect()
}

/// At the shortest lease duration the margin is two steps. Clocks that are up to one step apart can
/// measure an interval two steps differently; clocks that are up to two apart, four.
#[test]
fn clocks_further_apart_than_the_margin_allow_two_leaders() {
    let cut = Scope {
        kinds: &[Fault::Cut],
        ..scope("expiry")
    };
    let explored = explore(&cut, 1, STATES_MAX);
    assert_eq!(violated(&explored), Vec::<&str>::new(), "{explored}");

    let further = Scope {
        apart_ticks: 2,
        ..cut
    };
    let explored = explore(&further, 1, STATES_MAX);
    assert_eq!(violated(&explored), ["one believed leader"], "{explored}");
    let trace = &explored.violations[0].trace;
    assert!(
        trace.iter().any(|line| line.contains("a: Cut")),
        "{explored}"
    );
    assert!(
        trace
            .iter()
            .any(|line| line.contains("b: Acquire b in term 2")),
        "{explored}"
    );
}

#[test]
fn what_is_never_met_is_reported() {
    let alone = Scope {
        pods: 1,
        kinds: &[Fault::Crash],
        ..scope("expiry")
    };
    let explored = explore(&alone, 1, STATES_MAX);
    assert_eq!(
        explored.unmet,
        ["a crashed leader is followed"],
        "{explored}"
    );
    assert!(!explored.is_good());
}

#[test]
fn what_is_cut_off_is_not_called_complete() {
    let explored = explore(&scope("expiry"), 1, 1_000);
    assert!(!explored.complete && !explored.is_good(), "{explored}");
}

#[test]
fn scopes_have_names_of_their_own_and_both_efforts() {
    let mut names: Vec<&str> = scopes().iter().map(|scope| scope.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for effort in [Effort::Test, Effort::Deep] {
        assert!(scopes().iter().any(|scope| scope.effort == effort));
    }
}
