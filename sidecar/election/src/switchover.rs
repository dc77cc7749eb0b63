//! Requests to move the role, and what they are answered.

use crate::elector::Elector;
use crate::successor::{Ineligible, ranked};
use common::ids::Identity;
use std::fmt;

/// Value of the switchover annotation that leaves the choice to the leader.
const ANY_POD: &str = "any";

/// What a switchover is answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SwitchoverAnswer {
    /// The write that carries this hands the role to the pod that was asked for.
    Done,
    /// The role does not move to it.
    Refused(Refusal),
}

/// Why a switchover is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The group is paused.
    Paused,
    /// The group has no pod of that name.
    NoSuchPod,
    /// It is active already.
    AlreadyActive,
    /// It cannot become active.
    Ineligible(Ineligible),
    /// No other pod can become active.
    NoPeer,
    /// The leader had to go first, and gave the role to a better pod or to whoever comes.
    Overtaken,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str("the group is paused"),
            Self::NoSuchPod => f.write_str("the group has no pod of that name"),
            Self::AlreadyActive => f.write_str("it is active already"),
            Self::Ineligible(reason) => f.write_str(reason.as_str()),
            Self::NoPeer => f.write_str("no other pod can become active"),
            Self::Overtaken => f.write_str("the leader had to go before it was done"),
        }
    }
}

impl Elector {
    /// The pod that a switchover asks for, or why it cannot be done.
    pub(crate) fn requested(&self, wanted: &str) -> Result<Identity, Refusal> {
        if wanted == ANY_POD {
            return self.successor().ok_or(Refusal::NoPeer);
        }
        let named = |name: &str, uid: &str| name == wanted && uid != self.params.identity.uid;
        if let Some(pod) = ranked(&self.group.pods, self.owner())
            .into_iter()
            .find(|pod| named(&pod.name, &pod.uid) && !pod.is_foreign(self.owner()))
        {
            return Ok(Identity::new(&pod.name, &pod.uid));
        }
        let pod = self
            .group
            .pods
            .values()
            .find(|pod| named(&pod.name, &pod.uid));
        Err(match pod.and_then(|pod| self.ineligible(pod)) {
            Some(reason) => Refusal::Ineligible(reason),
            None if wanted == self.params.identity.name => Refusal::AlreadyActive,
            None => Refusal::NoSuchPod,
        })
    }

    /// The answer that goes along when the role is given to `successor`, or to whoever comes.
    pub(crate) fn answer_on_leaving(
        &self,
        wanted: &str,
        successor: Option<&Identity>,
    ) -> SwitchoverAnswer {
        match successor {
            Some(pod) if wanted == ANY_POD || wanted == pod.name => SwitchoverAnswer::Done,
            _ => SwitchoverAnswer::Refused(Refusal::Overtaken),
        }
    }
}
