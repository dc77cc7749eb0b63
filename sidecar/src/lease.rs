//! The Lease: how it is read, and how it is written without losing what others keep in it.

use crate::clock::micro_time;
use crate::config::Config;
use crate::history;
use crate::object::{Reading, Unreadable};
use common::contract::{self, default};
use common::ids::Identity;
use common::objects::Meta;
use election::{LeaseView, LeaseWrite, LeaseWriteKind, Record, Version};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Value of the label of a fenced Lease.
const FENCED: &str = "true";
/// Value of the label of one that says that it is not.
const UNFENCED: &str = "false";

/// How the Lease is called and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseForm {
    /// Its name.
    pub name: String,
    /// Whether it is put under the fencing policies.
    pub fence: Fence,
    /// Duration of a freed one, seconds; `None`: that of a held one.
    pub free_s: Option<u64>,
}

/// Whether a Lease is put under the fencing policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// It is.
    On,
    /// It is not, and says so where it is made: holders of another kind take part.
    Off,
    /// Its labels are left alone.
    Unsaid,
}

/// A Lease as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    /// What the elector sees of it.
    pub(crate) view: LeaseView,
    /// All of it: the base of the next write.
    pub(crate) json: Value,
}

impl Lease {
    /// Takes a Lease as the API server sent it.
    pub(crate) fn read(mut json: Value) -> Result<Self, Unreadable> {
        if let Some(metadata) = json.get_mut("metadata").and_then(Value::as_object_mut) {
            // The API server keeps its own book of these where a write says nothing.
            metadata.remove("managedFields");
        }
        let parts = Parts::deserialize(&json).map_err(Unreadable::Json)?;
        let version = parts.metadata.version()?;
        let annotation = |key: &str| parts.metadata.annotation(key);
        let record = Record {
            holder: parts
                .spec
                .holder_identity
                .filter(|holder| !holder.is_empty()),
            term: parts.spec.lease_transitions.map_or(0, u64::from),
            // Whoever could write 68 years into it must not hold the group up for as long.
            duration_ms: (u64::from(parts.spec.lease_duration_seconds.unwrap_or(0)) * 1_000)
                .min(default::LEASE_DURATION_MS_MAX),
            renew_time_us: parts
                .spec
                .renew_time
                .and_then(|time| time.parse().ok())
                .map_or(0, Timestamp::as_microsecond),
            paused: annotation(contract::PAUSED) == Some("true"),
            switchover: annotation(contract::SWITCHOVER).map(str::to_owned),
            owner: annotation(contract::OWNER).map(str::to_owned),
        };
        Ok(Self {
            view: LeaseView { version, record },
            json,
        })
    }
}

/// The last Leases that were handed to the elector: its next write builds on one of them. Which of
/// them is the newer one is for the elector to say.
#[derive(Debug, Default)]
pub(crate) struct LastLease {
    watched: Option<Lease>,
    answered: Option<Lease>,
}

impl LastLease {
    /// Keeps what the watch showed.
    pub(crate) fn watched(&mut self, lease: Lease) -> LeaseView {
        self.watched.insert(lease).view.clone()
    }

    /// Keeps what a request was answered with.
    pub(crate) fn answered(&mut self, lease: Lease) {
        self.answered = Some(lease);
    }

    /// The Lease of this version, if it was among them.
    pub(crate) fn at(&self, version: Version) -> Option<&Value> {
        [&self.watched, &self.answered]
            .into_iter()
            .flatten()
            .find(|lease| lease.view.version == version)
            .map(|lease| &lease.json)
    }
}

#[derive(Deserialize)]
struct Parts {
    metadata: Meta,
    #[serde(default)]
    spec: SpecParts,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpecParts {
    holder_identity: Option<String>,
    lease_duration_seconds: Option<u32>,
    lease_transitions: Option<u32>,
    renew_time: Option<String>,
}

/// The Lease to send: `base` with what the write changes, or a new one.
pub(crate) fn written(
    write: &LeaseWrite,
    base: Option<&Value>,
    config: &Config,
    at: Timestamp,
) -> Value {
    let form = &config.lease;
    let mut lease = base.cloned().unwrap_or_else(|| {
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": form.name, "namespace": config.namespace},
        })
    });
    let fence = match form.fence {
        Fence::On => may_fence(write.kind, base).then_some(FENCED),
        Fence::Off => base.is_none().then_some(UNFENCED),
        Fence::Unsaid => None,
    };
    let metadata = section(&mut lease, "metadata");
    if let Some(version) = write.base {
        metadata.insert("resourceVersion".to_owned(), json!(version.0.to_string()));
    }
    if let Some(fence) = fence {
        section_of(metadata, "labels").insert(contract::LEASE.to_owned(), json!(fence));
    }
    if let Some(owner) = &write.owner {
        section_of(metadata, "annotations").insert(contract::OWNER.to_owned(), json!(owner));
    }
    if write.answer.is_some() {
        section_of(metadata, "annotations").remove(contract::SWITCHOVER);
    }
    if let Some(note) = write.history {
        let annotations = section_of(metadata, "annotations");
        let pod = write.holder.as_ref().map_or("", |holder| &holder.name);
        let known = annotations.get(contract::HISTORY).and_then(Value::as_str);
        let history = history::noted(known, note, write.term, pod, at);
        annotations.insert(contract::HISTORY.to_owned(), json!(history));
    }
    let spec = section(&mut lease, "spec");
    let mut set = |key: &str, value: Value| spec.insert(key.to_owned(), value);
    let holder = match (&write.holder, write.kind) {
        (Some(holder), _) => config.params.customs.holder.write(holder),
        (None, LeaseWriteKind::Recreate) => contract::NO_POD.to_owned(),
        // "" and not null: this is what client-go writes to free a Lease.
        (None, _) => String::new(),
    };
    set("holderIdentity", json!(holder));
    set("leaseTransitions", json!(write.term));
    let free_s = form
        .free_s
        .filter(|_| write.kind == LeaseWriteKind::Release);
    let duration_s = free_s.unwrap_or(write.duration_ms / 1_000);
    set("leaseDurationSeconds", json!(duration_s));
    set("renewTime", json!(micro_time(at)));
    match write.kind {
        LeaseWriteKind::Acquire | LeaseWriteKind::Confirm | LeaseWriteKind::Handover => {
            set("acquireTime", json!(micro_time(at)));
        }
        LeaseWriteKind::Renew | LeaseWriteKind::Release | LeaseWriteKind::Recreate => {}
    }
    lease
}

/// Whether this write puts the Lease under the fencing policies: those that make it or take it do,
/// unless it is taken from another system's holder, which the policies would lock out.
fn may_fence(kind: LeaseWriteKind, base: Option<&Value>) -> bool {
    let acquires = matches!(
        kind,
        LeaseWriteKind::Acquire | LeaseWriteKind::Confirm | LeaseWriteKind::Recreate
    );
    let holder = base.and_then(|lease| lease.pointer("/spec/holderIdentity")?.as_str());
    let foreign = holder.is_some_and(|holder| {
        !["", contract::NO_POD].contains(&holder) && Identity::parse(holder).is_none()
    });
    acquires && !foreign
}

fn section<'a>(object: &'a mut Value, key: &str) -> &'a mut Map<String, Value> {
    if !object.is_object() {
        *object = json!({});
    }
    // The line above made it one.
    section_of(object.as_object_mut().expect("an object"), key)
}

/// The object at `key`; null and whatever else is no object becomes an empty one.
fn section_of<'a>(parent: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = parent.entry(key).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("an object")
}

#[cfg(test)]
mod tests;
