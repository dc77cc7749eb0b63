//! Cases that play at the same time: each is a few pods, and mostly waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Trial};

use crate::context::{Case, Shared};

/// Cases at a time. More would have their pods wait for each other's on two cores.
pub(crate) const AT_A_TIME: usize = 6;

/// How each case ended.
pub(crate) type Outcomes = BTreeMap<&'static str, Result<(), String>>;

/// The trials of `cases`. The first one that runs plays all that `args` ask for, and the others tell
/// how theirs ended.
pub(crate) fn trials(
    cases: impl Iterator<Item = &'static Case>,
    args: &Arguments,
    shared: &Arc<Shared>,
) -> Vec<Trial> {
    let cases: Vec<&'static Case> = cases.collect();
    let asked_for = |case: &&'static Case| is_asked_for(case.name, args);
    let played: Arc<Vec<&'static Case>> =
        Arc::new(cases.iter().copied().filter(asked_for).collect());
    let outcomes: Arc<Mutex<Option<Outcomes>>> = Arc::default();
    let trial = |case: &'static Case| {
        let (played, outcomes, shared) = (played.clone(), outcomes.clone(), shared.clone());
        Trial::test(case.name, move || {
            let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            let outcomes = outcomes.get_or_insert_with(|| shared.run_beside(&played));
            let outcome = outcomes.get(case.name).cloned();
            Ok(outcome.unwrap_or_else(|| Err("it was not played".to_owned()))?)
        })
    };
    cases.into_iter().map(trial).collect()
}

/// Whether the arguments of the test program select a name, as libtest reads them.
fn is_asked_for(name: &str, args: &Arguments) -> bool {
    let matches = |filter: &String| match args.exact {
        true => name == filter,
        false => name.contains(filter.as_str()),
    };
    args.filter.as_ref().is_none_or(matches) && !args.skip.iter().any(matches)
}
