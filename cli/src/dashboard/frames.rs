//! What a page is told: all of it first, then what is another than it was told before.

use crate::live::{Contact, Snapshot};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What one page knows.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Version of each group; `None`: it knows nothing yet.
    versions: Option<BTreeMap<String, u64>>,
    renewed_ms: BTreeMap<String, i64>,
    lost: Option<String>,
    outages: usize,
    unseen: Vec<String>,
    complete: bool,
}

/// One message.
#[derive(Debug, Serialize)]
pub(super) struct Frame<'a> {
    /// The clock of this machine, milliseconds since 1970.
    now_ms: i64,
    /// Whether it holds all groups: others that the page knows are none.
    all: bool,
    /// Whether each kind has been listed by now.
    complete: bool,
    /// The namespace; null: all.
    namespace: Option<&'a str>,
    /// The API server.
    cluster: &'a str,
    version: &'static str,
    contact: &'a Contact,
    unseen: &'a [String],
    groups: Vec<&'a RawValue>,
    gone: Vec<String>,
    /// When Leases were renewed, milliseconds since 1970.
    renewed_ms: BTreeMap<String, i64>,
}

/// What is the same in all messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) namespace: Option<&'a str>,
    pub(super) cluster: &'a str,
}

impl Told {
    /// What to tell now; `None` if there is nothing new. `beat`: tell at least that there is nothing.
    pub(super) fn next(
        &mut self,
        snapshot: &Snapshot,
        scope: Scope<'_>,
        now: Timestamp,
        beat: bool,
    ) -> Option<String> {
        let all = self.versions.is_none();
        let known = self.versions.take().unwrap_or_default();
        let mut versions = BTreeMap::new();
        let (mut groups, mut renewed_ms) = (Vec::new(), BTreeMap::new());
        for shown in &snapshot.groups {
            let (namespace, name) = shown.key();
            let id = format!("{namespace}/{name}");
            if known.get(&id) != Some(&shown.version) {
                // The face was written as JSON.
                groups.extend(serde_json::from_str::<&RawValue>(&shown.face));
            }
            if let Some(at_ms) = shown.renewed_ms().filter(|_| beat || all)
                && self.renewed_ms.get(&id) != Some(&at_ms)
            {
                renewed_ms.insert(id.clone(), at_ms);
            }
            versions.insert(id, shown.version);
        }
        let left = known.into_keys().filter(|id| !versions.contains_key(id));
        let gone: Vec<String> = left.collect();
        self.renewed_ms.retain(|id, _| versions.contains_key(id));
        self.renewed_ms.extend(renewed_ms.clone());
        self.versions = Some(versions);
        let same = self.is_told(snapshot) && groups.is_empty() && gone.is_empty();
        if same && !beat && !all {
            return None;
        }
        self.lost.clone_from(&snapshot.contact.lost);
        self.outages = snapshot.contact.outages.len();
        self.unseen.clone_from(&snapshot.unseen);
        self.complete = snapshot.complete;
        let frame = Frame {
            now_ms: now.as_millisecond(),
            all,
            complete: snapshot.complete,
            namespace: scope.namespace,
            cluster: scope.cluster,
            version: env!("CARGO_PKG_VERSION"),
            contact: &snapshot.contact,
            unseen: &snapshot.unseen,
            groups,
            gone,
            renewed_ms,
        };
        // Texts and numbers always have a JSON form.
        serde_json::to_string(&frame).ok()
    }

    fn is_told(&self, snapshot: &Snapshot) -> bool {
        self.lost == snapshot.contact.lost
            && self.outages == snapshot.contact.outages.len()
            && self.unseen == snapshot.unseen
            && self.complete == snapshot.complete
    }
}
