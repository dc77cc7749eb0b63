//! `make test`: everything that must hold, and one last line that says whether it does.
//!
//! Environment: `ONLY=<part of a name>` runs the tests that match, or the stage of that name;
//! `SKIP_CLUSTER=1` accepts that the tests on a real cluster do not run.

use std::env;
use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::unistd::Uid;
use tests::{progress, project_root};

/// Random runs of the simulated world, with seeds that no call before had. Two cores play them in
/// a quarter of a minute.
const SIMULATED_RUNS: &str = "15000";

/// How long reviews with random bytes are answered, seconds; by itself the test takes one.
const FUZZ_S: &str = "60";

/// How many tests ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// What the caller wants.
struct Wishes {
    only: Option<String>,
    skip_cluster: bool,
}

impl Wishes {
    fn read() -> Self {
        let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            only: set("ONLY"),
            skip_cluster: set("SKIP_CLUSTER").is_some_and(|value| value != "0"),
        }
    }

    /// Whether a stage that has no tests of its own shall run.
    fn want(&self, stage: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == stage)
    }
}

fn main() -> Result<ExitCode> {
    let wishes = Wishes::read();
    let mut counts = Counts::default();
    if wishes.want("format") {
        counts += stage("format", || check(&["fmt", "--all", "--check"]))?;
    }
    if wishes.want("clippy") {
        let deny = ["--", "-D", "warnings"];
        let all = ["clippy", "--workspace", "--all-targets", "--locked"];
        let cluster = ["clippy", "-p", "tests", "--test", "cluster", "--locked"];
        counts += stage("clippy", || {
            let mut counts = check(&[&all[..], &deny].concat())?;
            counts += check(&[&cluster[..], &deny].concat())?;
            Ok(counts)
        })?;
    }
    if wishes.want("simulation") {
        let sim = ["run", "--quiet", "--locked", "--bin", "sim", "--"];
        counts += stage("simulation", || {
            check(&[&sim[..], &[SIMULATED_RUNS]].concat())
        })?;
    }
    if wishes.want("model") {
        let model = ["run", "--quiet", "--locked", "--bin", "model", "--", "test"];
        counts += stage("model", || check(&model))?;
    }
    if wishes.want("fuzz") {
        let fuzz = ["test", "-p", "inject", "--test", "fuzz", "--locked"];
        counts += stage("fuzz", || one(cargo(&fuzz).env("FUZZ_S", FUZZ_S)))?;
    }
    let stages_only = ["format", "clippy", "simulation", "model", "fuzz"]
        .map(Some)
        .contains(&wishes.only.as_deref());
    if !stages_only {
        let filter: Vec<&str> = wishes.only.as_deref().into_iter().collect();
        let units = ["test", "--workspace", "--locked", "--no-fail-fast", "--"];
        counts += stage("unit", || tests(&[&units[..], &filter].concat()))?;
        let real = ["test", "-p", "tests", "--test", "cluster", "--locked", "--"];
        let real = [&real[..], &filter].concat();
        counts += stage("real cluster", || cluster(&real))?;
    }
    Ok(conclude(&wishes, counts))
}

/// Runs a stage and says how long it took.
fn stage(name: &str, run: impl FnOnce() -> Result<Counts>) -> Result<Counts> {
    let started = Instant::now();
    println!("== {name}");
    let counts = run().with_context(|| format!("run the stage {name}"))?;
    println!(
        "== {name}: {}",
        progress::seconds(started.elapsed().as_millis())
    );
    Ok(counts)
}

/// A command of cargo that counts as one test.
fn check(args: &[&str]) -> Result<Counts> {
    one(&mut cargo(args))
}

/// A command that counts as one test.
fn one(command: &mut Command) -> Result<Counts> {
    let passed = command.status().context("start cargo")?.success();
    Ok(Counts {
        passed: passed.into(),
        failed: (!passed).into(),
        skipped: 0,
    })
}

/// A command of cargo that runs tests, and prints what they print.
fn tests(args: &[&str]) -> Result<Counts> {
    let mut child = cargo(args)
        .stdout(Stdio::piped())
        .spawn()
        .context("start cargo")?;
    let mut counts = Counts::default();
    for line in child
        .stdout
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(BufRead::lines)
    {
        let line = line.context("read the output of the tests")?;
        println!("{line}");
        counts += result(&line).unwrap_or_default();
    }
    let passed = child.wait().context("wait for the tests")?.success();
    if !passed && counts.failed == 0 {
        // They did not compile, or ended without a word.
        counts.failed = 1;
    }
    Ok(counts)
}

/// The tests on a real cluster, where there can be one.
fn cluster(args: &[&str]) -> Result<Counts> {
    if cfg!(target_os = "linux") && Uid::effective().is_root() {
        return tests(args);
    }
    println!("these need root on Linux and did not run:");
    let output = cargo(&[args, &["--list"]].concat())
        .output()
        .context("start cargo")?;
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    names.iter().for_each(|name| println!("  {name}"));
    Ok(Counts {
        skipped: names.len() as u64,
        ..Counts::default()
    })
}

fn cargo(args: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(project_root()).args(args);
    cargo
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
fn result(line: &str) -> Option<Counts> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |word: &str| {
        let named = numbers.split("; ").find_map(|part| part.strip_suffix(word));
        named
            .and_then(|number| number.trim().parse().ok())
            .unwrap_or(0)
    };
    Some(Counts {
        passed: count("passed"),
        failed: count("failed"),
        skipped: count("ignored"),
    })
}

/// Prints the last line and decides.
fn conclude(wishes: &Wishes, counts: Counts) -> ExitCode {
    let none = counts == Counts::default();
    if let (Some(only), true) = (&wishes.only, none) {
        println!("no test matches ONLY={only}");
    }
    let skip = counts.skipped > 0 && !wishes.skip_cluster;
    println!(
        "{} passed, {} failed, {} skipped",
        counts.passed, counts.failed, counts.skipped
    );
    if none || skip || counts.failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

#[cfg(test)]
mod tests_of_the_runner {
    use super::*;

    #[test]
    fn results_are_read_from_libtest() {
        let line = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 9 filtered out; \
                    finished in 0.01s";
        assert_eq!(
            result(line),
            Some(Counts {
                passed: 3,
                failed: 2,
                skipped: 1
            })
        );
        assert_eq!(result("running 3 tests"), None);
    }
}
