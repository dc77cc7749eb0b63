//! Looks out for the API server while nobody has an answer from it.
//!
//! Waits between tries grow, and a try on a connection whose first packet was lost hears nothing for a
//! second: after a partition, either could be all that is under way. So as long as nothing is answered,
//! a small read on a connection of its own begins at a steady pace, whatever became of the last one.
//! The first answer ends all waits; see [`Contact`]. One of 429 or 5xx is an answer as well: who waits
//! because of such an answer goes on waiting.

use crate::api::Api;
use crate::config::Config;
use crate::contact::Contact;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// From one look to the next, milliseconds.
const LOOK_EVERY_MS: u64 = 500;
/// Longest time of a look, milliseconds: a server half a second away answers on a new connection. So
/// four are under way at most.
const LOOK_MS_MAX: u64 = 2_000;

/// Looks out from now on, by reading the Lease.
pub(crate) fn start(contact: &Arc<Contact>, config: &Config, api: &Api) {
    let api = api.clone();
    let look = move || api.connect();
    tokio::spawn(keep(contact.clone(), config.params.jitter_seed, look));
}

/// Looks out whenever contact is lost, for good. `seed` differs from pod to pod; `look` asks for
/// something small, and says whether there was an answer.
pub(crate) async fn keep<F>(contact: Arc<Contact>, seed: u64, look: impl Fn() -> F)
where
    F: Future<Output = bool> + Send + 'static,
{
    // All pods that lose an API server at once look at different times.
    let first = Duration::from_millis(LOOK_EVERY_MS / 2 + seed % (LOOK_EVERY_MS / 2));
    loop {
        contact.gone().await;
        let mut looks = JoinSet::new();
        let every = Duration::from_millis(LOOK_EVERY_MS);
        let mut pace = interval_at(Instant::now() + first, every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while contact.is_lost() {
            tokio::select! {
                _ = pace.tick() => {
                    if contact.is_lost() {
                        looks.spawn(timeout(Duration::from_millis(LOOK_MS_MAX), look()));
                    }
                }
                Some(answered) = looks.join_next(), if !looks.is_empty() => {
                    if let Ok(Ok(true)) = answered {
                        contact.made();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
