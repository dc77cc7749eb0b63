//! The sidecar in the place of another system's: started with that one's own settings, in its own
//! hand-written manifest, with its own rights.
//!
//! A file a system reads that system's settings. What follows is one and the same for all: the own
//! pod is read, and out of both come the settings of an injected sidecar, so that everything beneath
//! runs unchanged. Absent from it: anything about the election.

mod apsc;
mod begin;
mod leader_elector;
mod leader_labeler;
mod own_pod;
mod service_leader_election;

pub use begin::begin;

use crate::members::Mark;
use crate::selector_route::SelectorRoute;
use common::contract::env;
use common::role::RoleLabelNames;
use common::seeds::{self, SEEDS, Seed};

/// What the process was asked for, in another system's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Whose.
    pub(crate) seed: &'static Seed,
    /// Namespace of the own pod.
    pub(crate) namespace: String,
    /// Name of the own pod.
    pub(crate) pod: String,
    /// Name of the election; "" where that follows from the pod.
    pub(crate) election: String,
    /// Name of the Lease, where it is not the system's own choice.
    pub(crate) lease: Option<String>,
    /// The role label.
    pub(crate) role_label: RoleLabelNames,
    /// Which pods belong to the group.
    pub(crate) peers: Peers,
    /// By which label the own pod says that it takes part.
    pub(crate) mark: Mark,
    /// Times of the election.
    pub(crate) times: Times,
    /// Whether it takes part only once its pod is ready.
    pub(crate) waits_for_ready: bool,
    /// Whether a leader that is told to stop goes on until another pod is there to follow.
    pub(crate) lingers: bool,
    /// Rights (verb, API group, resource) without which it does not start.
    pub(crate) rights: &'static [(&'static str, &'static str, &'static str)],
    /// Port of its HTTP server; `None`: the usual one.
    pub(crate) port: Option<String>,
    /// Files that say the role, and what is in them.
    pub(crate) files: Option<(Files, String)>,
    /// The container whose readiness counts, or the first one; `None`: all of them.
    pub(crate) container: Option<Option<String>>,
    /// The Service that is pointed at the leader by its selector.
    pub(crate) route: Option<SelectorRoute>,
    /// Whether pods carry the role as a label.
    pub(crate) shows_role: bool,
}

/// Files that say the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Files {
    /// In this folder, named after the role.
    Folder(String),
    /// This one, which is there on the leader only.
    Leaders(String),
}

/// Times of an election as durations are written; `None`: the usual ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Times {
    pub(crate) lease_duration: Option<String>,
    pub(crate) renew_deadline: Option<String>,
    pub(crate) retry_period: Option<String>,
}

/// Which pods belong to the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peers {
    /// Those that carry the same values of these labels as the own pod.
    SameLabels([&'static str; 2]),
    /// Those that carry this label, with whatever value.
    Having(String),
    /// The own pod alone is known: there is no right to see others.
    Own,
    /// Not even the own pod is looked at.
    Unknown,
}

/// Why the sidecar does not start, in the other system's words, and the status with which that one
/// ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// What is said.
    pub message: String,
    /// Status of the process.
    pub exit_code: u8,
}

impl Refused {
    pub(crate) fn new(seed: &Seed, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit_code: seed.exit_code,
        }
    }
}

/// What the process was asked for by its arguments and its environment; `None`: to run as injected.
///
/// # Errors
/// [`Refused`] if it was asked for something that it cannot do.
pub fn asked(
    arguments: &[&str],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Asked>, Refused> {
    let given = |name: &str| lookup(name).is_some_and(|value| !value.is_empty());
    let seed = match lookup(env::PERSONALITY).filter(|name| !name.is_empty()) {
        Some(name) => Some(Seed::named(&name).ok_or_else(|| unknown(&name))?),
        None if given(env::GROUP) => None,
        None => recognised(arguments, &given),
    };
    let Some(seed) = seed else { return Ok(None) };
    let asked = match seed {
        seed if *seed == seeds::APSC => apsc::read(arguments, lookup)?,
        seed if *seed == seeds::SERVICE_LEADER_ELECTION => {
            service_leader_election::read(arguments, lookup)?
        }
        seed if *seed == seeds::LEADER_ELECTOR => leader_elector::read(arguments, lookup)?,
        seed if [seeds::LEADER_LABELER, seeds::LEADER_LABELER_V0_3].contains(seed) => {
            leader_labeler::read(seed, arguments, lookup)?
        }
        seed => return Err(unknown(seed.name)),
    };
    Ok(Some(asked))
}

/// The system whose settings these are beyond doubt.
fn recognised(arguments: &[&str], given: &dyn Fn(&str) -> bool) -> Option<&'static Seed> {
    if !arguments.is_empty() {
        let by_service = service_leader_election::is_meant(arguments);
        let by_service = by_service.then_some(&seeds::SERVICE_LEADER_ELECTION);
        return seeds::leader_labeler::meant(arguments).or(by_service);
    }
    if leader_elector::is_meant(given) {
        return Some(&seeds::LEADER_ELECTOR);
    }
    apsc::is_meant(given).then_some(&seeds::APSC)
}

fn unknown(name: &str) -> Refused {
    let names = SEEDS.map(|seed| seed.name).join(", ");
    Refused {
        message: format!(
            "environment variable {} is {name:?}, but must be one of {names}",
            env::PERSONALITY
        ),
        exit_code: USAGE,
    }
}

/// Status of a process that was called in a wrong way.
const USAGE: u8 = 2;

#[cfg(test)]
mod tests;
