//! Progress lines on standard error, for what takes long.

use std::io::IsTerminal;
use std::time::Instant;

/// Says that something long begins; [`Step::done`] says how long it took.
#[must_use]
#[derive(Debug)]
pub struct Step {
    what: String,
    started: Instant,
}

/// Says that `what` begins.
pub fn step(what: impl Into<String>) -> Step {
    let what = what.into();
    line(&format!("{what} ..."));
    Step {
        what,
        started: Instant::now(),
    }
}

impl Step {
    /// Says that it has ended and after how long.
    pub fn done(self) {
        let elapsed_ms = self.started.elapsed().as_millis();
        line(&format!("{} done in {}", self.what, seconds(elapsed_ms)));
    }
}

/// Milliseconds as a person reads them.
#[must_use]
pub fn seconds(elapsed_ms: u128) -> String {
    format!("{}.{} s", elapsed_ms / 1000, elapsed_ms % 1000 / 100)
}

/// One line of progress.
pub fn line(text: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("\x1b[2m{text}\x1b[0m");
    } else {
        eprintln!("{text}");
    }
}
