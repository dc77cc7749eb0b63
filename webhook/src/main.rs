//! The admission webhook of active-passive.

use clap::Parser;
use std::process::ExitCode;
use webhook::args::Args;
use webhook::run::{RunError, run};

/// A review is some hundred small pieces of memory, made and given back. The C library's allocator,
/// which is made to be small, spends more time on them than all else together.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

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

/// One thread: a review takes a fraction of a millisecond, a large one a few, and nothing is
/// gained by handing them from one thread to another.
fn serve(args: Args) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    runtime.block_on(run(args))
}
