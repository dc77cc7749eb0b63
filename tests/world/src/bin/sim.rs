//! Plays the simulated world.
//!
//! - `sim SCENARIO SEED` shows the log of one run;
//! - `sim SCENARIO FIRST..END` plays many, and shows the first that violates an invariant;
//! - `sim RUNS` plays so many runs of the random scenarios with seeds that no run before had, and
//!   fails if anything was never met.

use std::io::Write;
use std::ops::Range;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use world::{Coverage, SHARES, Scenario, Swept, Violation, World, scenario, scenarios, sweep};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [runs] => match runs.parse() {
            Ok(runs) => play_fresh(runs),
            Err(_) => explain(&format!("{runs:?} is no number of runs")),
        },
        [name, seeds] => match scenario(name) {
            Some(scenario) => play_seeds(scenario, seeds),
            None => explain(&format!("there is no scenario {name:?}")),
        },
        _ => explain("what shall be played?"),
    }
}

fn explain(wrong: &str) -> ExitCode {
    let names: Vec<&str> = scenarios().map(|scenario| scenario.name).collect();
    eprintln!("{wrong}");
    eprintln!("usage: make sim SCENARIO=name SEED=7 | SCENARIO=name SEED=0..1000 | SEEDS=10000");
    eprintln!("SCENARIO is one of: {}", names.join(" "));
    ExitCode::FAILURE
}

fn play_seeds(scenario: &Scenario, seeds: &str) -> ExitCode {
    if let Ok(seed) = seeds.parse() {
        return show(scenario, seed);
    }
    let range = seeds
        .split_once("..")
        .and_then(|(first, end)| Some(first.parse::<u64>().ok()?..end.parse::<u64>().ok()?));
    let Some(range) = range else {
        return explain(&format!("{seeds:?} is neither a seed nor a range of seeds"));
    };
    let swept = play(scenario, range);
    print!("{}", swept.coverage);
    conclude(&swept.violations)
}

/// Shows the log of one run.
fn show(scenario: &Scenario, seed: u64) -> ExitCode {
    let (log, result) = World::replay(seed, scenario);
    let mut out = std::io::stdout().lock();
    // A reader that has seen enough ends the listing.
    if log.iter().any(|line| writeln!(out, "{line}").is_err()) {
        return ExitCode::FAILURE;
    }
    match result {
        Ok(run) => {
            println!("no violation in {} events", run.events);
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{} violated: {}", violation.rule, violation.message);
            ExitCode::FAILURE
        }
    }
}

/// Plays the random scenarios with seeds that begin at the present time: no two calls play the
/// same, and what fails prints the line that plays it again.
fn play_fresh(runs: u64) -> ExitCode {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let first = since_1970.map_or(0, |time| time.as_secs()) * 1_000_000;
    let mut met = Coverage::NONE;
    let mut violations = Vec::new();
    for (name, share) in SHARES {
        let scenario = scenario(name).expect("every random scenario exists");
        let swept = play(scenario, first..first + runs * share / 100);
        met.add(&swept.coverage);
        violations.extend(swept.violations);
    }
    print!("{met}");
    let missing = met.missing();
    if !missing.is_empty() && violations.is_empty() {
        println!("never met: {missing:?}; such runs prove nothing about it");
        return ExitCode::FAILURE;
    }
    conclude(&violations)
}

fn play(scenario: &Scenario, seeds: Range<u64>) -> Swept {
    let threads = available_parallelism().map_or(1, usize::from);
    let (first, started) = (seeds.start, Instant::now());
    let swept = sweep(scenario, seeds, threads);
    let (name, ms) = (scenario.name, started.elapsed().as_millis());
    let (runs, events) = (swept.runs, swept.events);
    println!("{name}: {runs} runs from seed {first} on, {events} events, {ms} ms");
    swept
}

fn conclude(violations: &[Violation]) -> ExitCode {
    let Some(first) = violations.first() else {
        println!("no violation");
        return ExitCode::SUCCESS;
    };
    println!("{first}");
    for violation in violations {
        let (rule, message) = (violation.rule, &violation.message);
        let (name, seed) = (violation.scenario, violation.seed);
        println!("make sim SCENARIO={name} SEED={seed}: {rule} violated: {message}");
    }
    ExitCode::FAILURE
}
