//! `docs/failure-modes.md` has a row for each failure mode, and the tests that it names exist.

use std::collections::BTreeSet;
use std::fs;

use crate::tidy::root;

const PAGE: &str = "docs/failure-modes.md";
/// Failure modes are c1 to this one.
const LAST: usize = 37;
/// What a row says where something is shown by no test.
const NOT_COVERED: &str = "*not covered yet*";

/// A row of one of the tables.
struct Row {
    number: usize,
    /// What is done about it.
    here: String,
    /// The tests that show it.
    shown: String,
}

fn rows(page: &str) -> Vec<Row> {
    let lines = page.lines().filter(|line| line.starts_with("| <a id="));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [anchor, _failure, here, shown] = cells[..] else {
            panic!("four cells, none of them with a bar in it: {line}");
        };
        let (id, name) = anchor
            .split_once("></a>")
            .expect("an anchor, then its name");
        assert_eq!(id, format!("<a id=\"{name}\""), "an anchor is its name");
        let number = name.strip_prefix('c').and_then(|name| name.parse().ok());
        Row {
            number: number.unwrap_or_else(|| panic!("{name:?} is no failure mode")),
            here: here.to_owned(),
            shown: shown.to_owned(),
        }
    };
    lines.map(row).collect()
}

/// The tests of a cell, each behind the last file that was linked before it.
fn cited(cell: &str) -> Vec<(&str, &str)> {
    let mut cited = Vec::new();
    for part in cell.split("](../").skip(1) {
        let (file, rest) = part.split_once(')').expect("a link ends");
        let names = rest.split('`').skip(1).step_by(2);
        let before = cited.len();
        cited.extend(names.map(|name| (file, name)));
        assert!(cited.len() > before, "{file} is linked for no test");
    }
    cited
}

/// Whether this is a test of the file, or a folder of the golden folder.
fn exists(file: &str, name: &str) -> bool {
    let path = root().join(file);
    if path.is_dir() {
        return path.join(name).is_dir();
    }
    let text = fs::read_to_string(&path).unwrap_or_default();
    is_test_of(&text, name)
}

fn is_test_of(text: &str, name: &str) -> bool {
    let function = text
        .split_once(&format!("fn {name}("))
        .is_some_and(|(before, _)| {
            let above = before.rsplit('\n').nth(1);
            above.is_some_and(is_test_attribute)
        });
    // A case of a harness of its own, or an invariant.
    function || text.contains(&format!("\"{name}\"")) || text.contains(&format!("//! - {name}: "))
}

fn is_test_attribute(line: &str) -> bool {
    let line = line.trim();
    line == "#[test]" || line.starts_with("#[tokio::test")
}

#[test]
fn each_failure_mode_has_a_row_with_tests_that_exist_or_a_plain_no() {
    let page = fs::read_to_string(root().join(PAGE)).expect("the page is there");
    let rows = rows(&page);
    let numbers: Vec<usize> = rows.iter().map(|row| row.number).collect();
    let different: BTreeSet<usize> = numbers.iter().copied().collect();
    assert_eq!(different, (1..=LAST).collect(), "one row each: {numbers:?}");
    assert_eq!(numbers.len(), LAST, "one row each: {numbers:?}");
    let mut wrong = Vec::new();
    for Row {
        number,
        here,
        shown,
    } in &rows
    {
        let tests = cited(shown);
        if tests.is_empty() && !shown.contains(NOT_COVERED) {
            wrong.push(format!("c{number} names no test, and does not say so"));
        }
        if here.starts_with("Cannot occur") && !here.contains("](../") {
            wrong.push(format!("c{number} cannot occur, and no file shows why"));
        }
        for (file, name) in tests {
            if !exists(file, name) {
                wrong.push(format!("c{number}: {file} has no test {name:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{PAGE}:\n  {}", wrong.join("\n  "));
}

#[test]
fn a_name_is_a_test_only_where_it_stands_as_one() {
    let text = "//! - I1: at most one\n#[test]\nfn is_one() {}\n\nfn is_none() {}\n\
                #[tokio::test(start_paused = true)]\nasync fn waits() {}\n\
                name: \"moves: a case\",\n";
    for (name, expected) in [
        ("is_one", true),
        ("waits", true),
        ("moves: a case", true),
        ("I1", true),
        ("is_none", false),
        ("is", false),
        ("moves", false),
        ("I2", false),
    ] {
        assert_eq!(is_test_of(text, name), expected, "{name}");
    }
    let cell = "[a](../tests/a.rs): `one`, `two`; [b](../tests/b.rs): `three`. Rest: no";
    let expected = [
        ("tests/a.rs", "one"),
        ("tests/a.rs", "two"),
        ("tests/b.rs", "three"),
    ];
    assert_eq!(cited(cell), expected);
}
