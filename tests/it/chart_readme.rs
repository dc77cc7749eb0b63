//! The chart's README: its table of values is made from `values.yaml`.

use std::fmt::Write;
use std::fs;

use serde_json::Value;

use crate::tidy::root;

const VALUES: &str = "charts/active-passive/values.yaml";
const README: &str = "charts/active-passive/README.md";
/// What follows is generated.
const HEAD: &str = "## Values\n";

/// One key of `values.yaml`, with the comment above it.
struct Entry {
    /// Keys from the root.
    path: Vec<String>,
    comment: String,
}

impl Entry {
    fn name(&self) -> String {
        self.path.join(".")
    }

    fn is_within(&self, other: &Self) -> bool {
        self.path.len() > other.path.len() && self.path.starts_with(&other.path)
    }
}

/// Every key, in the order of the file.
fn entries(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut comment = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if let Some(words) = line.strip_prefix('#') {
            comment.push(words.trim());
            continue;
        }
        let key = line.split_once(':').map(|(key, _)| key);
        let Some(key) = key.filter(|_| !line.starts_with('-')) else {
            comment.clear();
            continue;
        };
        open.retain(|(outer, _)| *outer < indent);
        open.push((indent, key.to_owned()));
        entries.push(Entry {
            path: open.iter().map(|(_, key)| key.clone()).collect(),
            comment: comment.join(" "),
        });
        comment.clear();
    }
    entries
}

/// The table, and what has no comment.
fn table(text: &str) -> (String, Vec<String>) {
    let values: Value = serde_saphyr::from_str(text).expect("values.yaml is YAML");
    let entries = entries(text);
    let mut table = String::from("\n| value | default | meaning |\n|---|---|---|\n");
    let mut silent = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let within = |other: &&Entry| other.is_within(entry);
        let inner: Vec<&Entry> = entries[index + 1..].iter().filter(within).collect();
        let explained_above = entries[..index]
            .iter()
            .any(|outer| entry.is_within(outer) && is_one_value(outer, &entries));
        if explained_above {
            continue;
        }
        if entry.comment.is_empty() {
            silent.push(entry.name());
        }
        let section = !inner.is_empty() && !is_one_value(entry, &entries);
        let default = if section {
            String::new()
        } else {
            let pointer = format!("/{}", entry.path.join("/"));
            let default = values.pointer(&pointer).expect("the key was just read");
            format!("`{default}`")
        };
        // Writing to a String cannot fail.
        writeln!(
            table,
            "| `{}` | {default} | {} |",
            entry.name(),
            entry.comment
        )
        .ok();
    }
    (table, silent)
}

/// Whether the comment of a key speaks for all that is in it.
fn is_one_value(entry: &Entry, entries: &[Entry]) -> bool {
    let mut inner = entries.iter().filter(|other| other.is_within(entry));
    !entry.comment.is_empty() && inner.all(|other| other.comment.is_empty())
}

/// `UPDATE=1` writes the table instead.
#[test]
fn readme_of_the_chart_has_every_value() {
    let read = |path: &str| fs::read_to_string(root().join(path)).expect("it is committed");
    let (table, silent) = table(&read(VALUES));
    assert!(silent.is_empty(), "{VALUES}: no comment above {silent:?}");
    let committed = read(README);
    let (above, _) = committed.split_once(HEAD).expect("it has the values");
    let expected = format!("{above}{HEAD}{table}");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root().join(README), &expected).expect("it can be written");
    } else {
        assert!(
            committed == expected,
            "{README} is out of date: UPDATE=1 make test ONLY=readme_of_the_chart"
        );
    }
}

#[test]
fn values_are_read_with_their_comments() {
    let text = "# The first.\none: 1\n\n# A section.\ntwo:\n  # With a key.\n  key: [a]\n  bare: {}\n\
                # One value.\nthree:\n  a: 1\n  b: 2\n";
    let (table, silent) = table(text);
    let rows = "| `one` | `1` | The first. |\n| `two` |  | A section. |\n\
                | `two.key` | `[\"a\"]` | With a key. |\n| `two.bare` | `{}` |  |\n\
                | `three` | `{\"a\":1,\"b\":2}` | One value. |\n";
    assert!(table.ends_with(rows), "{table}");
    assert_eq!(silent, ["two.bare"]);
}
