//! Explores the model of the election: `model test` what `make test` explores, `model all` every
//! scope, `model SCOPE...` these. Fails if a property does not hold, or something was never met.

use model::{Effort, Scope, explore, scopes};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Instant;

/// More than any scope has, and as many as some gigabytes of memory hold.
const STATES_MAX: usize = 50_000_000;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<Scope> = scopes()
        .into_iter()
        .filter(|scope| wanted.iter().any(|word| is_meant(scope, word)))
        .collect();
    if chosen.is_empty() {
        eprintln!("what shall be explored? Usage: make model | make model SCOPE=name");
        for scope in scopes() {
            eprintln!("  {:<22} {}", scope.name, scope.about);
        }
        return ExitCode::FAILURE;
    }
    // One thread goes breadth first, so that its traces are shortest ones.
    let threads = match chosen.len() {
        1 => 1,
        _ => available_parallelism().map_or(1, usize::from),
    };
    let started = Instant::now();
    let (mut bad, mut states, mut unique) = (0, 0, 0);
    for scope in &chosen {
        let explored = explore(scope, threads, STATES_MAX);
        println!("{explored}");
        states += explored.states;
        unique += explored.unique;
        if !explored.is_good() {
            bad += 1;
            println!(
                "  alone it shows shortest traces: make model SCOPE={}",
                scope.name
            );
        }
    }
    println!(
        "{} scopes, {bad} of them bad: {states} states, {unique} different, {:.0} s",
        chosen.len(),
        started.elapsed().as_secs_f64()
    );
    if bad == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn is_meant(scope: &Scope, word: &str) -> bool {
    match word {
        "all" => true,
        "test" => scope.effort == Effort::Test,
        name => scope.name == name,
    }
}
