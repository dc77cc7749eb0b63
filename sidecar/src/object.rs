//! How API objects are read: what of their metadata the elector depends on, and what is wrong with
//! those that cannot be used.

use common::objects::Meta;
use election::{TERM_MAX, Version};
use k8s_openapi::jiff::Timestamp;

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

/// What the elector reads in an object's metadata.
pub(crate) trait Reading {
    /// resourceVersion.
    fn version(&self) -> Result<Version, Unreadable>;
    /// The term annotation, if it is one.
    fn term(&self) -> Option<u64>;
    /// creationTimestamp, seconds since 1970; 0 if it is absent.
    fn created_s(&self) -> i64;
}

impl Reading for Meta {
    fn version(&self) -> Result<Version, Unreadable> {
        version(&self.resource_version)
    }

    fn term(&self) -> Option<u64> {
        let text = self.annotation(common::contract::TERM)?;
        text.parse().ok().filter(|term| *term <= TERM_MAX)
    }

    fn created_s(&self) -> i64 {
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
    use std::collections::BTreeMap;

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
