//! What this sidecar says about itself: one value, written by the driver alone, which the HTTP
//! server, the role file and the notifications read.
//!
//! Whether this pod leads is never stored: readers ask [`Published::leads`] with the time.

use election::{Elector, Mono, Peer, Role, Standing};
use tokio::sync::watch;

/// The state after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// Where this pod stands. Its role may have run out since; see [`Published::leads`].
    pub(crate) standing: Standing,
    /// holderIdentity of the Lease.
    pub(crate) holder: Option<String>,
    /// The group.
    pub(crate) peers: Vec<Peer>,
    /// When the Lease was first seen as it is.
    pub(crate) observed_since: Option<Mono>,
    /// When this pod last had the role or traffic, if it has neither now.
    pub(crate) left_at: Option<Mono>,
    /// How often the role came or went.
    pub(crate) transitions: u64,
    /// How long nobody led.
    pub(crate) leaderless: Leaderless,
}

/// How long nobody led, as far as this pod could see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Leaderless {
    ended_ms: u64,
    since: Option<Mono>,
}

impl Leaderless {
    /// All of it until `now`, milliseconds.
    pub(crate) fn total_ms(self, now: Mono) -> u64 {
        self.ended_ms + self.since.map_or(0, |since| now.ms_since(since))
    }

    /// `since`: when the present time without a leader began; `None`: somebody leads.
    #[must_use]
    fn noted(self, now: Mono, since: Option<Mono>) -> Self {
        match (self.since, since) {
            (Some(_), Some(_)) => self,
            (_, None) => Self {
                ended_ms: self.total_ms(now),
                since,
            },
            (None, Some(_)) => Self { since, ..self },
        }
    }
}

impl Published {
    /// What is said before the first step.
    pub(crate) fn nothing() -> Self {
        Self {
            standing: Standing {
                role: Role::Starting,
                term: 0,
                valid_until: Mono::ZERO,
                holds_traffic: false,
                finished: false,
            },
            holder: None,
            peers: Vec::new(),
            observed_since: None,
            left_at: None,
            transitions: 0,
            leaderless: Leaderless::default(),
        }
    }

    /// Whether this pod leads at `now`. True is a promise; the driver may be late, the time is not.
    pub(crate) fn leads(&self, now: Mono) -> bool {
        self.standing.role.leads() && now < self.standing.valid_until
    }

    /// The own role and its term, which a passive pod has none of: that of somebody else's role is
    /// no change of this one. What events and notifications tell changes of.
    pub(crate) fn own_role(&self, now: Mono) -> (&'static str, u64) {
        let term = if self.leads(now) {
            self.standing.term
        } else {
            0
        };
        (self.role(now), term)
    }

    /// How long the role is still valid, milliseconds; 0 without it.
    pub(crate) fn valid_for_ms(&self, now: Mono) -> u64 {
        if self.leads(now) {
            self.standing.valid_until.ms_since(now)
        } else {
            0
        }
    }

    /// `active` or `passive`.
    pub(crate) fn role(&self, now: Mono) -> &'static str {
        if self.leads(now) { ACTIVE } else { PASSIVE }
    }

    /// Since when nobody leads at `now`, if that is so: the Lease is free, or has not changed for
    /// as long as it is valid. Nothing is known before it was seen.
    fn leaderless_since(&self, now: Mono, lease_duration_ms: u64) -> Option<Mono> {
        let seen_at = self.observed_since.filter(|_| !self.leads(now))?;
        let from = match self.holder {
            None => seen_at,
            Some(_) => seen_at + lease_duration_ms,
        };
        (from <= now).then_some(from)
    }

    /// Whether the role or traffic is here at `now`.
    fn serves(&self, now: Mono) -> bool {
        self.leads(now) || self.standing.holds_traffic
    }
}

/// The role of the leader, in HTTP answers, files and notifications.
pub(crate) const ACTIVE: &str = "active";
/// The role of every other pod.
pub(crate) const PASSIVE: &str = "passive";

/// The writing end.
pub(crate) struct Publisher {
    sender: watch::Sender<Published>,
    lease_duration_ms: u64,
}

impl Publisher {
    pub(crate) fn new(lease_duration_ms: u64) -> Self {
        Self {
            sender: watch::Sender::new(Published::nothing()),
            lease_duration_ms,
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Published> {
        self.sender.subscribe()
    }

    /// Says what a step has changed. Readers are woken only by changes.
    pub(crate) fn publish(&mut self, now: Mono, elector: &Elector, standing: Standing) {
        let mut changed = None;
        let lease_duration_ms = self.lease_duration_ms;
        self.sender.send_if_modified(|old| {
            let mut new = Published {
                standing,
                holder: elector.holder().map(str::to_owned),
                peers: elector.peers(),
                observed_since: old.observed_since,
                left_at: old.left_at,
                transitions: old.transitions,
                leaderless: old.leaderless,
            };
            let observed_age_ms = elector.observed_age_ms(now);
            if old.observed_since.map(|since| now.ms_since(since)) != observed_age_ms {
                new.observed_since =
                    observed_age_ms.map(|ms| Mono::from_ms(now.as_ms().saturating_sub(ms)));
            }
            let leaderless_since = new.leaderless_since(now, lease_duration_ms);
            new.leaderless = new.leaderless.noted(now, leaderless_since);
            if new.serves(now) {
                new.left_at = None;
            } else if old.left_at.is_none() && (old.standing.role.leads() || old.serves(now)) {
                new.left_at = Some(now);
            }
            if old.standing.role.leads() != new.standing.role.leads() {
                new.transitions += 1;
            }
            let modified = *old != new;
            if modified {
                changed = Some((old.standing, new.standing));
                *old = new;
            }
            modified
        });
        // After the state, never before it: a log that blocks must not hold the role up.
        if let Some((before, after)) = changed {
            tell(now, before, after);
        }
    }
}

/// One line a role change. Its `boot_ms` is when the role came or ended by the clock that decides,
/// which all processes of one machine share: a role whose time ran out unseen ended then.
fn tell(now: Mono, before: Standing, after: Standing) {
    if before.role == after.role {
        return;
    }
    let (term, holds_traffic) = (after.term, after.holds_traffic);
    let boot_ms = now.as_ms();
    match after.role {
        Role::Starting if !before.role.leads() => {}
        Role::Standby if before.role == Role::Starting => {
            tracing::info!(role = PASSIVE, term, "this pod takes part in the election");
        }
        Role::Starting | Role::Standby => {
            let boot_ms = boot_ms.min(before.valid_until.as_ms());
            tracing::info!(
                role = PASSIVE,
                term,
                holds_traffic,
                boot_ms,
                "this pod is passive now"
            );
        }
        Role::Leader => tracing::info!(role = ACTIVE, term, boot_ms, "this pod is active now"),
        Role::Draining => {
            tracing::info!(
                role = ACTIVE,
                term,
                boot_ms,
                "this pod is on its way out and hands over"
            );
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A leader of term 3 until `valid_until_ms`.
    pub(crate) fn leading(valid_until_ms: u64) -> Published {
        let standing = Standing {
            role: Role::Leader,
            term: 3,
            valid_until: Mono::from_ms(valid_until_ms),
            holds_traffic: true,
            finished: false,
        };
        Published {
            standing,
            ..Published::nothing()
        }
    }

    /// The holder stops renewing at 0; its Lease is valid for 15 s. Another one takes it at 18 s and
    /// frees it at 20 s.
    #[test]
    fn time_without_a_leader_begins_with_the_end_of_the_lease() {
        let at = Mono::from_ms;
        let seen = |holder: Option<&str>, since_ms: u64| Published {
            holder: holder.map(str::to_owned),
            observed_since: Some(at(since_ms)),
            ..Published::nothing()
        };
        let mut leaderless = Leaderless::default();
        let mut look = |now_ms: u64, published: &Published| {
            let since = published.leaderless_since(at(now_ms), 15_000);
            leaderless = leaderless.noted(at(now_ms), since);
            leaderless.total_ms(at(now_ms))
        };
        assert_eq!(look(9_000, &Published::nothing()), 0, "nothing is known");
        assert_eq!(look(14_999, &seen(Some("a"), 0)), 0);
        assert_eq!(look(15_700, &seen(Some("a"), 0)), 700);
        assert_eq!(look(18_000, &seen(Some("b"), 18_000)), 3_000);
        assert_eq!(look(19_000, &seen(Some("b"), 18_000)), 3_000);
        assert_eq!(look(20_500, &seen(None, 20_000)), 3_500);
        assert_eq!(look(21_000, &leading(22_000)), 4_000);
        assert_eq!(look(21_500, &leading(22_000)), 4_000);
    }

    #[test]
    fn the_role_ends_with_its_time_and_not_with_the_next_step() {
        let published = leading(1_000);
        let at = |ms| {
            (
                published.role(Mono::from_ms(ms)),
                published.valid_for_ms(Mono::from_ms(ms)),
            )
        };
        assert_eq!(at(999), (ACTIVE, 1));
        assert_eq!(at(1_000), (PASSIVE, 0));
        assert_eq!(at(2_000), (PASSIVE, 0));
    }
}
