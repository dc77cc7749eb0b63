//! Admission reviews (admission.k8s.io/v1) as they come in and go out.
//!
//! Types of our own: kube-core's would parse the object into its own types, and writes a patch as a
//! list of numbers where the API server expects base64.

use crate::decision::{Decision, RequestInfo};
use crate::patch::{self, Add};
use crate::policy::WorkloadKind;
use crate::reason::Reasons;
use crate::sieve::{self, Keep, Kept, Sifted};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Longest warning, characters: the API server may cut what is longer.
const WARNING_CHARS_MAX: usize = 256;
/// Longest message of a refusal, characters.
const MESSAGE_CHARS_MAX: usize = 4096;
/// Most warnings of one answer; together they stay within what an HTTP header holds.
const WARNINGS_MAX: usize = 14;
const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// The only resources that reviews are about here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Core pods.
    Pod,
    /// Core Services.
    Service,
    /// Deployments, StatefulSets and the like.
    Workload,
}

impl Resource {
    /// What reviews of it are about, in words.
    fn name(self) -> &'static str {
        match self {
            Self::Pod => "core/v1 Pod",
            Self::Service => "core/v1 Service",
            Self::Workload => "workloads of apps/v1 and batch/v1",
        }
    }

    fn is(self, found: &WireKind) -> bool {
        let core = |kind: &str| found.group.is_empty() && found.kind == kind;
        let of_kind = match self {
            Self::Pod => core("Pod"),
            Self::Service => core("Service"),
            Self::Workload => {
                WorkloadKind::parse(&found.kind).is_some_and(|kind| kind.group() == found.group)
            }
        };
        of_kind && found.version == "v1"
    }
}

/// What the API server asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// Comes back in the answer.
    pub uid: String,
    /// Kind of the object.
    pub kind: String,
    /// Namespace of the object; the object's own may be empty.
    pub namespace: String,
    /// Whether the object is being created.
    pub is_create: bool,
    /// Whether nothing may be written on behalf of this request.
    pub dry_run: bool,
    /// The object: raw JSON, of which what nobody here looks at was skipped.
    pub object: Value,
    /// What it was before; none on creation.
    pub old_object: Option<Value>,
}

/// Why a body is no review that can be answered.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It does not parse.
    #[error("the body is no {KIND}: {0}")]
    Unreadable(#[source] serde_json::Error),
    /// It is a review of another version.
    #[error("the body is {kind} of {api_version}; expected {KIND} of {API_VERSION}")]
    OtherVersion {
        /// Its kind.
        kind: String,
        /// Its apiVersion.
        api_version: String,
    },
    /// It asks nothing.
    #[error("the review has no request, or one without uid or object")]
    NoRequest,
    /// It asks about something else.
    #[error("the review is about {found}; this path answers for {expected}")]
    OtherKind {
        /// The kind it is about.
        found: String,
        /// The kind that belongs here.
        expected: &'static str,
    },
}

impl Review {
    /// Reads a review about `resource`.
    ///
    /// # Errors
    /// For everything else. There is no answer then: without a uid the API server takes none.
    pub fn parse(body: &[u8], resource: Resource) -> Result<Self, ReviewError> {
        match resource {
            Resource::Pod => Self::parse_as::<PodObject>(body, resource),
            Resource::Service => Self::parse_as::<ServiceObject>(body, resource),
            Resource::Workload => Self::parse_as::<WorkloadObject>(body, resource),
        }
    }

    fn parse_as<K: Kept>(body: &[u8], resource: Resource) -> Result<Self, ReviewError> {
        let wire: Wire<K> = serde_json::from_slice(body).map_err(ReviewError::Unreadable)?;
        if wire.api_version != API_VERSION || wire.kind != KIND {
            let (kind, api_version) = (wire.kind, wire.api_version);
            return Err(ReviewError::OtherVersion { kind, api_version });
        }
        let request = wire.request.ok_or(ReviewError::NoRequest)?;
        let of = &request.kind;
        if !resource.is(of) {
            let found = format!("{}/{} {}", of.group, of.version, of.kind);
            return Err(ReviewError::OtherKind {
                found,
                expected: resource.name(),
            });
        }
        let object = request.object.0;
        if request.uid.is_empty() || object.is_null() {
            return Err(ReviewError::NoRequest);
        }
        Ok(Self {
            uid: request.uid,
            kind: request.kind.kind,
            namespace: request.namespace,
            is_create: request.operation == "CREATE",
            dry_run: request.dry_run.unwrap_or(false),
            object,
            old_object: Some(request.old_object.0).filter(|old| !old.is_null()),
        })
    }

    /// What [`crate::decide`] needs to know of it.
    pub fn info(&self) -> RequestInfo<'_> {
        RequestInfo {
            namespace: &self.namespace,
            is_create: self.is_create,
            account_missing: false,
        }
    }
}

/// The answer to a review.
#[derive(Debug)]
#[must_use]
pub struct Answer {
    envelope: Envelope,
    /// What is done to the object: the text of a JSON patch.
    patch: Option<Vec<u8>>,
}

impl Answer {
    /// Lets the object in as it is.
    pub fn allow(uid: &str) -> Self {
        Self::new(uid, true)
    }

    /// Lets the object in with these operations on it.
    ///
    /// # Errors
    /// If the operations cannot be written as JSON.
    pub fn patch(uid: &str, ops: &[impl Serialize]) -> Result<Self, serde_json::Error> {
        let patch = (!ops.is_empty()).then(|| serde_json::to_vec(ops));
        Ok(Self {
            patch: patch.transpose()?,
            ..Self::allow(uid)
        })
    }

    /// The answer as JSON. The patch comes last, and is not searched for what has to be escaped:
    /// base64 has nothing of the kind.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(&self.envelope)?;
        if let Some(patch) = &self.patch {
            text.truncate(text.len() - END.len());
            text.reserve_exact(PATCH_BEGIN.len() + patch.len().div_ceil(3) * 4 + PATCH_END.len());
            text.push_str(PATCH_BEGIN);
            BASE64.encode_string(patch, &mut text);
            text.push_str(PATCH_END);
        }
        Ok(text)
    }

    /// Refuses the object.
    pub fn deny(uid: &str, reasons: &Reasons) -> Self {
        let mut answer = Self::new(uid, false);
        let message = clip_to(&reasons.to_string(), MESSAGE_CHARS_MAX);
        answer.envelope.response.status = Some(Status {
            message,
            reason: "Forbidden",
            code: 403,
        });
        answer
    }

    /// The answer that a decision comes to.
    ///
    /// # Errors
    /// If the patch cannot be written as JSON.
    pub fn of(uid: &str, decision: &Decision) -> Result<Self, serde_json::Error> {
        let answer = match decision {
            Decision::Skip(reason) => Self::allow(uid).noting("reason", reason.code()),
            Decision::Deny { reasons, warnings } => Self::deny(uid, reasons)
                .warning(warnings)
                .noting("reason", reasons.code())
                .noting("reasons", &reasons.codes()),
            Decision::Patch(injection) => Self::adding(uid, &injection.ops)?
                .warning(&injection.warnings)
                .noting("group", injection.group.as_str()),
        };
        Ok(answer.noting("decision", decision.code()))
    }

    /// With warnings for whoever sent the object: ASCII, of bounded number and length.
    pub fn warning(mut self, warnings: &[String]) -> Self {
        let room = match warnings.len() {
            all if all <= WARNINGS_MAX => all,
            _ => WARNINGS_MAX - 1,
        };
        let (said, unsaid) = warnings.split_at(room);
        let said = said.iter().map(|warning| clip(warning));
        let into = &mut self.envelope.response.warnings;
        into.extend(said);
        if !unsaid.is_empty() {
            into.push(format!("and {} more warnings", unsaid.len()));
        }
        self
    }

    /// With an audit annotation. The API server puts the webhook's name before the key.
    pub fn noting(mut self, key: &'static str, value: &str) -> Self {
        let noted = &mut self.envelope.response.audit_annotations;
        noted.insert(key, value.to_owned());
        self
    }

    fn new(uid: &str, allowed: bool) -> Self {
        let response = Response {
            uid: uid.to_owned(),
            allowed,
            ..Response::default()
        };
        let envelope = Envelope {
            api_version: API_VERSION,
            kind: KIND,
            response,
        };
        Self {
            envelope,
            patch: None,
        }
    }

    fn adding(uid: &str, adds: &[Add]) -> Result<Self, serde_json::Error> {
        let patch = (!adds.is_empty()).then(|| patch::text(adds));
        Ok(Self {
            patch: patch.transpose()?,
            ..Self::allow(uid)
        })
    }
}

/// What an answer ends with: the ends of the response and of its envelope.
const END: &str = "}}";
const PATCH_BEGIN: &str = r#","patchType":"JSONPatch","patch":""#;
const PATCH_END: &str = r#""}}"#;

fn clip(warning: &str) -> String {
    let ascii = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    let warning: String = warning
        .chars()
        .take(WARNING_CHARS_MAX + 1)
        .map(ascii)
        .collect();
    clip_to(&warning, WARNING_CHARS_MAX)
}

/// A text of at most `chars_max` characters; one that was longer says so.
fn clip_to(text: &str, chars_max: usize) -> String {
    if text.chars().nth(chars_max).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max - 3).collect();
    kept + "..."
}

/// An answer but for its patch. The response is last: see [`Answer::text`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    api_version: &'static str,
    kind: &'static str,
    response: Response,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    uid: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Status {
    message: String,
    reason: &'static str,
    code: u16,
}

struct PodObject;

impl Kept for PodObject {
    const KEEP: &'static Keep = &sieve::POD;
}

struct ServiceObject;

impl Kept for ServiceObject {
    const KEEP: &'static Keep = &sieve::SERVICE;
}

struct WorkloadObject;

impl Kept for WorkloadObject {
    const KEEP: &'static Keep = &sieve::WORKLOAD;
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "K: Kept"))]
struct Wire<K> {
    #[serde(rename = "apiVersion", default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<WireRequest<K>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "K: Kept"))]
struct WireRequest<K> {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    kind: WireKind,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    object: Sifted<K>,
    #[serde(default)]
    old_object: Sifted<K>,
    dry_run: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireKind {
    group: String,
    version: String,
    kind: String,
}

#[cfg(test)]
mod tests;
