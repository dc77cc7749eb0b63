//! The admission webhook of active-passive.

use clap::Parser;
use webhook::args::Args;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    common::telemetry::start(&args.log);
    // Two threads: a review takes a tenth of a millisecond, and one thread must be free while
    // another handshakes.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(webhook::run::run(args))?;
    Ok(())
}
