//! What all API objects have in common, as far as it is read here.
//!
//! Objects are read into small types of our own: fields that nothing depends on are skipped while
//! they are parsed, and never stored.

use election::{TERM_MAX, Version};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `metadata`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Meta {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) resource_version: String,
    pub(crate) creation_timestamp: Option<String>,
    pub(crate) deletion_timestamp: Option<String>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    pub(crate) owner_references: Option<Vec<OwnerReference>>,
}

/// An entry of `metadata.ownerReferences`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OwnerReference {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) controller: Option<bool>,
}

/// Why an object cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It is not JSON of the expected shape.
    #[error("read the object as JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// Its resourceVersion is no number, so that old and new cannot be told apart.
    #[error("read resourceVersion {0:?} as a number")]
    Version(String),
}

impl Meta {
    pub(crate) fn version(&self) -> Result<Version, Unreadable> {
        version(&self.resource_version)
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref()?.get(key).map(String::as_str)
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// The term annotation, if it is one.
    pub(crate) fn term(&self) -> Option<u64> {
        let text = self.annotation(common::contract::TERM)?;
        text.parse().ok().filter(|term| *term <= TERM_MAX)
    }

    /// creationTimestamp, seconds since 1970; 0 if it is absent.
    pub(crate) fn created_s(&self) -> i64 {
        let created = self
            .creation_timestamp
            .as_ref()
            .and_then(|text| text.parse().ok());
        created.map_or(0, Timestamp::as_second)
    }
}

/// A resourceVersion as a number.
pub(crate) fn version(text: &str) -> Result<Version, Unreadable> {
    text.parse()
        .map(Version)
        .map_err(|_| Unreadable::Version(text.to_owned()))
}

/// Reads an object from JSON.
pub(crate) fn read<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, Unreadable> {
    serde_json::from_slice(json).map_err(Unreadable::Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_that_an_elector_writes_are_terms() {
        let term = |text: &str| {
            let annotations = BTreeMap::from([(common::contract::TERM.into(), text.into())]);
            Meta {
                annotations: Some(annotations),
                ..Meta::default()
            }
            .term()
        };
        assert_eq!(term("7"), Some(7));
        assert_eq!(term("999999999"), Some(TERM_MAX));
        for text in ["1000000000", "-1", "", "7 ", "seven"] {
            assert_eq!(term(text), None, "{text:?}");
        }
    }

    #[test]
    fn reads_versions_and_times() {
        let meta: Meta = read(
            br#"{"resourceVersion":"42","creationTimestamp":"1970-01-01T00:01:00Z","labels":null}"#,
        )
        .unwrap();
        assert_eq!(meta.version().unwrap(), Version(42));
        assert_eq!(meta.created_s(), 60);
        assert_eq!(meta.label("a"), None);
        assert!(version("abc").is_err());
    }
}
