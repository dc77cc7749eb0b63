//! Progress on standard error, for what takes long: on a terminal one line that counts the seconds.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is over sooner is not worth a line, milliseconds.
const BRIEF_MS: u64 = 1_000;
/// Without a terminal, what took longer has a second line that says how long, milliseconds.
const LONG_MS: u128 = 10_000;

/// The step whose line is the last on the terminal, and may be drawn again.
static DRAWN: Mutex<Option<u64>> = Mutex::new(None);
static STEPS: AtomicU64 = AtomicU64::new(0);

/// Something long that has begun; [`Step::done`] says how long it took.
#[must_use]
#[derive(Debug)]
pub struct Step {
    what: String,
    started: Instant,
    id: u64,
    brief: bool,
    /// Dropping it ends the thread that counts.
    _counts: Sender<()>,
}

/// Says that `what` begins.
pub fn step(what: impl Into<String>) -> Step {
    begin(what.into(), false)
}

/// Like [`step`], but says nothing of what is over within a second.
pub fn brief(what: impl Into<String>) -> Step {
    begin(what.into(), true)
}

fn begin(what: String, brief: bool) -> Step {
    let (started, id) = (Instant::now(), STEPS.fetch_add(1, Ordering::Relaxed));
    let terminal = std::io::stderr().is_terminal();
    if !brief {
        announce(&what, id, terminal);
    }
    let (counts, ended) = channel::<()>();
    let text = what.clone();
    std::thread::spawn(move || {
        let mut announced = !brief;
        let second = Duration::from_millis(BRIEF_MS);
        while ended.recv_timeout(second) == Err(RecvTimeoutError::Timeout) {
            if !announced {
                announce(&text, id, terminal);
                announced = true;
            } else if terminal && *drawn() == Some(id) {
                draw(&format!("{text} ... {} s", started.elapsed().as_secs()));
            }
        }
    });
    Step {
        what,
        started,
        id,
        brief,
        _counts: counts,
    }
}

fn announce(what: &str, id: u64, terminal: bool) {
    let mut drawn = drawn();
    if !terminal {
        eprintln!("{what} ...");
        return;
    }
    if drawn.replace(id).is_some() {
        eprintln!();
    }
    draw(&format!("{what} ..."));
}

impl Step {
    /// Says that it has ended and after how long.
    pub fn done(self) {
        let elapsed_ms = self.started.elapsed().as_millis();
        let took = seconds(elapsed_ms);
        let mut drawn = drawn();
        if !std::io::stderr().is_terminal() {
            if elapsed_ms > LONG_MS {
                eprintln!("{}: done in {took}", self.what);
            }
        } else if *drawn == Some(self.id) {
            draw(&format!("{}: {took}\n", self.what));
            *drawn = None;
        } else if !self.brief {
            drop(drawn);
            line(&format!("{}: {took}", self.what));
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let mut drawn = drawn();
        if *drawn == Some(self.id) {
            eprintln!();
            *drawn = None;
        }
    }
}

/// Milliseconds as a person reads them.
#[must_use]
pub fn seconds(elapsed_ms: u128) -> String {
    format!("{}.{} s", elapsed_ms / 1000, elapsed_ms % 1000 / 100)
}

/// One line of progress.
pub fn line(text: &str) {
    leave();
    if std::io::stderr().is_terminal() {
        draw(&format!("{text}\n"));
    } else {
        eprintln!("{text}");
    }
}

/// Ends the line that counts, if there is one, before something else is printed.
pub fn leave() {
    if drawn().take().is_some() {
        eprintln!();
    }
}

fn draw(text: &str) {
    let (text, end) = match text.strip_suffix('\n') {
        Some(text) => (text, "\n"),
        None => (text, ""),
    };
    let (dim, plain) = match std::env::var_os("NO_COLOR") {
        Some(_) => ("", ""),
        None => ("\x1b[2m", "\x1b[0m"),
    };
    eprint!("\r\x1b[K{dim}{text}{plain}{end}");
}

/// Nobody panics while holding it.
fn drawn() -> MutexGuard<'static, Option<u64>> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}
