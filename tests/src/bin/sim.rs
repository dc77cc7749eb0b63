//! Plays scenarios of the simulated world: `sim SCENARIO SEED` shows the log of one run,
//! `sim SCENARIO FIRST..END` plays many and shows the first that violates an invariant.

use std::io::Write;
use std::process::ExitCode;
use std::thread::available_parallelism;
use tests::world::{Violation, World, scenario, scenarios, sweep};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let names: Vec<&str> = scenarios().map(|scenario| scenario.name).collect();
    let (name, seeds) = match arguments.as_slice() {
        [name, seeds] => (name.as_str(), seeds.as_str()),
        _ => ("", ""),
    };
    let Some(scenario) = scenario(name) else {
        eprintln!("usage: sim SCENARIO SEED | sim SCENARIO FIRST..END");
        eprintln!("SCENARIO is one of: {}", names.join(" "));
        return ExitCode::FAILURE;
    };
    if let Ok(seed) = seeds.parse() {
        let (log, result) = World::replay(seed, scenario);
        let mut out = std::io::stdout().lock();
        // A reader that has seen enough ends the listing.
        if log.iter().any(|line| writeln!(out, "{line}").is_err()) {
            return ExitCode::FAILURE;
        }
        return match result {
            Ok(run) => {
                println!("no violation in {} events", run.events);
                ExitCode::SUCCESS
            }
            Err(violation) => {
                println!("{} violated: {}", violation.rule, violation.message);
                ExitCode::FAILURE
            }
        };
    }
    let range = seeds
        .split_once("..")
        .and_then(|(first, end)| Some(first.parse::<u64>().ok()?..end.parse::<u64>().ok()?));
    let Some(range) = range else {
        eprintln!("{seeds:?} is neither a seed nor a range of seeds: write it like 7 or 0..10000");
        return ExitCode::FAILURE;
    };
    let threads = available_parallelism().map_or(1, usize::from);
    let swept = sweep(scenario, range, threads);
    print!("{}", swept.coverage);
    println!("{} runs, {} events", swept.runs, swept.events);
    match swept.violations.first() {
        None => ExitCode::SUCCESS,
        Some(first) => {
            println!("{first}");
            for Violation {
                seed,
                rule,
                message,
                ..
            } in &swept.violations
            {
                println!("seed {seed}: {rule} violated: {message}");
            }
            ExitCode::FAILURE
        }
    }
}
