//! Changes a YAML text by RFC 6902 operations: what is not changed keeps its bytes, comments and
//! order included.
//!
//! What comes out is read again and compared with what should have: a text that this cannot change
//! (an alias where something must be added, for instance) is refused, never spoilt.

use ::inject::Add;
use serde_json::Value;
use yaml_edit::{Document, Mapping, Sequence, YamlFile, YamlNode, YamlValue};

/// One change of a document.
#[derive(Debug)]
pub(crate) enum Change<'a> {
    /// Puts a value.
    Add(&'a Add),
    /// Takes away what is at a JSON Pointer.
    Remove(&'a str),
}

/// A text of one or more documents.
pub(crate) struct Text {
    file: YamlFile,
    documents: Vec<Document>,
}

impl Text {
    /// Reads a text. JSON is YAML, too.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: YamlFile = text.parse().map_err(|error| format!("no YAML: {error}"))?;
        let documents = file.documents().collect();
        Ok(Self { file, documents })
    }

    /// How many documents there are.
    pub(crate) fn len(&self) -> usize {
        self.documents.len()
    }

    /// A document as JSON.
    pub(crate) fn value(&self, index: usize) -> Result<Value, String> {
        let text = self.documents[index].to_string();
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_saphyr::from_str(&text).map_err(|error| format!("no YAML: {error}"))
    }

    /// Changes a document.
    pub(crate) fn change(&self, index: usize, changes: &[Change<'_>]) -> Result<(), String> {
        let mut expected = self.value(index)?;
        for change in changes {
            let (path, done) = match change {
                Change::Add(add) => (add.path.as_str(), self.add(index, add)),
                Change::Remove(path) => (*path, self.remove(index, path)),
            };
            let operation = match change {
                Change::Add(add) => serde_json::json!([add]),
                Change::Remove(path) => serde_json::json!([{"op": "remove", "path": path}]),
            };
            let patched = serde_json::from_value(operation)
                .ok()
                .and_then(|patch: json_patch::Patch| json_patch::patch(&mut expected, &patch).ok());
            if done.is_none() || patched.is_none() {
                return Err(format!("cannot change {path} in this text"));
            }
        }
        if without_nulls(self.value(index)?) == without_nulls(expected) {
            Ok(())
        } else {
            Err("cannot change this text without spoiling it; -o json works".to_owned())
        }
    }

    fn add(&self, index: usize, add: &Add) -> Option<()> {
        let (parent, last) = add.path.rsplit_once('/')?;
        let key = unescaped(last);
        let value = add.value.value();
        match self.node(index, parent)? {
            // JSON null is as good as absent.
            Node::Mapping(mapping) if value.is_null() => {
                mapping.remove(key.as_str());
            }
            Node::Mapping(mapping) => mapping.set(key.as_str(), yaml(&value)),
            Node::Sequence(list) if key == "-" => list.push(yaml(&value)),
            Node::Sequence(list) => list.insert(key.parse().ok()?, yaml(&value)),
        }
        Some(())
    }

    fn remove(&self, index: usize, path: &str) -> Option<()> {
        let (parent, last) = path.rsplit_once('/')?;
        let key = unescaped(last);
        match self.node(index, parent)? {
            Node::Mapping(mapping) => mapping.remove(key.as_str()).map(drop),
            Node::Sequence(list) => list.remove(key.parse().ok()?).map(drop),
        }
    }

    /// The collection at a JSON Pointer.
    fn node(&self, index: usize, pointer: &str) -> Option<Node> {
        let document = &self.documents[index];
        let mut node = Node::Mapping(document.as_mapping()?);
        for step in pointer.split('/').skip(1) {
            let key = unescaped(step);
            let inner = match node {
                Node::Mapping(mapping) => mapping.get(key.as_str())?,
                Node::Sequence(list) => list.get(key.parse().ok()?)?,
            };
            node = match inner {
                YamlNode::Mapping(mapping) => Node::Mapping(mapping),
                YamlNode::Sequence(list) => Node::Sequence(list),
                YamlNode::Scalar(_) | YamlNode::Alias(_) | YamlNode::TaggedNode(_) => return None,
            };
        }
        Some(node)
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file)
    }
}

enum Node {
    Mapping(Mapping),
    Sequence(Sequence),
}

fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

fn yaml(value: &Value) -> YamlValue {
    match value {
        Value::Null => yaml_edit::ScalarValue::null().into(),
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64().unwrap_or_default().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => YamlValue::Sequence(items.iter().map(yaml).collect()),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| (key.clone(), yaml(value)));
            YamlValue::Mapping(entries.collect())
        }
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inject::Json;
    use serde_json::json;

    #[test]
    fn what_is_not_changed_keeps_its_bytes() {
        let text = "# first\nkind: A # kind\nspec:\n  # why\n  list:\n  - {name: b}   # b\n---\n\
                    kind: B\n";
        let parsed = Text::parse(text).unwrap();
        assert_eq!(parsed.len(), 2);
        let add = |path: &str, value: Value| Add {
            path: path.to_owned(),
            value: Json::of(&value),
        };
        let adds = [
            add("/spec/list/0", json!({"name": "a", "on": "true", "n": 5})),
            add("/spec/list/-", json!("c")),
            add("/spec/x~1y", json!("1")),
        ];
        let changes: Vec<Change<'_>> = adds.iter().map(Change::Add).collect();
        parsed.change(0, &changes).unwrap();
        let changed = parsed.to_string();
        for kept in [
            "# first\nkind: A # kind\nspec:\n  # why\n  list:\n",
            "  - {name: b}   # b\n",
            "---\nkind: B\n",
        ] {
            assert!(changed.contains(kept), "{changed}");
        }
        parsed
            .change(
                0,
                &[Change::Remove("/spec/x~1y"), Change::Remove("/spec/list/2")],
            )
            .unwrap();
        parsed.change(0, &[Change::Remove("/spec/list/0")]).unwrap();
        assert_eq!(parsed.to_string(), text);
    }
}
