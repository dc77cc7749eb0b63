//! The admission webhook of active-passive.

use clap::Parser;
use std::process::ExitCode;
use webhook::args::Args;
use webhook::run::{RunError, run};

fn main() -> ExitCode {
    let args = Args::parse();
    common::telemetry::start(&args.log);
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the program cannot go on");
            ExitCode::FAILURE
        }
    }
}

/// Two threads: a review takes a fraction of a millisecond, and one must be free while another
/// handshakes.
fn serve(args: Args) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    runtime.block_on(run(args))
}
