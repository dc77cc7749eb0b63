//! The objects of manifests, those in lists as well, and where they stand.

use serde_json::Value;

/// How deep lists may hold lists.
const DEPTH_MAX: usize = 4;

/// Where an object stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the file.
    pub(super) file: usize,
    /// Index of the document in it.
    pub(super) document: usize,
    /// JSON Pointer in that; "" for the document itself.
    pub(super) at: String,
}

/// An object.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pub(super) place: Place,
    pub(super) value: &'a Value,
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    /// Where it goes.
    pub(super) namespace: &'a str,
}

impl Object<'_> {
    /// As kubectl names it.
    pub(super) fn title(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// An annotation of its own.
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        text(self.value.get("metadata")?.get("annotations")?, key)
    }

    /// Whether this is the one of that name.
    pub(super) fn is(&self, kind: &str, namespace: &str, name: &str) -> bool {
        (self.kind, self.namespace, self.name) == (kind, namespace, name)
    }
}

/// A text of a JSON object.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// The elements of a list of a JSON object.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let list = value.get(key).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

/// The objects of all documents, `(file, document, value)` each. `namespace` is where those go that
/// name none.
pub(super) fn all<'a>(values: &'a [(usize, usize, Value)], namespace: &'a str) -> Vec<Object<'a>> {
    let mut found = Vec::new();
    for (file, document, value) in values {
        let place = Place {
            file: *file,
            document: *document,
            at: String::new(),
        };
        collect(value, place, namespace, DEPTH_MAX, &mut found);
    }
    found
}

fn collect<'a>(
    value: &'a Value,
    place: Place,
    namespace: &'a str,
    depth: usize,
    found: &mut Vec<Object<'a>>,
) {
    if value.get("items").is_some_and(Value::is_array) {
        for (index, item) in list(value, "items")
            .iter()
            .enumerate()
            .filter(|_| depth > 0)
        {
            let place = Place {
                at: format!("{}/items/{index}", place.at),
                ..place
            };
            collect(item, place, namespace, depth - 1, found);
        }
        return;
    }
    let metadata = value.get("metadata").unwrap_or(&Value::Null);
    if let (Some(kind), Some(name)) = (text(value, "kind"), text(metadata, "name")) {
        found.push(Object {
            place,
            value,
            kind,
            name,
            namespace: text(metadata, "namespace").unwrap_or(namespace),
        });
    }
}
