//! What the API server was asked, by whom: its audit log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use super::error::{Doing, Result};

/// File name in the folder of the logs.
pub(crate) const FILE: &str = "audit.log";

/// One request that was answered, or one watch that ended.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// `ResponseStarted` (watches), `ResponseComplete` or `Panic`.
    pub stage: String,
    /// Path and query.
    #[serde(rename = "requestURI")]
    pub request_uri: String,
    /// As of RBAC: `get`, `list`, `watch`, `patch` and so on.
    pub verb: String,
    /// Who asked.
    pub user: User,
    /// Which program it says that it is.
    #[serde(default)]
    pub user_agent: String,
    /// What it was about.
    pub object_ref: Option<ObjectRef>,
    /// What was answered.
    pub response_status: Option<ResponseStatus>,
    /// When the request arrived.
    pub request_received_timestamp: Timestamp,
    /// When this stage was reached.
    pub stage_timestamp: Timestamp,
    /// What admission plugins noted.
    #[serde(default)]
    pub annotations: std::collections::BTreeMap<String, String>,
}

/// Verbs that change an object.
const WRITES: [&str; 4] = ["create", "update", "patch", "delete"];
/// Where the audit log has the uid of the pod that a token is bound to.
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";

impl AuditEvent {
    /// Whether the API server accepted a change of an object by the token of the pod with this uid.
    /// Events are no objects in this sense.
    #[must_use]
    pub fn is_write_of(&self, pod_uid: &str) -> bool {
        let of_pod = self
            .user
            .extra
            .get(POD_UID)
            .is_some_and(|uids| uids.iter().any(|uid| uid == pod_uid));
        let accepted = self
            .response_status
            .as_ref()
            .is_some_and(|status| status.code < 300);
        let object = self.object_ref.as_ref();
        of_pod
            && accepted
            && self.stage == "ResponseComplete"
            && WRITES.contains(&self.verb.as_str())
            && object.is_some_and(|object| object.resource != "events")
    }
}

/// Who asked.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct User {
    /// For a service account `system:serviceaccount:<namespace>:<name>`.
    #[serde(default)]
    pub username: String,
    /// For a pod's token its name, uid and node.
    #[serde(default)]
    pub extra: std::collections::BTreeMap<String, Vec<String>>,
}

/// The object of a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ObjectRef {
    /// Plural, such as `leases`.
    pub resource: String,
    /// Such as `status`.
    pub subresource: String,
    /// Empty for objects without one.
    pub namespace: String,
    /// Empty for lists.
    pub name: String,
}

/// The answer to a request.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ResponseStatus {
    /// HTTP status.
    #[serde(default)]
    pub code: u16,
    /// Why not, where it was refused.
    #[serde(default)]
    pub message: String,
}

/// Reads the audit log from where it read last.
#[derive(Debug)]
pub struct AuditLog {
    path: PathBuf,
    offset_bytes: u64,
}

impl AuditLog {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            offset_bytes: 0,
        }
    }

    /// Skips all that has been written so far.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn skip(&mut self) -> Result<()> {
        self.read().map(drop)
    }

    /// Events written since the last call.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn read(&mut self) -> Result<Vec<AuditEvent>> {
        let action = || format!("read {}", self.path.display());
        let mut file = File::open(&self.path).doing(action)?;
        file.seek(SeekFrom::Start(self.offset_bytes))
            .doing(action)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).doing(action)?;
        // The last line may be half written: it is for the next call.
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        let lines = bytes[..whole]
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let events = lines
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()
            .doing(action)?;
        self.offset_bytes += whole as u64;
        Ok(events)
    }
}
