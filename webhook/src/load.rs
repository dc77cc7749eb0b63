//! How much is worked on at once, in bytes rather than requests: a review may have 7 MiB, and grows
//! several times over while it is parsed.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Largest body that is read: an object of 3 MiB twice, and the review around it.
pub const BODY_BYTES_MAX: usize = 7 * 1024 * 1024;
/// What an ordinary review counts as.
const UNIT_BYTES: usize = 256 * 1024;
/// Longest wait for room.
const WAIT: Duration = Duration::from_secs(2);

/// The room for reviews.
#[derive(Debug, Clone)]
pub struct Load {
    units: Arc<Semaphore>,
    units_max: u32,
}

/// There was no room in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many reviews at once")]
pub struct Full;

impl Load {
    /// Room for this many ordinary reviews.
    pub fn new(reviews_max: u32) -> Self {
        Self {
            units: Arc::new(Semaphore::new(reviews_max as usize)),
            units_max: reviews_max,
        }
    }

    /// Room for a review of this size, until the answer is dropped. A body of unknown length counts
    /// as the largest.
    ///
    /// # Errors
    /// [`Full`] after 2 s.
    pub async fn enter(&self, length_bytes: Option<usize>) -> Result<OwnedSemaphorePermit, Full> {
        let length_bytes = length_bytes.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX);
        let units = u32::try_from(length_bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let units = units.clamp(1, self.units_max);
        let entered = timeout(WAIT, self.units.clone().acquire_many_owned(units)).await;
        entered.ok().and_then(Result::ok).ok_or(Full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_reviews_count_as_several() {
        let load = Load::new(30);
        let large = load.enter(Some(BODY_BYTES_MAX)).await.unwrap();
        let small = load.enter(Some(1)).await.unwrap();
        let another = load.enter(Some(UNIT_BYTES)).await.unwrap();
        assert_eq!(load.enter(Some(1)).await.unwrap_err(), Full);
        drop(large);
        let unknown = load.enter(None).await.unwrap();
        drop((small, another, unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn a_review_larger_than_the_room_takes_all_of_it() {
        let load = Load::new(2);
        let all = load.enter(Some(BODY_BYTES_MAX)).await.unwrap();
        assert_eq!(load.enter(Some(1)).await.unwrap_err(), Full);
        drop(all);
    }
}
