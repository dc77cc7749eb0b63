//! The one error of the harness: what failed, why, the end of its log, and the cure.

use std::fmt;
use std::path::Path;

/// Lines of a log that an error shows.
const LOG_TAIL_LINES: usize = 20;

/// A step of the harness that failed.
#[derive(Debug)]
pub struct Error {
    action: String,
    cause: String,
    log: Option<String>,
    cure: Option<String>,
}

/// Result of a step of the harness.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `action` as in "start etcd", `cause` as in "exit status: 1".
    pub fn new(action: impl Into<String>, cause: impl fmt::Display) -> Self {
        Self {
            action: action.into(),
            cause: cause.to_string(),
            log: None,
            cure: None,
        }
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    /// Adds `text` before what was said so far, and keeps the last lines.
    #[must_use]
    pub fn output(mut self, text: &str) -> Self {
        let said = self.log.unwrap_or_default();
        let all = tail(&format!("{}\n{said}", text.trim_end()));
        self.log = Some(all).filter(|all| !all.is_empty());
        self
    }

    /// Adds what the reader can do about it, unless that is known already.
    #[must_use]
    pub fn or_cure(mut self, cure: impl Into<String>) -> Self {
        self.cure.get_or_insert_with(|| cure.into());
        self
    }

    /// Adds the last lines of the log file at `path`, if there is one.
    #[must_use]
    pub fn log(self, path: &Path) -> Self {
        match std::fs::read(path) {
            Ok(bytes) if !bytes.is_empty() => self.output(&String::from_utf8_lossy(&bytes)),
            _ => self,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}: {}", self.action, self.cause)?;
        if let Some(log) = &self.log {
            write!(f, "\n{log}")?;
        }
        if let Some(cure) = &self.cure {
            write!(f, "\ncure: {cure}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Names the action that an error of another kind interrupted.
pub trait Doing<T> {
    /// `action` as in [`Error::new`].
    ///
    /// # Errors
    /// The original error, under the name of the action.
    fn doing(self, action: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::new(action(), error))
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_start_matches('\n').trim_end().lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
