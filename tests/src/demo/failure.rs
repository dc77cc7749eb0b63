//! How a demo ends that does not reach its end.

use std::fmt;
use std::time::Duration;

use common::shutdown::Shutdown;
use tokio::time::timeout;

use crate::cluster::Error;

/// Why the demo ended early.
#[derive(Debug)]
pub enum Failure {
    /// Somebody pressed Ctrl-C, or sent SIGTERM. What was started has been ended.
    Interrupted,
    /// A step failed.
    Step {
        /// Which, as in "start the cluster".
        step: &'static str,
        /// Why, with the end of its log and the cure.
        error: Error,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => write!(f, "interrupted: everything that was started has ended"),
            Self::Step { step, error } => write!(f, "failed step: {step}\n{error}"),
        }
    }
}

/// A terminal's Ctrl-C also reaches the programs that were started, and the failure of one of them
/// may be seen before the own signal, milliseconds.
const SIGNAL_MS: u64 = 300;

/// Does `work` unless a signal ends it.
pub(super) async fn unless_interrupted<T>(
    shutdown: &mut Shutdown,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let result = tokio::select! {
        biased;
        () = shutdown.requested() => Err(Failure::Interrupted),
        result = work => result,
    };
    let signal = Duration::from_millis(SIGNAL_MS);
    match result {
        Err(Failure::Step { .. }) if timeout(signal, shutdown.requested()).await.is_ok() => {
            Err(Failure::Interrupted)
        }
        result => result,
    }
}

/// Names the step that failed.
pub(super) trait InStep<T> {
    /// `cure` is what helps where the error does not know better.
    fn in_step(self, step: &'static str, cure: &str) -> Result<T, Failure>;
}

impl<T> InStep<T> for Result<T, Error> {
    fn in_step(self, step: &'static str, cure: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::Step {
            step,
            error: error.or_cure(cure),
        })
    }
}
