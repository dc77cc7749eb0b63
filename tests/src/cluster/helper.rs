//! Small processes that this program starts from its own executable.
//!
//! A namespace needs a first process, a port needs a relay: each is a subcommand that every
//! program of this crate answers to, so that no second executable has to be found.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use super::{detour, enter, error::Error, keeper, namespace, relay};
use crate::load;

const HELPER: &str = "--cluster-helper";

/// First line of `main`, before any thread exists: runs a helper if this process is one.
#[must_use]
pub fn divert() -> Option<ExitCode> {
    let mut args = std::env::args().skip(1);
    if args.next()? != HELPER {
        return None;
    }
    let name = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    let result = match name.as_str() {
        keeper::HELPER => keeper::run(&args),
        namespace::CREATE => namespace::create(&args),
        namespace::INIT => namespace::init(&args),
        enter::HELPER => enter::run(&args),
        enter::LAUNCH => enter::launch(&args),
        relay::HELPER => relay::run(&args),
        detour::HELPER => detour::run(&args),
        load::HELPER => load::run(&args),
        _ => Err(Error::new(
            "start a helper",
            format!("there is none named {name:?}"),
        )),
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    })
}

/// Arguments that make this executable run the helper `name`.
pub(crate) fn arguments(name: &str) -> [OsString; 2] {
    [HELPER.into(), name.into()]
}

/// Command that runs the helper `name`. Also works after the executable was replaced on disk.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(EXECUTABLE);
    command.args(arguments(name));
    command
}

/// The running program.
pub(crate) const EXECUTABLE: &str = "/proc/self/exe";
