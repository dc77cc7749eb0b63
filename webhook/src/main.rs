//! The admission webhook of active-passive.

use clap::Parser;
use memory::allocator::{Allocator, keep_in_this_thread};
use std::error::Error;
use std::process::ExitCode;
use webhook::args::Args;
use webhook::run::{RunError, run};
use webhook::task::Task;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    keep_in_this_thread();
    match asked() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the program cannot go on");
            ExitCode::FAILURE
        }
    }
}

/// An errand, or else the server.
fn asked() -> Result<(), Box<dyn Error>> {
    if let Some(task) = Task::asked() {
        common::telemetry::start("info");
        return Ok(runtime()?.block_on(task.run())?);
    }
    let args = Args::parse();
    common::telemetry::start(&args.log);
    Ok(runtime()?.block_on(run(args))?)
}

/// One thread; reviews are answered in others, each of which has a runtime of its own.
fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().map_err(RunError::Runtime)
}
