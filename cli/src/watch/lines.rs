//! A line a change, for pipes and logs.

use super::teller::{Teller, Told};
use crate::failure::Failure;
use crate::live::Snapshot;
use crate::visible;
use k8s_openapi::jiff::Timestamp;
use std::io::Write;
use std::sync::Arc;
use tokio::sync::watch;

/// Prints what changes until it is ended, or nobody reads.
pub(super) async fn run(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    group: Option<String>,
) -> Result<String, Failure> {
    let mut teller = Teller::new(group);
    loop {
        // Both are cancel-safe.
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() {
                return Ok(String::new());
            },
            _ = tokio::signal::ctrl_c() => return Ok(String::new()),
        }
        let snapshot = snapshots.borrow_and_update().clone();
        let text = lines(&teller.tell(&snapshot), Timestamp::now());
        let mut out = std::io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if written.is_err() {
            // `| head` has enough.
            return Ok(String::new());
        }
    }
}

fn lines(told: &[Told], now: Timestamp) -> String {
    let at = now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
    let line = |told: &Told| {
        let about = visible::line(told.about.as_deref().unwrap_or("note:"));
        format!("{at} {about} {}\n", visible::line(&told.text))
    };
    told.iter().map(line).collect()
}

#[cfg(test)]
mod tests;
