//! The process that sends from the hub of a cluster.

use std::io::{Read, stdout};

use example_app::load;
use tokio::sync::oneshot;

use super::LoadOptions;
use crate::clock;
use crate::cluster::{Doing, Error, Result};

/// Helper: its argument are [`LoadOptions`] as JSON. Prints a [`load::Line`] a line.
pub(crate) const HELPER: &str = "load";

/// Sends until standard input ends.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let action = || "send load".to_string();
    let [options] = args else {
        return Err(Error::new(action(), "one argument is needed"));
    };
    let options: LoadOptions = serde_json::from_str(options).doing(action)?;
    let (stop, stopped) = oneshot::channel();
    std::thread::spawn(move || {
        let _ended = std::io::stdin().read_to_end(&mut Vec::new());
        stop.send(()).unwrap_or_default();
    });
    let stopped = async { stopped.await.unwrap_or_default() };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing(action)?
        .block_on(load::run(&options, clock::now_ms, stopped, &mut stdout()))
        .doing(action)
}
