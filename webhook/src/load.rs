//! How much is worked on at once.
//!
//! Ordinary reviews are counted, and enter once their body is there: a client that sends slowly
//! takes no room. Large ones may have 7 MiB each; they enter before their body is read, by bytes,
//! and wait in a queue of their own: however many there are, ordinary ones are answered.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Largest body that is read: an object of 3 MiB twice, and the review around it.
pub const BODY_BYTES_MAX: usize = 7 * 1024 * 1024;
/// Largest body of an ordinary review. As many as there may be connections are read at once.
pub const ORDINARY_BYTES_MAX: usize = 64 * 1024;
/// Bodies of large reviews that are in memory at once. One thread works on them one after the other,
/// so more would only be memory, which the allocator keeps.
const LARGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// In which steps large bodies are counted.
const UNIT_BYTES: usize = 64 * 1024;
/// Longest wait of an ordinary review for room. Large ones wait as long as their clients do.
const WAIT: Duration = Duration::from_secs(2);

// One body of the largest size always fits.
const _: () = assert!(BODY_BYTES_MAX < LARGE_BYTES_MAX);

/// The room for reviews.
#[derive(Debug, Clone)]
pub struct Load {
    ordinary: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// There was no room in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many reviews at once")]
pub struct Full;

impl Load {
    /// Room for this many ordinary reviews, and for large ones beside them.
    pub fn new(reviews_max: u32) -> Self {
        Self {
            ordinary: Arc::new(Semaphore::new(reviews_max as usize)),
            large: Arc::new(Semaphore::new(LARGE_BYTES_MAX / UNIT_BYTES)),
        }
    }

    /// Whether a review of this length is an ordinary one. One of unknown length is not.
    pub fn is_ordinary(length_bytes: Option<usize>) -> bool {
        length_bytes.is_some_and(|bytes| bytes <= ORDINARY_BYTES_MAX)
    }

    /// Room for a review of this size, until the permit is dropped. A body of unknown length counts
    /// as the largest.
    ///
    /// # Errors
    /// [`Full`] after 2 s, for an ordinary review.
    pub async fn enter(&self, length_bytes: Option<usize>) -> Result<OwnedSemaphorePermit, Full> {
        if Self::is_ordinary(length_bytes) {
            let entered = timeout(WAIT, self.ordinary.clone().acquire_owned()).await;
            return entered.ok().and_then(Result::ok).ok_or(Full);
        }
        let length_bytes = length_bytes.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX);
        let units = u32::try_from(length_bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let entered = self.large.clone().acquire_many_owned(units).await;
        entered.map_err(|_| Full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test(start_paused = true)]
    async fn ordinary_reviews_are_counted() {
        let load = Load::new(1);
        let first = load.enter(Some(ORDINARY_BYTES_MAX)).await.unwrap();
        assert_eq!(load.enter(Some(1)).await.unwrap_err(), Full);
        drop(first);
        assert!(load.enter(Some(1)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn large_reviews_queue_and_leave_room_for_ordinary_ones() {
        let load = Load::new(1);
        let largest = load.enter(None).await.unwrap();
        let beside = load.enter(Some(UNIT_BYTES * 16)).await.unwrap();
        let mut waits = Box::pin(load.enter(Some(UNIT_BYTES + 1)));
        assert!((&mut waits).now_or_never().is_none());
        assert!(load.enter(Some(1)).await.is_ok());
        drop((largest, beside));
        assert!(waits.await.is_ok());
    }
}
