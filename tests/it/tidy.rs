//! The rules of the house, executed: what neither the compiler nor a linter looks at.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One text file of the project.
struct Source {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|it| it == extension)
    }

    /// `path:line` and text of each line.
    fn lines(&self) -> impl Iterator<Item = (String, &str)> {
        let located = |(index, line)| (format!("{}:{}", self.path, index + 1), line);
        self.text.lines().enumerate().map(located)
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file, but for what is built, and for lock files, which others write.
fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder was just listed") {
            let entry = entry.expect("a folder of the project can be read");
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let locks = name == "Cargo.lock" || name.ends_with(".sum");
            if path.is_symlink() || locks || matches!(&*name, ".git" | "target") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let relative = path
                    .strip_prefix(root())
                    .expect("the walk begins at the root");
                found.push(Source {
                    path: relative.to_string_lossy().into_owned(),
                    text,
                });
            }
        }
    }
    assert!(
        found.len() > 50,
        "the walk found only {} files",
        found.len()
    );
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Fails with all violations at once.
fn none(violations: Vec<String>, rule: &str) {
    assert!(
        violations.is_empty(),
        "{rule}:\n  {}",
        violations.join("\n  ")
    );
}

#[test]
fn files_have_one_concern() {
    let limit = |source: &Source| match source.path.as_str() {
        "README.md" => Some(150),
        "ARCHITECTURE.md" => Some(200),
        _ => source.is("rs").then_some(500),
    };
    let violations = sources().into_iter().filter_map(|source| {
        let (lines, limit) = (source.text.lines().count(), limit(&source)?);
        (lines > limit).then(|| format!("{} has {lines} lines, {limit} are allowed", source.path))
    });
    none(
        violations.collect(),
        "a file over its limit has two concerns: split it",
    );
}

/// Words are put together here so that this file passes its own test.
#[test]
fn nothing_unfinished_and_nothing_of_one_machine() {
    let unfinished = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X"],
        ["todo", "!("],
        ["unimpl", "emented!("],
    ];
    let places = [["/wo", "rk/"], ["/ro", "ot/"], ["/ho", "me/"]];
    let registries = [
        ["crates", ".io"],
        ["static.", "rust-lang.org"],
        ["proxy.", "golang.org"],
        ["sum.", "golang.org"],
        ["deb.", "debian.org"],
        ["registry.", "npmjs.org"],
        ["py", "pi.org"],
    ];
    let banned: Vec<String> = unfinished
        .iter()
        .chain(&places)
        .chain(&registries)
        .map(|parts| parts.concat())
        .collect();
    let mut violations = Vec::new();
    for source in sources() {
        for (place, line) in source.lines() {
            for word in banned.iter().filter(|word| line.contains(word.as_str())) {
                violations.push(format!("{place}: {word}"));
            }
        }
    }
    none(
        violations,
        "finish it or open an issue; name no path or registry of one machine",
    );
}

#[test]
fn pure_crates_do_no_io() {
    let modules = [
        "std::env",
        "std::fs",
        "std::io",
        "std::net",
        "std::process",
        "std::thread",
        "Instant",
        "SystemTime",
        "rand::",
        "tokio",
        "kube::",
        "tracing",
    ];
    let crates = [
        "axum",
        "futures-util",
        "kube",
        "nix",
        "rand",
        "reqwest",
        "tokio",
        "tracing",
    ];
    let mut violations = Vec::new();
    for source in sources() {
        let pure = ["sidecar/election/", "webhook/inject/"]
            .iter()
            .any(|it| source.path.starts_with(it));
        if !pure {
            continue;
        }
        if source.path.ends_with("/Cargo.toml") {
            let normal = source
                .text
                .split("[dev-dependencies]")
                .next()
                .unwrap_or_default();
            let names = normal
                .lines()
                .filter_map(|line| line.split(['.', ' ', '=']).next());
            let bad = names.filter(|name| crates.contains(name));
            violations.extend(bad.map(|name| format!("{}: depends on {name}", source.path)));
        } else if source.is("rs") && source.path.contains("/src/") && !is_test(&source.path) {
            for (place, line) in source.lines() {
                // Tests stand at the end of a file and may read their golden files.
                if line.trim_start() == "#[cfg(test)]" {
                    break;
                }
                let code = line.split("//").next().unwrap_or_default();
                let bad = modules.iter().filter(|module| code.contains(**module));
                violations.extend(bad.map(|module| format!("{place}: {module}")));
            }
        }
    }
    none(
        violations,
        "time, randomness and IO are arguments of the pure crates",
    );
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[test]
fn documents_have_one_title_and_no_dead_links() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| source.is("md")) {
        let mut titles = 0;
        let mut fenced = false;
        for (place, line) in source.lines() {
            fenced ^= line.trim_start().starts_with("```");
            if fenced {
                continue;
            }
            titles += usize::from(line.starts_with("# "));
            for target in links(line) {
                let folder = root().join(&source.path).parent().map(Path::to_path_buf);
                let file = target.split('#').next().unwrap_or_default();
                if !file.is_empty() && !folder.is_some_and(|folder| folder.join(file).exists()) {
                    violations.push(format!("{place}: {target} is not there"));
                }
            }
        }
        if titles != 1 {
            violations.push(format!("{}: {titles} titles", source.path));
        }
    }
    none(
        violations,
        "a document has one title, and links to what exists",
    );
}

/// Targets of the Markdown links of a line that lead into the project.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

/// Whatever of the prefix is spelled in the contract.
pub(crate) fn contract_keys() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("common/src/contract.rs")).expect("the contract");
    keys_in(&text)
        .filter(|key| key.len() > "active-passive.dev/".len())
        .collect()
}

/// Every `active-passive.dev/...` in a text.
pub(crate) fn keys_in(text: &str) -> impl Iterator<Item = String> {
    let of_key = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-';
    text.split("active-passive.dev/").skip(1).map(move |rest| {
        let name: String = rest.chars().take_while(of_key).collect();
        format!("active-passive.dev/{name}")
    })
}

/// Tests may spell what a user would; the page of documentation shows an example.
#[test]
fn keys_are_spelled_in_the_contract_only() {
    let apart = ["common/src/contract.rs", "common/src/docs.rs"];
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| source.is("rs")) {
        let shipped = !source.path.starts_with("tests/") && !is_test(&source.path);
        if !shipped || apart.contains(&source.path.as_str()) {
            continue;
        }
        let of_tests = |(_, line): &(String, &str)| line.trim_start() == "#[cfg(test)]";
        for (place, line) in source.lines().take_while(|line| !of_tests(line)) {
            let code = line.split("//").next().unwrap_or_default();
            violations.extend(keys_in(code).map(|key| format!("{place}: {key}")));
        }
    }
    none(violations, "use the constant of common::contract");
}

#[test]
fn every_key_of_the_contract_is_documented() {
    let page = fs::read_to_string(root().join("docs/annotations.md")).expect("docs/annotations.md");
    let documented: BTreeSet<String> = keys_in(&page).collect();
    let keys = contract_keys();
    assert!(keys.len() > 25, "the contract has only {} keys", keys.len());
    let missing = keys.difference(&documented).cloned().collect();
    none(
        missing,
        "add the key to one of the tables of common/src/contract.rs, then `make docs`",
    );
}

#[test]
fn lock_file_holds_no_banned_crate() {
    let read = |name: &str| fs::read_to_string(root().join(name)).expect("it is committed");
    let (rules, lock) = (read("deny.toml"), read("Cargo.lock"));
    let quoted = |line: &str| line.split('"').nth(1).map(str::to_owned);
    let banned: Vec<String> = rules
        .lines()
        .filter(|line| line.trim_start().starts_with("{ crate = ") && line.contains("use-instead"))
        .filter_map(quoted)
        .collect();
    assert!(banned.len() >= 5, "deny.toml bans only {banned:?}");
    let locked: BTreeSet<String> = lock
        .lines()
        .filter(|line| line.starts_with("name = "))
        .filter_map(quoted)
        .collect();
    none(
        banned
            .into_iter()
            .filter(|name| locked.contains(name))
            .collect(),
        "deny.toml says what to use instead; `cargo tree -i NAME` says who wants it",
    );
}

/// rustc does not look at a file that no module names.
#[test]
fn every_source_file_is_part_of_a_crate() {
    let sources = sources();
    let rust: Vec<&Source> = sources.iter().filter(|source| source.is("rs")).collect();
    let declared = |name: &str| {
        let forms = [format!("mod {name};"), format!("{name}.rs\"")];
        rust.iter()
            .any(|source| forms.iter().any(|form| source.text.contains(form)))
    };
    let violations = rust.iter().filter_map(|source| {
        let path = Path::new(&source.path);
        let stem = path.file_stem()?.to_str()?;
        let folder = path.parent()?;
        let name = if stem == "mod" {
            folder.file_name()?.to_str()?
        } else {
            stem
        };
        // Cargo finds these by itself: programs, and those of tests and benches beside a manifest.
        let beside = folder.ends_with("tests") || folder.ends_with("benches");
        let program = folder.ends_with("src/bin")
            || beside && root().join(folder).join("../Cargo.toml").exists();
        let found = matches!(name, "lib" | "main" | "build") || program;
        (!found && !declared(name)).then(|| source.path.clone())
    });
    none(
        violations.collect(),
        "declare the module, or delete the file",
    );
}
