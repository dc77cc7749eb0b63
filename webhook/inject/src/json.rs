//! JSON that is only written on, as the text that it will be.
//!
//! A patch is made once and read by others. As a tree it would cost more than all else of a review.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// The text of one JSON value.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// What `value` is as JSON.
    ///
    /// # Panics
    /// If it has no form in JSON, such as a map whose keys are no texts.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Self {
        Self(to_raw_value(value).expect("what is put into objects can be written as JSON"))
    }

    /// The base64 of `bytes`. As a plain text, it would be searched for what has to be escaped.
    pub(crate) fn base64(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4 + 2);
        text.push('"');
        BASE64.encode_string(bytes, &mut text);
        text.push('"');
        Self(RawValue::from_string(text).expect("base64 in quotes is JSON"))
    }

    /// It as text.
    pub(crate) fn text(&self) -> &str {
        self.0.get()
    }

    /// The same as a tree, for who has to look into it.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
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
    }
}
