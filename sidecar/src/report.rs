//! What `/status`, `/events` and notifications say, as JSON.

use crate::clock::Clock;
use crate::config::Config;
use crate::published::{ACTIVE, PASSIVE, Published};
use common::ids::Identity;
use election::{Peer, RoleLabel};
use serde::Serialize;

/// A role change, as events and notifications carry it.
#[derive(Debug, Serialize)]
pub(crate) struct RoleReport<'a> {
    group: &'a str,
    pod: &'a str,
    role: &'static str,
    term: u64,
    valid_for_ms: u64,
}

/// The whole view.
#[derive(Debug, Serialize)]
pub(crate) struct Status<'a> {
    #[serde(flatten)]
    own: RoleReport<'a>,
    holder: Option<&'a str>,
    observed_age_ms: Option<u64>,
    peers: Vec<PeerReport<'a>>,
}

#[derive(Debug, Serialize)]
struct PeerReport<'a> {
    pod: &'a str,
    uid: &'a str,
    /// As labelled; null if the label says neither.
    role: Option<&'static str>,
    ready: bool,
    eligible: bool,
    /// Why it is not eligible; null if it is.
    reason: Option<&'static str>,
}

/// The contrib elector's answer: who leads.
#[derive(Debug, Serialize)]
pub(crate) struct Leader<'a> {
    pub(crate) name: &'a str,
}

/// The own role at this instant.
pub(crate) fn role<'a>(published: &Published, clock: Clock, config: &'a Config) -> RoleReport<'a> {
    let now = clock.now();
    RoleReport {
        group: config.group.as_str(),
        pod: &config.params.identity.name,
        role: published.role(now),
        term: published.standing.term,
        valid_for_ms: published.valid_for_ms(now),
    }
}

/// Everything that is known, at this instant.
pub(crate) fn status<'a>(published: &'a Published, clock: Clock, config: &'a Config) -> Status<'a> {
    let now = clock.now();
    Status {
        own: role(published, clock, config),
        holder: published.holder.as_deref(),
        observed_age_ms: published.observed_since.map(|since| now.ms_since(since)),
        peers: published.peers.iter().map(peer).collect(),
    }
}

/// The pod that holds the Lease, or the whole identity if another system holds it; "" if nobody.
pub(crate) fn leader(published: &Published) -> Leader<'_> {
    let holder = published.holder.as_deref().unwrap_or_default();
    let pod_chars = Identity::parse(holder).map_or(holder.len(), |identity| identity.name.len());
    Leader {
        name: &holder[..pod_chars],
    }
}

fn peer(peer: &Peer) -> PeerReport<'_> {
    PeerReport {
        pod: &peer.name,
        uid: &peer.uid,
        role: match peer.role {
            RoleLabel::Active => Some(ACTIVE),
            RoleLabel::Passive => Some(PASSIVE),
            RoleLabel::Other => None,
        },
        ready: peer.ready,
        eligible: peer.ineligible.is_none(),
        reason: peer.ineligible.map(election::Ineligible::as_str),
    }
}
