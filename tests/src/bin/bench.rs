//! `make bench`.

use std::process::ExitCode;

use clap::Parser;
use common::duration::parse_ms;
use tests::bench::{self, Options};
use tests::{cluster, progress};

/// Measures on a real cluster, and writes results/ and docs/results.md.
#[derive(Debug, Parser)]
struct Args {
    /// `<bench>` or `<bench>/<start of an event's name>`, several separated by commas.
    #[arg(long, env = "ONLY", default_value = "")]
    only: String,
    /// How often to do each event; the peer about half as often.
    #[arg(long, env = "RUNS")]
    runs: Option<String>,
    /// How long electors contend for one Lease, such as 3m; ten minutes without it.
    #[arg(long, env = "DURATION")]
    duration: Option<String>,
    /// What chance follows from, where electors contend; without it another one each time.
    #[arg(long, env = "SEED")]
    seed: Option<String>,
}

/// An empty variable is none.
fn given(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|value| !value.is_empty())
}

/// What the arguments ask for.
fn options(args: &Args) -> Result<Options, String> {
    let runs = given(args.runs.as_ref()).map(str::parse).transpose();
    let seed = given(args.seed.as_ref()).map(str::parse).transpose();
    let duration = given(args.duration.as_ref()).map(parse_ms).transpose();
    Ok(Options {
        only: args.only.clone(),
        runs: runs.map_err(|error| format!("RUNS is a number: {error}"))?,
        seed: seed.map_err(|error| format!("SEED is a number: {error}"))?,
        duration_ms: duration.map_err(|error| format!("DURATION: {error}"))?,
    })
}

fn main() -> ExitCode {
    if let Some(code) = cluster::divert() {
        return code;
    }
    let args = Args::parse();
    let options = match options(&args) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let result = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(bench::run(&options)),
        Err(error) => Err(cluster::Error::new("start the bench", error)),
    };
    progress::leave();
    match result {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("{failed} runs failed, as said above");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
