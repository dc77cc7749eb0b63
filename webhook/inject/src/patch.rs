//! RFC 6902 patches that add and do nothing else.
//!
//! The type has no other operation. A `test`, `remove` or `replace` that does not apply is an
//! internal error of the API server, which rejects the pod whatever the failure policy says.

use crate::json::{Entries, Json};
use serde::Serialize;
use serde_json::{Map, Value};

/// What most pointers need, bytes.
const POINTER_BYTES: usize = 64;
/// What an operation has beside its path and its value, bytes.
const AROUND_BYTES: usize = 40;

/// One operation: puts `value` at `path`, over what may be there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename = "add")]
pub struct Add {
    /// JSON Pointer, RFC 6901.
    pub path: String,
    /// What stands there afterwards; inserted where `path` ends in an index of an array.
    pub value: Json,
}

/// The text of a patch. Each value has its own already: nothing of it is read or escaped again.
///
/// # Errors
/// If a path cannot be written as JSON; none has a reason to.
pub(crate) fn text(adds: &[Add]) -> Result<Vec<u8>, serde_json::Error> {
    let bytes = adds
        .iter()
        .map(|add| add.path.len() + add.value.text().len());
    let around = AROUND_BYTES * adds.len();
    let mut text = Vec::with_capacity(bytes.sum::<usize>() + around);
    for add in adds {
        text.push(if text.is_empty() { b'[' } else { b',' });
        text.extend_from_slice(br#"{"op":"add","path":"#);
        serde_json::to_writer(&mut text, &add.path)?;
        text.extend_from_slice(br#","value":"#);
        text.extend_from_slice(add.value.text().as_bytes());
        text.push(b'}');
    }
    text.push(b']');
    Ok(text)
}

/// A JSON Pointer under construction; keys are escaped on the way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer(String);

impl Pointer {
    /// A pointer along keys of objects.
    pub(crate) fn to(keys: &[&str]) -> Self {
        let mut pointer = Self(String::with_capacity(POINTER_BYTES));
        keys.iter().for_each(|key| pointer.push(key));
        pointer
    }

    /// The member `key` of the object here.
    pub(crate) fn key(&self, key: &str) -> Self {
        let mut pointer = Self(String::with_capacity(self.0.len() + POINTER_BYTES));
        pointer.0.push_str(&self.0);
        pointer.push(key);
        pointer
    }

    /// The element `index` of the array here.
    pub(crate) fn index(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// The place behind the last element of the array here.
    fn end(&self) -> Self {
        self.key("-")
    }

    fn push(&mut self, key: &str) {
        self.0.push('/');
        let mut rest = key;
        while let Some(at) = rest.find(['~', '/']) {
            self.0.push_str(&rest[..at]);
            self.0.push_str(if rest[at..].starts_with('~') {
                "~0"
            } else {
                "~1"
            });
            rest = &rest[at + 1..];
        }
        self.0.push_str(rest);
    }

    /// The pointer as text.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// Operations, in the order in which they apply.
#[derive(Debug, Default)]
pub(crate) struct Patch {
    ops: Vec<Add>,
}

impl Patch {
    /// Puts `value` at a place whose parent exists.
    pub(crate) fn set(&mut self, at: Pointer, value: &(impl Serialize + ?Sized)) {
        self.put(at, Json::of(value));
    }

    fn put(&mut self, at: Pointer, value: Json) {
        let path = at.into_string();
        self.ops.push(Add { path, value });
    }

    /// Gives the object at `at` these entries; one that has them already is left alone. An object
    /// that is absent is made in the same operation.
    pub(crate) fn merge<V>(
        &mut self,
        at: &Pointer,
        existing: Option<&Map<String, Value>>,
        entries: &[(&str, V)],
    ) where
        V: Serialize,
        Value: PartialEq<V>,
    {
        let Some(existing) = existing else {
            return self.set(at.clone(), &Entries(entries));
        };
        for (key, value) in entries {
            if existing.get(*key).is_none_or(|found| found != value) {
                self.set(at.key(key), value);
            }
        }
    }

    /// Puts `items` behind the last element of the array at `at`, which is made if it is absent.
    pub(crate) fn append(&mut self, at: &Pointer, exists: bool, items: &[impl Serialize]) {
        if !exists && !items.is_empty() {
            return self.set(at.clone(), items);
        }
        for item in items {
            self.set(at.end(), item);
        }
    }

    /// Puts `item` before the first element of the array at `at`, which is made if it is absent.
    pub(crate) fn prepend(&mut self, at: Pointer, exists: bool, item: Json) {
        if exists {
            self.put(at.index(0), item);
        } else {
            self.put(at, item.list());
        }
    }

    /// The finished patch.
    pub(crate) fn into_ops(self) -> Vec<Add> {
        self.ops
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_escaped() {
        let at = Pointer::to(&["metadata", "annotations"]).key("active-passive.dev/a~b");
        assert_eq!(
            at.into_string(),
            "/metadata/annotations/active-passive.dev~1a~0b"
        );
    }

    #[test]
    fn an_operation_is_an_add() {
        let add = |path: &str, value: Value| Add {
            path: path.to_owned(),
            value: Json::of(&value),
        };
        let adds = [add("/a", json!(1)), add("/\"\n", json!({"b": ["~"]}))];
        let wanted = json!([
            {"op": "add", "path": "/a", "value": 1},
            {"op": "add", "path": "/\"\n", "value": {"b": ["~"]}},
        ]);
        assert_eq!(serde_json::to_value(&adds).unwrap(), wanted);
        let text = text(&adds).unwrap();
        assert_eq!(text, serde_json::to_vec(&adds).unwrap());
    }
}
