//! `kubectl active-passive`. See the library for how it works.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
