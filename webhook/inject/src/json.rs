//! JSON that is only written on, as the text that it will be.
//!
//! A patch is made once and read by others. As a tree it would cost more than all else of a review.

use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// What most texts need, bytes.
const TEXT_BYTES: usize = 256;

/// The text of one JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// What `value` is as JSON.
    ///
    /// # Panics
    /// If it has no form in JSON, such as a map whose keys are no texts.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Self {
        Self::sized(TEXT_BYTES, value)
    }

    /// The same for a text of about so many bytes.
    pub(crate) fn sized(bytes: usize, value: &(impl Serialize + ?Sized)) -> Self {
        let mut text = Vec::with_capacity(bytes);
        let written = serde_json::to_writer(&mut text, value);
        written.expect("what is put into objects can be written as JSON");
        Self(String::from_utf8(text).expect("JSON is UTF-8"))
    }

    /// A list with this one element.
    pub(crate) fn list(self) -> Self {
        Self(["[", &self.0, "]"].concat())
    }

    /// It as text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The same as a tree, for who has to look into it.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// An object with these entries.
pub(crate) struct Entries<'a, V>(pub(crate) &'a [(&'a str, V)]);

impl<V: Serialize> Serialize for Entries<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_the_same_in_whatever_it_is_written_into() {
        let value = json!({"list": [1, "two"], "none": null});
        let written = Json::of(&value);
        assert_eq!(written.value(), value);
        assert_eq!(json!([written]), json!([value]));
        let text = serde_json::to_string(&[&written]).unwrap();
        assert_eq!(text, format!("[{value}]"));
        assert_eq!(written.list().text(), text);
    }
}
