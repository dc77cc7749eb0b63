//! RFC 6902 patches that add and do nothing else.
//!
//! The type has no other operation. A `test`, `remove` or `replace` that does not apply is an
//! internal error of the API server, which rejects the pod whatever the failure policy says.

use serde::Serialize;
use serde_json::{Map, Value};

/// One operation: puts `value` at `path`, over what may be there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename = "add")]
pub struct Add {
    /// JSON Pointer, RFC 6901.
    pub path: String,
    /// What stands there afterwards; inserted where `path` ends in an index of an array.
    pub value: Value,
}

/// A JSON Pointer under construction; keys are escaped on the way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer(String);

impl Pointer {
    /// A pointer along keys of objects.
    pub(crate) fn to(keys: &[&str]) -> Self {
        keys.iter().fold(Self(String::new()), |at, key| at.key(key))
    }

    /// The member `key` of the object here.
    pub(crate) fn key(&self, key: &str) -> Self {
        Self(format!(
            "{}/{}",
            self.0,
            key.replace('~', "~0").replace('/', "~1")
        ))
    }

    /// The element `index` of the array here.
    pub(crate) fn index(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// The place behind the last element of the array here.
    fn end(&self) -> Self {
        Self(format!("{}/-", self.0))
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
    pub(crate) fn set(&mut self, at: Pointer, value: Value) {
        self.ops.push(Add {
            path: at.into_string(),
            value,
        });
    }

    /// Gives the object at `at` these entries; one that has them already is left alone. An object
    /// that is absent is made in the same operation.
    pub(crate) fn merge(
        &mut self,
        at: &Pointer,
        existing: Option<&Map<String, Value>>,
        entries: Map<String, Value>,
    ) {
        match existing {
            None if entries.is_empty() => {}
            None => self.set(at.clone(), Value::Object(entries)),
            Some(existing) => {
                for (key, value) in entries {
                    if existing.get(&key) != Some(&value) {
                        self.set(at.key(&key), value);
                    }
                }
            }
        }
    }

    /// Puts `items` behind the last element of the array at `at`, which is made if it is absent.
    pub(crate) fn append(&mut self, at: &Pointer, exists: bool, items: Vec<Value>) {
        if !exists && !items.is_empty() {
            self.set(at.clone(), Value::Array(items));
            return;
        }
        for item in items {
            self.set(at.end(), item);
        }
    }

    /// Puts `item` before the first element of the array at `at`, which is made if it is absent.
    pub(crate) fn prepend(&mut self, at: &Pointer, exists: bool, item: Value) {
        if exists {
            self.set(at.index(0), item);
        } else {
            self.set(at.clone(), Value::Array(vec![item]));
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
        let op = Add {
            path: "/a".to_owned(),
            value: json!(1),
        };
        assert_eq!(
            serde_json::to_value(op).unwrap(),
            json!({"op": "add", "path": "/a", "value": 1})
        );
    }
}
