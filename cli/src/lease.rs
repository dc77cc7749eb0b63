//! The Lease of a group, as far as people ask about it.

use crate::managed::Managed;
use crate::visible;
use common::contract;
use common::history::Entry;
use common::ids::Identity;
use common::objects::Meta;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

/// A Lease, read from its JSON.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Read")]
pub(crate) struct Lease {
    pub(crate) metadata: Meta,
    spec: Spec,
    pause: Option<Pause>,
}

/// Who has written the pause, and when that program last wrote the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    /// The program, as it names itself.
    pub(crate) by: String,
    pub(crate) at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Read {
    metadata: ReadMeta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
struct ReadMeta {
    #[serde(flatten)]
    meta: Meta,
    #[serde(rename = "managedFields", default)]
    managed: Option<Vec<Managed>>,
}

impl From<Read> for Lease {
    fn from(read: Read) -> Self {
        let managed = read.metadata.managed.unwrap_or_default();
        let pause = Managed::of_annotation(&managed, contract::PAUSED).map(|managed| Pause {
            by: visible::line(&managed.manager),
            at: managed.at(),
        });
        let mut metadata = read.metadata.meta;
        // Free text of whoever may write the Lease; the history is JSON, and its texts come later.
        for key in [contract::SWITCHOVER, contract::OWNER] {
            let annotations = metadata.annotations.as_mut();
            if let Some(value) = annotations.and_then(|it| it.get_mut(key)) {
                *value = visible::line(value);
            }
        }
        let mut spec = read.spec;
        spec.holder_identity = spec.holder_identity.map(|it| visible::line(&it));
        Self {
            metadata,
            spec,
            pause,
        }
    }
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

    /// Its version, 0 if it has none; later ones are higher.
    pub(crate) fn version(&self) -> u64 {
        self.metadata.resource_version.parse().unwrap_or(0)
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

    /// Who froze it and when, as far as the API server has kept it.
    pub(crate) fn pause(&self) -> Option<&Pause> {
        self.pause.as_ref().filter(|_| self.is_paused())
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
        let entries = history.map(Entry::read).unwrap_or_default();
        let shown = |entry: Entry| Entry {
            pod: visible::line(&entry.pod),
            at: visible::line(&entry.at),
            kind: visible::line(&entry.kind),
            ..entry
        };
        entries.into_iter().map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_anybody_may_write_into_a_lease_moves_no_cursor() {
        let evil = "\x1b]0;x\x07web-1\n\u{202e}";
        let history = json!([{"term": 1, "pod": evil, "at": evil, "kind": evil}]).to_string();
        let lease: Lease = serde_json::from_value(json!({
            "metadata": {"name": "web", "annotations": {
                contract::SWITCHOVER: evil, contract::OWNER: evil, contract::HISTORY: history,
            }},
            "spec": {"holderIdentity": evil},
        }))
        .unwrap();
        let shown = "\u{fffd}]0;x\u{fffd}web-1\u{fffd}\u{fffd}";
        let entry = &lease.history()[0];
        assert_eq!([&entry.pod, &entry.at, &entry.kind], [shown; 3]);
        assert_eq!([lease.switchover(), lease.owner()], [Some(shown); 2]);
        assert_eq!(lease.holder().as_deref(), Some(shown));
    }

    #[test]
    fn who_paused_is_read_from_the_managed_fields() {
        let lease = |paused: &str| -> Lease {
            let of = |key: &str| json!({"f:metadata": {"f:annotations": {key: {}}}});
            serde_json::from_value(json!({
                "metadata": {
                    "name": "web",
                    "annotations": {contract::PAUSED: paused},
                    "managedFields": [
                        {"manager": "sidecar", "fieldsV1": of("f:other")},
                        {"manager": "kubectl-annotate", "time": "2026-02-01T04:10:00Z",
                         "fieldsV1": of("f:active-passive.dev/paused")},
                    ],
                },
            }))
            .unwrap()
        };
        let pause = Pause {
            by: "kubectl-annotate".to_owned(),
            at: "2026-02-01T04:10:00Z".parse().ok(),
        };
        assert_eq!(lease("true").pause(), Some(&pause));
        assert_eq!(lease("false").pause(), None);
    }
}
