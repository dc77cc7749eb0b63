//! Runs the checker over one scope, and says what came of it.

use super::machine::Machine;
use super::scope::Scope;
use super::show;
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::fmt;
use std::time::{Duration, Instant};

/// What an exploration has found.
#[derive(Debug)]
pub struct Explored {
    /// Name of the scope.
    pub scope: &'static str,
    /// States that were reached, each as often as it was.
    pub states: usize,
    /// Different states.
    pub unique: usize,
    /// Longest way to one of them that was followed, in events.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether nothing within the bounds was left out.
    pub complete: bool,
    /// Properties that do not hold, each with the way to a state that shows it.
    pub violations: Vec<Violation>,
    /// What must be possible and was never met.
    pub unmet: Vec<&'static str>,
}

/// A property that does not hold.
#[derive(Debug)]
pub struct Violation {
    /// Its name.
    pub property: &'static str,
    /// One line an event.
    pub trace: Vec<String>,
}

impl Explored {
    /// Whether everything was looked at, every property holds, and all that must be possible is.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.complete && self.violations.is_empty() && self.unmet.is_empty()
    }
}

/// Explores everything within the bounds of `scope`, with so many threads; at most about
/// `states_max` states, and not much further than the first violation. One thread goes breadth
/// first: there is hardly a shorter way to what it shows.
pub fn explore(scope: &Scope, threads: usize, states_max: usize) -> Explored {
    let started = Instant::now();
    let machine = Machine {
        scope: scope.clone(),
    };
    let checker = machine
        .clone()
        .checker()
        .threads(threads)
        .target_state_count(states_max)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let took = started.elapsed();
    let mut found = checker.discoveries();
    let mut violations = Vec::new();
    let mut unmet = Vec::new();
    for property in machine.properties() {
        match (found.remove(property.name), property.expectation) {
            (Some(path), Expectation::Always | Expectation::Eventually) => {
                violations.push(Violation {
                    property: property.name,
                    trace: show::trace(path.into_vec()),
                });
            }
            (None, Expectation::Sometimes) => unmet.push(property.name),
            (None, _) | (Some(_), Expectation::Sometimes) => {}
        }
    }
    Explored {
        scope: scope.name,
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        took,
        complete: checker.state_count() < states_max && violations.is_empty(),
        violations,
        unmet,
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scope,
            states,
            unique,
            depth,
            ..
        } = self;
        let seconds = self.took.as_secs_f64();
        let whole = if self.complete {
            "all of it"
        } else {
            "cut off"
        };
        write!(
            f,
            "{scope:<27} {states:>9} states {unique:>8} unique  depth {depth:>3} {seconds:>6.1} s  {whole}"
        )?;
        for unmet in &self.unmet {
            write!(f, "\n  never met: {unmet}")?;
        }
        for Violation { property, trace } in &self.violations {
            write!(f, "\n  violated: {property}")?;
            for line in trace {
                write!(f, "\n    {line}")?;
            }
        }
        Ok(())
    }
}
