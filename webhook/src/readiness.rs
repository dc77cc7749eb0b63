//! Whether reviews should be sent here, and if not, what is missing.

use std::sync::Mutex;

/// What must hold before reviews are sent here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A valid certificate is served.
    Certificate,
    /// The API server is told to trust its authority.
    Configuration,
    /// A handshake with ourselves, by that trust, has worked.
    Handshake,
    /// The API server lets us do what we must.
    Rights,
    /// Policies are known: a pod made before gets what they say.
    Policies,
}

const PARTS: [Part; 5] = [
    Part::Certificate,
    Part::Configuration,
    Part::Handshake,
    Part::Rights,
    Part::Policies,
];

/// The state of all parts, and whether the program is about to end.
#[derive(Debug, Default)]
pub struct Readiness {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    done: [bool; PARTS.len()],
    ending: bool,
}

impl Readiness {
    /// Notes whether `part` holds.
    pub fn set(&self, part: Part, holds: bool) {
        let mut state = self.lock();
        let index = part as usize;
        if state.done[index] != holds {
            state.done[index] = holds;
            tracing::info!(?part, holds, "readiness");
        }
    }

    /// From now on nothing shall be sent here any more; requests that come are still answered.
    pub fn end(&self) {
        self.lock().ending = true;
    }

    /// Whether [`Readiness::end`] was called.
    pub fn is_ending(&self) -> bool {
        self.lock().ending
    }

    /// What is missing; empty: ready.
    pub fn missing(&self) -> Vec<&'static str> {
        let state = self.lock();
        let parts = PARTS
            .into_iter()
            .filter(|part| !state.done[*part as usize])
            .map(|part| match part {
                Part::Certificate => "no valid certificate yet",
                Part::Configuration => "the webhook configuration does not carry our authority yet",
                Part::Handshake => "no handshake with ourselves has worked yet",
                Part::Rights => "rights are missing, which the log names",
                Part::Policies => "the policies have not been listed yet",
            });
        state
            .ending
            .then_some("the program is ending")
            .into_iter()
            .chain(parts)
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is valid after every statement: a panic elsewhere does not spoil it.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_nothing_is_missing() {
        let readiness = Readiness::default();
        assert_eq!(readiness.missing().len(), PARTS.len());
        for part in PARTS {
            readiness.set(part, true);
        }
        assert!(readiness.missing().is_empty());
        readiness.end();
        assert_eq!(readiness.missing(), ["the program is ending"]);
    }
}
