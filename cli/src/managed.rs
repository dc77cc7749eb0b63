//! Who has written what of an object, and when, as the API server keeps it.

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// What one program has written: an entry of `metadata.managedFields`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Managed {
    /// The program, as it names itself.
    pub(crate) manager: String,
    time: Option<String>,
    #[serde(rename = "fieldsV1")]
    fields: Option<Value>,
}

impl Managed {
    /// The program that has written this annotation.
    pub(crate) fn of_annotation<'a>(all: &'a [Self], key: &str) -> Option<&'a Self> {
        let key = format!("f:{key}");
        let wrote = |managed: &&Self| {
            let fields = managed.fields.as_ref();
            let written = fields.map(|it| &it["f:metadata"]["f:annotations"][&key]);
            written.is_some_and(|it| !it.is_null())
        };
        all.iter().find(wrote)
    }

    /// When it last changed something of what it has written.
    pub(crate) fn at(&self) -> Option<Timestamp> {
        self.time.as_ref()?.parse().ok()
    }
}
