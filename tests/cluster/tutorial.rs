//! The tutorial, line by line: each command of docs/tutorial.md is run, and answers what is printed
//! there. `UPDATE=1` writes down what was answered instead.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use tests::project_root;
use tokio::process::Command;

use crate::cli::Plugin;
use crate::context::{Case, Context};

const PAGE: &str = "docs/tutorial.md";
const BLOCK_BEGINS: &str = "```console";
const BLOCK_ENDS: &str = "```";
const PROMPT: &str = "$ ";
const WAITING: &str = "Waiting for ";
/// What kubectl says at the end of a deletion, from Kubernetes 1.34 on.
const NAMESPACE_TOLD: &str = " from tutorial namespace";

pub(crate) const CASES: &[Case] = &[Case {
    name: "docs: each command of the tutorial does what is printed there",
    run: |context| Box::pin(tutorial(context)),
}];

async fn tutorial(context: &Context<'_>) -> Result<()> {
    let path = project_root().join(PAGE);
    let page = std::fs::read_to_string(&path)?;
    let reader = Reader::new(context)?;
    let mut answered = String::new();
    let mut lines: VecDeque<&str> = page.lines().collect();
    while let Some(line) = lines.pop_front() {
        writeln!(answered, "{line}")?;
        if line != BLOCK_BEGINS {
            continue;
        }
        while let Some(line) = lines.pop_front() {
            writeln!(answered, "{line}")?;
            let Some(command) = line.strip_prefix(PROMPT) else {
                ensure!(line == BLOCK_ENDS, "an answer without a command: {line}");
                break;
            };
            let mut printed = Vec::new();
            while let Some(line) = lines.front().filter(|line| !is_border(line)) {
                printed.push(*line);
                lines.pop_front();
            }
            let said = reader.run(command).await?;
            answered.push_str(&said);
            ensure!(
                std::env::var_os("UPDATE").is_some() || shape(&printed) == shape_of(&said),
                "{PAGE} prints for `{command}`\n{}\nbut the answer is\n{said}\n\
                 UPDATE=1 writes it down, if it is right",
                printed.join("\n"),
            );
        }
    }
    reader.end()?;
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, answered)?;
    }
    Ok(())
}

/// Whether a command begins here, or the block ends.
fn is_border(line: &str) -> bool {
    line.starts_with(PROMPT) || line == BLOCK_ENDS
}

fn shape_of(said: &str) -> Vec<String> {
    shape(&said.lines().collect::<Vec<_>>())
}

/// What of an answer is the same on each cluster: the words less names, numbers and units of time, in
/// lines without an order, since pods come in the order of their names.
fn shape(lines: &[&str]) -> Vec<String> {
    let mut shape: Vec<String> = lines
        .iter()
        .map(|line| {
            let line = line.strip_suffix(NAMESPACE_TOLD).unwrap_or(line);
            let words = line.split_whitespace().map(|word| match word {
                "ms" | "s" => "#",
                _ if word.contains(|c: char| c.is_ascii_digit()) && !is_count(word) => "#",
                _ => word,
            });
            words.collect::<Vec<_>>().join(" ")
        })
        .collect();
    shape.sort();
    shape
}

/// Whether it is like `2/2`.
fn is_count(word: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    word.split_once('/')
        .is_some_and(|(ready, all)| digits(ready) && digits(all))
}

/// Somebody with kubectl, the plugin, and a shell in the project's folder.
struct Reader<'a> {
    plugin: Plugin<'a>,
    path: String,
    config: PathBuf,
}

impl<'a> Reader<'a> {
    fn new(context: &'a Context<'a>) -> Result<Self> {
        let plugin = Plugin::new(context)?;
        let kubectl = context.cluster.binaries().path("kubectl");
        let folders = [plugin.folder(), kubectl.parent().context("a folder")?];
        let system = std::env::var("PATH")?;
        let path = format!("{}:{}:{system}", folders[0].display(), folders[1].display());
        // A copy: the reader changes the namespace in it.
        let config = plugin.folder().join("kubeconfig");
        std::fs::copy(context.cluster.kubeconfig(), &config)?;
        Ok(Self {
            plugin,
            path,
            config,
        })
    }

    fn end(self) -> Result<()> {
        self.plugin.end()
    }

    /// What a terminal shows, less what kubectl waits for: how often it looks depends on the machine.
    async fn run(&self, command: &str) -> Result<String> {
        let output = Command::new("bash")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(project_root())
            .env("PATH", &self.path)
            .env("KUBECONFIG", &self.config)
            .kill_on_drop(true)
            .output()
            .await?;
        let said = String::from_utf8(output.stdout)?;
        let lines = said.lines().filter(|line| !line.starts_with(WAITING));
        Ok(lines.map(|line| format!("{line}\n")).collect())
    }
}
