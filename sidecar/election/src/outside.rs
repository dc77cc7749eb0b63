//! The own pod where the group does not show it: its object is gone, or lacks the group's label.
//!
//! Both look the same to a watch that selects by that label. An app whose object is gone stops by
//! itself; one that somebody took out of the group runs on, and its role must be handed on.

use crate::agenda::Agenda;
use crate::converge::REFUSALS_MAX;
use crate::elector::Elector;
use crate::group::Target;
use crate::input::{Failure, Outcome};
use crate::step::Action;
use crate::time::Mono;
use crate::view::{PodView, Record, RoleLabel};

/// What is known of the own pod while the group does not show it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Outside {
    /// Nothing yet.
    Unknown,
    /// There is no such object any more.
    Gone,
    /// It is there, without the label of the group.
    Left(PodView),
}

impl Elector {
    /// The own pod, if it was taken out of the group.
    pub(crate) fn own_left(&self) -> Option<&PodView> {
        match &self.outside {
            Outside::Left(pod) if self.own_pod().is_none() => Some(pod),
            _ => None,
        }
    }

    /// Whether the own pod was taken out of the group and its app is not being stopped.
    pub(crate) fn was_taken_out(&self) -> bool {
        self.own_left().is_some_and(|own| !own.terminating)
    }

    /// Whether the own pod carries the active label outside of the group.
    pub(crate) fn is_active_outside(&self) -> bool {
        self.own_left()
            .is_some_and(|own| own.role == RoleLabel::Active)
    }

    /// Whether the own label is still to come off outside of the group. A policy may refuse it: that
    /// does not hold the group up for ever.
    pub(crate) fn must_strip_outside(&self) -> bool {
        let own = Target::Pod(self.params.identity.uid.clone());
        self.is_active_outside() && self.group.retry(&own).refusals < REFUSALS_MAX
    }

    /// Whether the own pod, which the group does not show, is to be asked for. After SIGTERM there is
    /// no time.
    pub(crate) fn misses_own(&self) -> bool {
        self.own_pod().is_none() && self.outside == Outside::Unknown && !self.terminated
    }

    /// Whether this pod was named as successor, though it is outside of the group. Who has named it
    /// may be outside as well: it is not handed to and fro, the record runs out soon.
    pub(crate) fn is_named_outside(&self, record: &Record) -> bool {
        let directed = record.duration_ms <= self.params.directed_ms();
        let outside = self.own_left().is_some() || self.misses_own();
        directed && outside && self.tenure.is_none()
    }

    /// Asks for the own pod where the group does not show it.
    pub(crate) fn ask_for_own(&self, agenda: &mut Agenda) -> Option<Action> {
        let identity = &self.params.identity;
        let retry = self.group.retry(&Target::Pod(identity.uid.clone()));
        (self.misses_own() && agenda.reached(retry.not_before())).then(|| Action::ReadPod {
            name: identity.name.clone(),
            uid: identity.uid.clone(),
        })
    }

    /// Takes the end of a request about the own pod, which the group does not show. `asked`: it was
    /// sent since.
    pub(crate) fn finish_outside(&mut self, now: Mono, asked: bool, outcome: Outcome) {
        let own = Target::Pod(self.params.identity.uid.clone());
        match outcome {
            Outcome::PodLeft(pod) => {
                self.outside = Outside::Left(pod);
                self.group.freshen(&own);
            }
            Outcome::Failed(Failure::NotFound) => self.outside = Outside::Gone,
            Outcome::Failed(failure) => self.group.failed(&own, now, failure, &mut self.jitter),
            // It was put back, and the watch is late.
            Outcome::Pod(pod) if asked => self.group.put_back(pod),
            _ => {}
        }
        self.note_own_pod(now);
    }
}
