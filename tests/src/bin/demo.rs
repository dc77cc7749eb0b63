//! `make demo`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::FalseyValueParser;
use tests::cluster;
use tests::demo::{self, Options};

/// Shows one active pod of three moving around on a real cluster.
#[derive(Debug, Parser)]
struct Args {
    /// Leave the cluster running, and print the line that makes kubectl use it.
    #[arg(long, env = "KEEP", value_parser = FalseyValueParser::new())]
    keep: bool,
    /// Write the summary there, for programs.
    #[arg(long, env = "JSON")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    if let Some(code) = cluster::divert() {
        return code;
    }
    let Args { keep, json } = Args::parse();
    let result = tokio::runtime::Runtime::new()
        .map_err(|error| cluster::Error::new("start the demo", error))
        .and_then(|runtime| runtime.block_on(demo::run(&Options { keep, json })));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
