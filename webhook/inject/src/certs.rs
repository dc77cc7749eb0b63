//! What to do about the serving certificate, decided from facts about the Secret that holds it.
//!
//! An authority is replaced by overlap, so that no client ever meets a certificate that it does not
//! trust: the next authority is published beside the present one; a while later it signs; a while
//! after that the old one goes. Each step is one write of the Secret, and says there when it was
//! made: a replica that starts anew, or another one, goes on from it.

/// Certificates begin this long before they are made, for clocks that are behind, seconds.
pub const BACKDATE_S: i64 = 3600;
const HOUR_S: i64 = 3600;

/// How long one kind of certificate lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// From when it is made to its end, seconds.
    pub life_s: i64,
    /// It is renewed this long before its end, seconds.
    pub renew_before_s: i64,
}

/// How long certificates live, and how long a step of the rotation lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// The authority.
    pub authority: Life,
    /// The serving certificate.
    pub serving: Life,
    /// From one step of the rotation to the next, seconds: time for every API server and every
    /// replica to see the last one.
    pub overlap_s: i64,
}

impl Default for Lives {
    /// Ten years and ninety days; renewed when a third is left, steps of an hour.
    fn default() -> Self {
        Self {
            authority: Life {
                life_s: 87_600 * HOUR_S,
                renew_before_s: 29_200 * HOUR_S,
            },
            serving: Life {
                life_s: 2_160 * HOUR_S,
                renew_before_s: 720 * HOUR_S,
            },
            overlap_s: HOUR_S,
        }
    }
}

/// Lives that do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoLives {
    /// A certificate would be renewed as soon as it is made, or never.
    #[error(
        "the {which} is renewed {renew_before_s}s before its end and lives {life_s}s: renew it \
         later than it is made, and before its end"
    )]
    RenewBefore {
        /// Which certificate.
        which: &'static str,
        /// What was given, seconds.
        renew_before_s: i64,
        /// What was given, seconds.
        life_s: i64,
    },
    /// The authority would end while its rotation is still going on.
    #[error(
        "the authority is renewed {renew_before_s}s before its end: that must be more than the two \
         steps of its rotation ({overlap_s}s each)"
    )]
    Overlap {
        /// What was given, seconds.
        renew_before_s: i64,
        /// What was given, seconds.
        overlap_s: i64,
    },
}

impl Lives {
    /// Checks that the rotation has time for its steps.
    ///
    /// # Errors
    /// [`NoLives`] says what does not go together.
    pub fn checked(self) -> Result<Self, NoLives> {
        for (which, life) in [
            ("authority", self.authority),
            ("serving certificate", self.serving),
        ] {
            if life.renew_before_s <= 0 || life.renew_before_s >= life.life_s {
                return Err(NoLives::RenewBefore {
                    which,
                    renew_before_s: life.renew_before_s,
                    life_s: life.life_s,
                });
            }
        }
        let renew_before_s = self.authority.renew_before_s;
        if renew_before_s <= self.overlap_s.saturating_mul(2) {
            return Err(NoLives::Overlap {
                renew_before_s,
                overlap_s: self.overlap_s,
            });
        }
        Ok(self)
    }
}

/// What the Secret holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No Secret.
    Absent,
    /// A Secret that serves nobody: empty, torn, or of other names.
    Unusable {
        /// What is wrong with it, for the log.
        why: String,
    },
    /// Certificates that belong to each other and to our names.
    Certificates {
        /// Validity of the authority that signs.
        ca: Validity,
        /// Validity of the serving certificate.
        leaf: Validity,
        /// How far a rotation of the authority has come.
        rotation: Rotation,
    },
}

/// The steps of a rotation. Times are seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// There is one authority.
    None,
    /// The next one is published beside it, and signs nothing yet.
    Announced {
        /// When it was added.
        since_s: i64,
    },
    /// The next one signs, and the last one is still trusted.
    Switched {
        /// When it began to sign.
        since_s: i64,
    },
}

/// From when to when a certificate is valid, both inclusive, seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its notBefore.
    pub not_before_s: i64,
    /// Its notAfter.
    pub not_after_s: i64,
}

impl Validity {
    /// Validity of a certificate that is made now.
    pub fn starting(now_s: i64, life_s: i64) -> Self {
        Self {
            not_before_s: now_s - BACKDATE_S,
            not_after_s: now_s + life_s,
        }
    }

    /// Whether it has expired. One that seems not to have begun is left alone: rather is our clock
    /// behind, and whoever judges the certificate has another.
    pub fn is_over(self, now_s: i64) -> bool {
        now_s > self.not_after_s
    }

    fn is_due(self, life: Life, now_s: i64) -> bool {
        // Lives may have been made shorter since.
        let made_s = self.not_before_s.saturating_add(BACKDATE_S);
        self.not_after_s.saturating_sub(now_s) <= life.renew_before_s
            || now_s.saturating_sub(made_s) >= life.life_s.saturating_sub(life.renew_before_s)
    }
}

/// What to do. Every replica may do it; the Secret's resourceVersion settles who did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Plan {
    /// Make the Secret.
    Create,
    /// Make everything anew in the Secret that is there.
    Replace {
        /// Why, for the log.
        why: String,
    },
    /// Let the same authority sign a new certificate: clients that trust it notice nothing.
    RenewLeaf,
    /// Publish a next authority beside the present one.
    Announce,
    /// Let the next authority sign, and go on trusting the last one.
    Switch,
    /// Trust the last authority no more.
    Prune,
    /// Serve what is there.
    Serve,
}

/// Decides from what was found, at `now_s` seconds since 1970. `published_s`: how long this process
/// has seen every entry of the webhook configuration carry the authorities of the Secret, seconds;
/// `None` if one does not.
pub fn plan(found: &Found, published_s: Option<i64>, lives: &Lives, now_s: i64) -> Plan {
    let (ca, leaf, rotation) = match found {
        Found::Absent => return Plan::Create,
        Found::Unusable { why } => return Plan::Replace { why: why.clone() },
        Found::Certificates { ca, leaf, rotation } => (ca, leaf, rotation),
    };
    if ca.is_over(now_s) {
        return Plan::Replace {
            why: "the authority has expired".to_owned(),
        };
    }
    // A clock that was set back does not hold a step up for ever.
    let long_ago = |since_s: i64| now_s.saturating_sub(since_s).saturating_abs() >= lives.overlap_s;
    // What every API server has seen by now, however long the publication itself took.
    let known = published_s.is_some_and(|for_s| for_s >= lives.overlap_s);
    match *rotation {
        Rotation::None if ca.is_due(lives.authority, now_s) => return Plan::Announce,
        Rotation::Announced { since_s } if known && long_ago(since_s) => return Plan::Switch,
        Rotation::Switched { since_s } if long_ago(since_s) => return Plan::Prune,
        Rotation::None | Rotation::Announced { .. } | Rotation::Switched { .. } => {}
    }
    // One that ends with its authority cannot be made to last longer.
    let may_last_longer = leaf.not_after_s < ca.not_after_s;
    if may_last_longer && leaf.is_due(lives.serving, now_s) {
        return Plan::RenewLeaf;
    }
    Plan::Serve
}

#[cfg(test)]
mod tests;
