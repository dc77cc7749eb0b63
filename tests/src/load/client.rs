//! The process that sends.

use std::io::{Read, Write};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::LoadOptions;
use super::request::{Request, send};
use crate::cluster::{Doing, Error, Result};

/// Helper: its argument are [`LoadOptions`] as JSON. Prints a [`Request`] a line.
pub(crate) const HELPER: &str = "load";
/// More than any rate and timeout that make sense.
const IN_FLIGHT_MAX: usize = 10_000;

/// Sends until standard input ends.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let action = || "send load".to_string();
    let [options] = args else {
        return Err(Error::new(action(), "one argument is needed"));
    };
    let options: LoadOptions = serde_json::from_str(options).doing(action)?;
    let (stop, stopped) = mpsc::channel(1);
    std::thread::spawn(move || {
        let _ended = std::io::stdin().read_to_end(&mut Vec::new());
        let _stopped = stop.blocking_send(());
    });
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing(action)?
        .block_on(send_all(&options, stopped))
        .doing(action)
}

async fn send_all(options: &LoadOptions, mut stopped: mpsc::Receiver<()>) -> std::io::Result<()> {
    let mut ticks = interval(Duration::from_secs(1) / options.rate_per_s.max(1));
    // A late client sends what it missed at once: the rate holds.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = stopped.recv() => break,
            Some(request) = requests.join_next() => write(request)?,
            _ = ticks.tick(), if requests.len() < IN_FLIGHT_MAX => {
                requests.spawn(send(options.address.clone(), options.timeout_ms));
            }
        }
    }
    while let Some(request) = requests.join_next().await {
        write(request)?;
    }
    Ok(())
}

fn write(request: Result<Request, tokio::task::JoinError>) -> std::io::Result<()> {
    let line = serde_json::to_string(&request?)?;
    writeln!(std::io::stdout(), "{line}")
}
