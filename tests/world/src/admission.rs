//! What the API server's own policies make of a write: the route rule and the fencing rules of the
//! chart, as far as a write of an elector can meet them.

use super::objects::{Pod, Service};
use common::contract::NO_POD;
use common::contract::default::LEASE_DURATION_MS_MAX;
use common::ids::Identity;
use election::{Record, RoleLabel, TERM_MAX};

/// Which policies are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The validating policies that guard role, Lease and Service, with action Deny.
    pub fencing: bool,
    /// The mutating policy that derives a Service's selector key from its annotation.
    pub route: bool,
}

/// The text of a term annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// There is no annotation.
    Absent,
    /// A decimal number.
    Number(u64),
    /// Anything else.
    Junk,
}

impl Term {
    /// What electors read.
    pub fn read(self) -> Option<u64> {
        match self {
            Self::Number(term) if term <= TERM_MAX => Some(term),
            Self::Number(_) | Self::Absent | Self::Junk => None,
        }
    }

    /// What the policies compare if it stands on the old object.
    fn as_old(self) -> i128 {
        self.read().map_or(0, i128::from)
    }

    /// What the policies compare if it stands on the new object.
    fn as_new(self) -> i128 {
        match self {
            Self::Absent => 0,
            Self::Number(_) | Self::Junk => self.read().map_or(-1, i128::from),
        }
    }
}

/// The policies of pods: a group's account writes only its group's, terms only rise, and a pod becomes
/// active by its own token only. Outside of the group, a pod takes its own role off.
pub(super) fn pod_passes(caller_uid: &str, before: &Pod, after: &Pod) -> bool {
    let own = after.view.uid == caller_uid;
    let guarded_keys_changed = before.view.role != after.view.role
        || before.view.started != after.view.started
        || before.term != after.term;
    if !guarded_keys_changed {
        return true;
    }
    let activates_another = !own && after.view.role == RoleLabel::Active;
    let names_another = !own && before.view.started != after.view.started;
    // A write that leaves the term as it is may find it to be no number.
    let term_passes = before.term == after.term || after.term.as_new() >= before.term.as_old();
    let strips_itself =
        own && after.view.role != RoleLabel::Active && before.view.started == after.view.started;
    (before.grouped || strips_itself) && !activates_another && !names_another && term_passes
}

/// The policy of the Lease: a pod writes itself in, hands on what it holds, or makes one that nobody
/// holds; every acquisition is a new term. Term and duration are no larger than an elector's can be.
pub(super) fn lease_passes(caller: &Identity, before: Option<&Record>, after: &Record) -> bool {
    let caller = caller.to_string();
    let before_holder = before
        .and_then(|record| record.holder.as_deref())
        .unwrap_or_default();
    let after_holder = after.holder.as_deref().unwrap_or_default();
    let before_term = before.map_or(-1, |record| i128::from(record.term));
    let after_term = i128::from(after.term);
    let bounded = after.term <= TERM_MAX && after.duration_ms <= LEASE_DURATION_MS_MAX;
    bounded
        && (before_holder == caller
            || after_holder == caller
            || before.is_none() && after.is_unheld())
        && (after_term > before_term
            || after_term == before_term
                && (after_holder == before_holder || after_holder.is_empty()))
}

/// The policies of Services: a sidecar points one at its own pod or at none, in a term that is not
/// over, and the selector key is what the annotation says.
pub(super) fn service_passes(caller_uid: &str, before: &Service, after: &Service) -> bool {
    let before_active = before.view.active.as_deref().unwrap_or_default();
    let after_active = after.view.active.as_deref().unwrap_or_default();
    let route_changed = before_active != after_active || before.term != after.term;
    let (before_term, after_term) = (before.term.as_old(), after.term.as_new());
    let selector_follows = after
        .view
        .selected
        .as_deref()
        .is_none_or(|key| key == after_active);
    selector_follows
        && (!route_changed
            || [caller_uid, NO_POD].contains(&after_active)
                && (after_term > before_term
                    || after_term == before_term
                        && ([before_active, NO_POD].contains(&after_active)
                            || ["", NO_POD].contains(&before_active))))
}

#[cfg(test)]
mod tests {
    use super::super::host::new_pod;
    use super::*;

    #[test]
    fn a_write_that_leaves_the_term_as_it_is_may_find_no_number() {
        let identity = Identity::new("web-1", "u1");
        let pod = |term| Pod {
            view: new_pod(&identity, 0, String::new(), 1, 0),
            term,
            by_hand: false,
            grouped: true,
        };
        let labelled = |term| {
            let mut after = pod(term);
            after.view.started = true;
            after
        };
        let passes = |before, after| pod_passes("u1", &pod(before), &labelled(after));
        assert!(passes(Term::Junk, Term::Junk));
        assert!(passes(Term::Junk, Term::Number(1)));
        assert!(!passes(Term::Number(2), Term::Number(1)));
        assert!(!passes(Term::Number(2), Term::Junk));
    }

    #[test]
    fn a_lease_that_no_elector_could_follow_is_refused() {
        let identity = Identity::new("web-1", "u1");
        let record = |term, duration_ms| Record {
            holder: Some(identity.to_string()),
            term,
            duration_ms,
            ..Record::default()
        };
        let passes = |after| lease_passes(&identity, None, &after);
        assert!(passes(record(TERM_MAX, LEASE_DURATION_MS_MAX)));
        assert!(!passes(record(TERM_MAX + 1, LEASE_DURATION_MS_MAX)));
        assert!(!passes(record(TERM_MAX, LEASE_DURATION_MS_MAX + 1)));
    }
}
