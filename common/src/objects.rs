//! What all API objects have in common, as far as it is read here.
//!
//! Objects are read into small types of our own: fields that nothing depends on are skipped while
//! they are parsed, and never stored.

use crate::owner::Owner;
use serde::Deserialize;
use std::collections::BTreeMap;

/// `metadata`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name.
    pub name: String,
    /// Namespace; "" where the caller knows it.
    pub namespace: String,
    /// uid.
    pub uid: String,
    /// resourceVersion.
    pub resource_version: String,
    /// creationTimestamp, RFC 3339.
    pub creation_timestamp: Option<String>,
    /// deletionTimestamp, RFC 3339: it is on its way out.
    pub deletion_timestamp: Option<String>,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Owners.
    pub owner_references: Option<Vec<OwnerReference>>,
}

/// An entry of `metadata.ownerReferences`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OwnerReference {
    /// Kind of the owner.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Whether it is the one that manages the object.
    pub controller: Option<bool>,
}

impl Meta {
    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// The workload that it belongs to.
    pub fn owner(&self) -> Option<Owner> {
        let mut references = self.owner_references.iter().flatten();
        let controller = references.find(|owner| owner.controller == Some(true))?;
        Some(Owner::behind(&controller.kind, &controller.name, |key| {
            self.label(key)
        }))
    }
}
