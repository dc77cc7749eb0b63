//! The signals that end a program.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, registered. Make one before anything else: a signal that arrives earlier
/// kills the process.
#[derive(Debug)]
pub struct Shutdown {
    term: Signal,
    interrupt: Signal,
}

impl Shutdown {
    /// Registers for both signals.
    ///
    /// # Errors
    /// If the kernel refuses the registration.
    pub fn register() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns when either signal has arrived. Cancel-safe.
    pub async fn requested(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
