//! A certificate of somebody else, whose authority has changed.
//!
//! cert-manager puts the next authority in the place of the last one, and in the same write a
//! certificate that it has signed. API servers learn of it a moment later. So for a while both
//! authorities are published, and what was served before is served until API servers know both.
//!
//! Every replica ends that at one time, which follows from the certificate: one that starts meanwhile,
//! and knows only the next authority, leaves the last one where it finds it.

use crate::certificate::bundle::Served;
use rustls::RootCertStore;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// From when both are published to when the next certificate is served: API servers watch.
pub(super) const LEARNED: Duration = Duration::from_secs(10);
/// From when a certificate begins to when its authority stands alone, seconds.
const OVERLAP_S: i64 = 120;

/// Until when the authority of a certificate may have another beside it; none: nobody waits for it.
pub(super) fn settles_at(not_before_s: i64, now_s: i64) -> Option<Instant> {
    let left_s = not_before_s.saturating_add(OVERLAP_S).checked_sub(now_s)?;
    let left_s = u64::try_from(left_s).ok().filter(|left_s| *left_s > 0)?;
    // A clock that is behind does not make it longer.
    let left_s = left_s.min(OVERLAP_S.unsigned_abs());
    Some(Instant::now() + Duration::from_secs(left_s))
}

/// What is served first of a Secret that has become `next`: with `later` and its `later` after it.
pub(super) fn begin(before: Option<&Served>, next: Served, now_s: i64) -> Arc<Served> {
    let next = Arc::new(next);
    let overlaps = |before: &&Served| {
        next.settles_at.is_some()
            && before.later.is_none()
            && before.is_valid(now_s)
            && before.bundle != next.bundle
    };
    let Some(before) = before.filter(overlaps) else {
        return next;
    };
    let mut roots = RootCertStore::clone(&next.roots);
    roots.extend(before.roots.roots.iter().cloned());
    let roots = Arc::new(roots);
    let bundle = [next.bundle.as_slice(), b"\n", &before.bundle].concat();
    let step = |shown: &Served, later: Arc<Served>| {
        Arc::new(Served {
            data: next.data.clone(),
            bundle: bundle.clone(),
            key: shown.key.clone(),
            roots: roots.clone(),
            ca: shown.ca,
            leaf: shown.leaf,
            rotation: next.rotation,
            settles_at: next.settles_at,
            later: Some(later),
        })
    };
    step(before, step(&next, next.clone()))
}

impl Served {
    /// What is to be served now, if that is something else. `published` is how long API servers have
    /// been told of what is served.
    pub(super) fn follows(&self, published: Option<Duration>) -> Option<Arc<Self>> {
        let later = self.later.as_ref()?;
        let due = if later.later.is_some() {
            published.is_some_and(|published| published >= LEARNED)
        } else {
            !self.settles()
        };
        due.then(|| later.clone())
    }

    /// Whether the authority may have another beside it.
    pub fn settles(&self) -> bool {
        self.settles_at.is_some_and(|end| Instant::now() < end)
    }

    /// Whether an entry with this `caBundle` has the authority: alone, or for a while beside another,
    /// which a replica may have put there that was here before.
    pub fn is_published_as(&self, found: &[u8]) -> bool {
        let ca = self.ca_bundle();
        let among = || self.settles() && found.windows(ca.len()).any(|part| part == ca);
        found == ca || among()
    }
}
