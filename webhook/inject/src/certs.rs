//! What to do about the serving certificate, decided from facts about the Secret that holds it.

/// Life of the certificate authority, seconds: ten years.
pub const CA_LIFE_S: i64 = 3650 * DAY_S;
/// Life of the serving certificate, seconds.
pub const LEAF_LIFE_S: i64 = 90 * DAY_S;
/// Certificates begin this long before they are made, for clocks that are behind, seconds.
pub const BACKDATE_S: i64 = 3600;
/// An authority with less life left than this signs nothing new, seconds.
const CA_LEFT_S_MIN: i64 = LEAF_LIFE_S;
const DAY_S: i64 = 24 * 3600;

const _: () = assert!(CA_LIFE_S > CA_LEFT_S_MIN + LEAF_LIFE_S);

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
        /// Validity of the authority.
        ca: Validity,
        /// Validity of the serving certificate.
        leaf: Validity,
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

    /// Whether two thirds of its life are over.
    fn is_old(self, now_s: i64) -> bool {
        let life_s = self.not_after_s.saturating_sub(self.not_before_s);
        now_s.saturating_sub(self.not_before_s) >= life_s / 3 * 2
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
    /// Serve what is there, and let the same authority sign a new certificate: clients that trust
    /// it notice nothing.
    RenewLeaf,
    /// Serve what is there.
    Serve,
}

/// Decides from what was found, at `now_s` seconds since 1970.
pub fn plan(found: &Found, now_s: i64) -> Plan {
    match found {
        Found::Absent => Plan::Create,
        Found::Unusable { why } => Plan::Replace { why: why.clone() },
        Found::Certificates { ca, .. } if ca.is_over(now_s) => Plan::Replace {
            why: "the authority has expired".to_owned(),
        },
        Found::Certificates { ca, leaf } => {
            let ca_left_s = ca.not_after_s.saturating_sub(now_s);
            if !leaf.is_old(now_s) {
                Plan::Serve
            } else if ca_left_s >= CA_LEFT_S_MIN {
                Plan::RenewLeaf
            } else {
                Plan::Replace {
                    why: "the authority ends before a new certificate would".to_owned(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_800_000_000;

    #[track_caller]
    fn check(ca_age_days: i64, leaf_age_days: i64, expected: &str) {
        let ca = Validity::starting(NOW_S - ca_age_days * DAY_S, CA_LIFE_S);
        let leaf = Validity::starting(NOW_S - leaf_age_days * DAY_S, LEAF_LIFE_S);
        let plan = plan(&Found::Certificates { ca, leaf }, NOW_S);
        let name = match plan {
            Plan::Create => "create",
            Plan::Replace { .. } => "replace",
            Plan::RenewLeaf => "renew",
            Plan::Serve => "serve",
        };
        assert_eq!(
            name, expected,
            "authority {ca_age_days} days old, leaf {leaf_age_days}"
        );
    }

    #[test]
    fn certificates_are_renewed_at_two_thirds_of_their_life() {
        check(0, 0, "serve");
        check(59, 59, "serve");
        check(61, 61, "renew");
        check(200, 100, "renew");
        check(3_600, 10, "serve");
        check(3_600, 61, "replace");
        check(3_651, 10, "replace");
        check(200, 91, "renew");
        check(-1, -1, "serve");
    }

    #[test]
    fn what_is_missing_or_torn_is_made() {
        assert_eq!(plan(&Found::Absent, NOW_S), Plan::Create);
        let why = "tls.key is missing".to_owned();
        let found = Found::Unusable { why: why.clone() };
        assert_eq!(plan(&found, NOW_S), Plan::Replace { why });
    }
}
