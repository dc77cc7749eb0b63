//! The Lease of a group, as far as people ask about it.

use common::contract;
use common::history::Entry;
use common::ids::Identity;
use common::objects::Meta;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

/// A Lease, read from its JSON.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Lease {
    pub(crate) metadata: Meta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    holder_identity: Option<String>,
    lease_duration_seconds: Option<u32>,
    lease_transitions: Option<u32>,
    acquire_time: Option<String>,
    renew_time: Option<String>,
}

impl Lease {
    /// Whether it belongs to a group of ours, as far as it can be told without pods.
    pub(crate) fn is_ours(&self) -> bool {
        self.metadata.label(contract::LEASE) == Some("true")
            || self.metadata.annotation(contract::OWNER).is_some()
    }

    /// Name of the pod that holds it, or the whole identity of another system's holder.
    pub(crate) fn holder(&self) -> Option<String> {
        let holder = self.holder_identity()?;
        Some(Identity::parse(holder).map_or_else(|| holder.to_owned(), |identity| identity.name))
    }

    /// uid of the pod that holds it.
    pub(crate) fn holder_uid(&self) -> Option<String> {
        Identity::parse(self.holder_identity()?).map(|identity| identity.uid)
    }

    fn holder_identity(&self) -> Option<&str> {
        let holder = self.spec.holder_identity.as_deref();
        holder.filter(|holder| !holder.is_empty())
    }

    /// Its term.
    pub(crate) fn term(&self) -> u64 {
        self.spec.lease_transitions.map_or(0, u64::from)
    }

    /// How long it is valid after a renewal, seconds.
    pub(crate) fn duration_s(&self) -> u64 {
        self.spec.lease_duration_seconds.map_or(0, u64::from)
    }

    /// When its holder took it, by the holder's clock.
    pub(crate) fn acquired_at(&self) -> Option<Timestamp> {
        self.spec.acquire_time.as_ref()?.parse().ok()
    }

    /// When it was renewed, by the holder's clock.
    pub(crate) fn renewed_at(&self) -> Option<Timestamp> {
        self.spec.renew_time.as_ref()?.parse().ok()
    }

    /// Whether the role is frozen.
    pub(crate) fn is_paused(&self) -> bool {
        self.metadata.annotation(contract::PAUSED) == Some("true")
    }

    /// The pod that a switchover asks for, while it is not answered.
    pub(crate) fn switchover(&self) -> Option<&str> {
        self.metadata.annotation(contract::SWITCHOVER)
    }

    /// The workload that the group belongs to.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.metadata.annotation(contract::OWNER)
    }

    /// The last moves, oldest first.
    pub(crate) fn history(&self) -> Vec<Entry> {
        let history = self.metadata.annotation(contract::HISTORY);
        history.map(Entry::read).unwrap_or_default()
    }
}
