//! The sidecar in the place of other systems: their README's manifests with another image, and what
//! their users rely on. A file a system.

mod apsc;
mod http;
mod journal;
mod leader_elector;
mod leader_labeler;
pub(crate) mod migrate;
mod mixed;
mod profiles;
mod refusals;
mod service_leader_election;
mod stage;

use crate::context::Case;

/// All of them. They play beside each other.
pub(crate) fn cases() -> impl Iterator<Item = &'static Case> {
    apsc::CASES
        .iter()
        .chain(leader_labeler::CASES)
        .chain(leader_elector::CASES)
        .chain(profiles::CASES)
        .chain(service_leader_election::CASES)
        .chain(http::CASES)
        .chain(migrate::CASES)
        .chain(mixed::CASES)
}
