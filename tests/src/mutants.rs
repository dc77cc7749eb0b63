//! Deliberate bugs, one small patch each in `tests/mutants`, and whether the tests catch them.
//!
//! A patch begins with two lines, `Bug: ` and what it is, and `Caught by: ` and by what:
//! `sim SCENARIO FIRST..END` of the simulated world, or `test PACKAGE NAME` of a package. The diff
//! follows.
//!
//! The project's own files are read and never written: patches are applied to a copy of them in the
//! user's cache, which has a target folder of its own, so that only what a patch changes compiles
//! anew.

use crate::cluster;
use crate::project_root;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Folders of the project that no test of a mutant needs.
const LEFT_OUT: [&str; 2] = [".git", "target"];

/// A deliberate bug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// Name of its file, without ending.
    pub name: String,
    /// What is wrong.
    pub bug: String,
    /// What must fail.
    pub catcher: Catcher,
    patch: PathBuf,
}

/// What must fail where a bug is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Catcher {
    /// A run of the simulated world.
    Sim {
        /// Name of the scenario.
        scenario: String,
        /// `FIRST..END`, or one seed.
        seeds: String,
    },
    /// One test.
    Test {
        /// Package that it belongs to.
        package: String,
        /// Its full name.
        name: String,
    },
}

/// What became of a bug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was caught; by what, in words.
    Caught(String),
    /// Nothing failed.
    Missed,
}

/// All mutants, by name.
///
/// # Errors
/// A patch that cannot be read or does not say what it is.
pub fn all() -> Result<Vec<Mutant>> {
    let folder = project_root().join("tests/mutants");
    let entries = fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()
        .context("list the mutants")?;
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Mutant> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let line = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .with_context(|| format!("{} has no line that begins with {key:?}", path.display()))
    };
    let words: Vec<&str> = line("Caught by: ")?.split_whitespace().collect();
    let catcher = match words[..] {
        ["sim", scenario, seeds] => Catcher::Sim {
            scenario: scenario.to_owned(),
            seeds: seeds.to_owned(),
        },
        ["test", package, name] => Catcher::Test {
            package: package.to_owned(),
            name: name.to_owned(),
        },
        _ => bail!(
            "{}: after \"Caught by: \" comes sim SCENARIO SEEDS, or test PACKAGE NAME",
            path.display()
        ),
    };
    Ok(Mutant {
        name: path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        bug: line("Bug: ")?.to_owned(),
        catcher,
        patch: path.to_owned(),
    })
}

impl Mutant {
    /// Whether its patch fits the project as it is; changes nothing.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check_applies(&self) -> Result<()> {
        self.git_apply(&project_root(), &["--check"])
    }

    fn git_apply(&self, tree: &Path, more: &[&str]) -> Result<()> {
        let output = Command::new("git")
            .current_dir(tree)
            .arg("apply")
            .args(more)
            .arg(&self.patch)
            .output()
            .context("start git")?;
        ensure!(
            output.status.success(),
            "{}.patch no longer applies: make the same bug in the present code\n{}",
            self.name,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        Ok(())
    }
}

/// A copy of the project, to be changed.
#[derive(Debug)]
pub struct Copy {
    tree: PathBuf,
    target: PathBuf,
    /// Held while this lives: two runs would change the same files.
    _lock: File,
}

impl Copy {
    /// The copy in the user's cache.
    ///
    /// # Errors
    /// No cache folder, or another run has it.
    pub fn open() -> Result<Self> {
        let folder = cluster::cache()?.join("mutants");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let lock = File::create(folder.join("lock")).context("open the lock of the mutants")?;
        lock.try_lock()
            .context("lock the copy: does another `make mutants` run?")?;
        Ok(Self {
            tree: folder.join("tree"),
            target: folder.join("target"),
            _lock: lock,
        })
    }

    /// Makes the copy equal to the project. What is equal already keeps its time, so that nothing
    /// compiles anew for it.
    fn refresh(&self) -> Result<()> {
        let root = project_root();
        let wanted = files(&root, &root)?;
        for path in &wanted {
            let bytes =
                fs::read(root.join(path)).with_context(|| format!("read {}", path.display()))?;
            let to = self.tree.join(path);
            if fs::read(&to).is_ok_and(|known| known == bytes) {
                continue;
            }
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&to, bytes).with_context(|| format!("write {}", to.display()))?;
        }
        for path in files(&self.tree, &self.tree)?.difference(&wanted) {
            fs::remove_file(self.tree.join(path))
                .with_context(|| format!("remove {}", path.display()))?;
        }
        Ok(())
    }

    /// Whether the project as it is passes what is to catch this mutant: else nothing would be
    /// shown by it.
    ///
    /// # Errors
    /// It does not pass, or does not compile.
    pub fn check_passes(&self, mutant: &Mutant) -> Result<()> {
        self.refresh()?;
        match self.run(&mutant.catcher)? {
            Verdict::Missed => Ok(()),
            Verdict::Caught(by) => bail!("without the bug it fails as well: {by}"),
        }
    }

    /// Puts one bug in, and looks what catches it.
    ///
    /// # Errors
    /// The patch does not apply, or the mutant does not compile.
    pub fn try_mutant(&self, mutant: &Mutant) -> Result<Verdict> {
        self.refresh()?;
        mutant.git_apply(&self.tree, &[])?;
        self.run(&mutant.catcher)
    }

    fn run(&self, catcher: &Catcher) -> Result<Verdict> {
        match catcher {
            Catcher::Sim { scenario, seeds } => {
                let sim = ["--package", "world", "--bin", "sim"];
                self.compile(&[&["build"], &sim[..]].concat())?;
                let output = self.cargo(&[&["run"], &sim[..]].concat(), &[scenario, seeds])?;
                sim_verdict(&output)
            }
            Catcher::Test { package, name } => {
                let test = ["test", "--package", package];
                self.compile(&[&test[..], &["--no-run"]].concat())?;
                let output = self.cargo(&test, &[name, "--exact"])?;
                test_verdict(name, &output)
            }
        }
    }

    fn compile(&self, cargo: &[&str]) -> Result<()> {
        let output = self.cargo(cargo, &[])?;
        ensure!(
            output.status.success(),
            "it does not compile:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    fn cargo(&self, args: &[&str], program: &[&str]) -> Result<Output> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        for (name, _) in std::env::vars_os() {
            // What an outer cargo says of its own package would make build scripts run anew.
            if name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_HOME" {
                cargo.env_remove(name);
            }
        }
        let (command, rest) = args.split_first().context("cargo needs a command")?;
        cargo
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .args([command, "--quiet", "--locked"])
            .args(rest)
            .args((!program.is_empty()).then_some("--"))
            .args(program);
        cargo.output().context("start cargo")
    }
}

/// All files below `folder`, relative to `root`.
fn files(folder: &Path, root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(found);
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let left_out = LEFT_OUT.iter().any(|name| entry.file_name() == *name);
        if kind.is_dir() && !(left_out && folder == root) {
            found.extend(files(&path, root)?);
        } else if kind.is_file() {
            found.insert(path.strip_prefix(root)?.to_owned());
        }
    }
    Ok(found)
}

/// `sim` prints one line for each seed that fails.
fn sim_verdict(output: &Output) -> Result<Verdict> {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("make sim "));
    match (output.status.success(), line) {
        (true, _) => Ok(Verdict::Missed),
        (false, Some(line)) => Ok(Verdict::Caught(line.to_owned())),
        (false, None) => bail!(
            "sim failed without a seed:\n{text}{}",
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

fn test_verdict(name: &str, output: &Output) -> Result<Verdict> {
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("test result: FAILED. 0 passed; 1 failed") {
        return Ok(Verdict::Caught(format!("test {name}")));
    }
    ensure!(
        output.status.success() && text.contains("test result: ok. 1 passed"),
        "the test {name} did not run:\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(Verdict::Missed)
}
