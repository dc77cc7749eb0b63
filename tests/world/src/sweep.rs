//! Many seeds of one scenario.

use super::coverage::Coverage;
use super::run::Violation;
use super::scenario::Scenario;
use super::world::World;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Violations that one sweep keeps: each has its log.
const VIOLATIONS_MAX: usize = 50;

/// The random scenarios, and the part of a hundred fresh runs that each has.
pub const SHARES: [(&str, u64); 10] = [
    ("chaos", 15),
    ("storm", 20),
    ("tempest", 10),
    ("everyday", 15),
    ("restored", 10),
    ("foreigner", 5),
    ("slow-then-silent", 10),
    ("flickering-service", 5),
    ("forbidden", 5),
    ("outside", 5),
];

/// What many runs have met.
#[derive(Debug)]
pub struct Swept {
    /// How many ran.
    pub runs: u64,
    /// All their events.
    pub events: u64,
    /// All that they met.
    pub coverage: Coverage,
    /// Lowest seed first.
    pub violations: Vec<Violation>,
}

/// Plays all seeds of a range, on so many threads. Each run is alone in its thread: the result does
/// not depend on their number, except which violations are kept where there are very many.
pub fn sweep(scenario: &Scenario, seeds: Range<u64>, threads: usize) -> Swept {
    let next = AtomicU64::new(seeds.start);
    let none = Swept {
        runs: 0,
        events: 0,
        coverage: Coverage::NONE,
        violations: Vec::new(),
    };
    let sum = Mutex::new(none);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let result = World::run(seed, scenario);
            let mut sum = sum
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            sum.add(result.map_err(|violation| *violation));
            if sum.violations.len() >= VIOLATIONS_MAX {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut swept = sum
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    swept.violations.sort_by_key(|violation| violation.seed);
    swept
}

impl Swept {
    fn add(&mut self, result: Result<super::run::Run, Violation>) {
        self.runs += 1;
        match result {
            Ok(run) => {
                self.events += run.events;
                self.coverage.add(&run.coverage);
            }
            Err(violation) => self.violations.push(violation),
        }
    }
}
