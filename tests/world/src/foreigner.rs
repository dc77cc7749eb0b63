//! A program of another kind that wants the same Lease: it does what client-go's leader election
//! does, with client-go's times. Whoever moves from one to the other has both for a while.
//!
//! Absent from it: faults of its own. It reaches the API server whenever that is up.

use super::clock::{MS, SECOND};
use super::coverage::Met;
use super::event::Event;
use super::world::World;
use election::Record;

/// What it writes as holder: no pod of the group is called so.
const NAME: &str = "client-go-peer";
/// LeaseDuration, milliseconds.
const LEASE_MS: u64 = 15_000;
/// RetryPeriod, microseconds.
const RETRY_US: u64 = 2 * SECOND;
/// It leads for RenewDeadline, counted from a try that begins up to RetryPeriod after the last
/// renewal, microseconds.
const LEADS_US: u64 = 12 * SECOND;

/// The program while it runs.
#[derive(Debug)]
pub(super) struct Foreigner {
    ends_us: u64,
    /// Whether it frees the Lease at its end.
    releases: bool,
    /// The record that it saw last, and when it saw it first.
    observed: Option<(Record, u64)>,
    /// It believes to lead before this.
    leads_until_us: u64,
}

impl World {
    /// Starts the program; where writes are fenced there is no place for it.
    pub(super) fn foreigner_starts(&mut self, for_ms: u64, releases: bool) {
        if self.settings.rules.fencing || self.foreigner.is_some() {
            return;
        }
        let ends_us = self.now_us + for_ms * MS;
        self.mark("foreigner", Met::Foreigner, None);
        // What it held when it ended has to expire, by the slowest clock.
        let drift_ms = LEASE_MS * 2 * self.settings.drift_ppm_max / 1_000_000;
        self.fault(ends_us + (LEASE_MS + drift_ms) * MS);
        self.foreigner = Some(Foreigner {
            ends_us,
            releases,
            observed: None,
            leads_until_us: 0,
        });
        self.queue.push(self.now_us, Event::Foreigner);
    }

    /// Whether the program believes to lead.
    pub(super) fn foreigner_leads(&self) -> bool {
        let foreigner = self.foreigner.as_ref();
        foreigner.is_some_and(|foreigner| self.now_us < foreigner.leads_until_us)
    }

    /// Its Lease was deleted: whoever starts after that cannot know that it may lead for longer than
    /// one of ours would, so what it believes from then on is not judged.
    pub(super) fn foreigner_is_erased(&mut self) {
        let now_us = self.now_us;
        if let Some(foreigner) = &mut self.foreigner {
            foreigner.leads_until_us = foreigner.leads_until_us.min(now_us);
        }
    }

    /// It looks at the Lease, and writes it if it may.
    pub(super) fn foreigner_looks(&mut self) {
        let now_us = self.now_us;
        let up = self.outage_until_us <= now_us;
        let record = self.api.lease().map(|lease| lease.record.clone());
        let Some(foreigner) = &mut self.foreigner else {
            return;
        };
        let own = record
            .as_ref()
            .is_some_and(|record| record.holder.as_deref() == Some(NAME));
        if now_us >= foreigner.ends_us {
            let releases = foreigner.releases && own && up;
            self.foreigner = None;
            if releases {
                let change = self.api.edit_lease(|record| record.holder = None);
                self.publish(change);
            }
            return;
        }
        let next_us = (now_us + RETRY_US + self.random.between(0, 200) * MS).min(foreigner.ends_us);
        self.queue.push(next_us, Event::Foreigner);
        let Some(record) = record.filter(|_| up) else {
            return;
        };
        if !own && !foreigner.may_take(&record, now_us) {
            return;
        }
        if own {
            self.run.coverage.met(Met::ForeignerRenewed);
        } else {
            self.run.coverage.met(Met::ForeignerTook);
        }
        foreigner.leads_until_us = now_us + LEADS_US;
        let change = self.api.edit_lease(|record| {
            record.term += u64::from(!own);
            record.holder = Some(NAME.to_owned());
            record.duration_ms = LEASE_MS;
            record.renew_time_us = now_us as i64;
        });
        self.publish(change);
    }
}

impl Foreigner {
    /// A Lease is free when nobody holds it, or when it has not changed for as long as it says.
    fn may_take(&mut self, record: &Record, now_us: u64) -> bool {
        let since_us = match &self.observed {
            Some((known, since_us)) if known == record => *since_us,
            _ => {
                self.observed = Some((record.clone(), now_us));
                now_us
            }
        };
        record.holder.is_none() || now_us >= since_us + record.duration_ms * MS
    }
}
