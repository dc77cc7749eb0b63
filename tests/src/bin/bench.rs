//! `make bench`.

use std::process::ExitCode;

use clap::Parser;
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
}

fn main() -> ExitCode {
    if let Some(code) = cluster::divert() {
        return code;
    }
    let args = Args::parse();
    // An empty variable is none.
    let runs = args.runs.filter(|runs| !runs.is_empty());
    let options = match runs.map(|runs| runs.parse()).transpose() {
        Ok(runs) => Options {
            only: args.only,
            runs,
        },
        Err(error) => {
            eprintln!("RUNS is a number: {error}");
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
            eprintln!("{failed} runs failed and are not in the results");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
