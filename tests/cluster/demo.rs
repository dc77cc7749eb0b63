//! What the demo promises to a person who stops it, and to one for whom it fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::context::Case;
use crate::harness::traces;

/// How long a step may take to begin, milliseconds.
const STEP_MS: u64 = 120_000;
/// How long the demo may take to end, milliseconds.
const END_MS: u64 = 15_000;
/// How long it may take to say that it will not begin, milliseconds.
const REFUSE_MS: u64 = 5_000;
const POLL_MS: u64 = 10;
/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "demo: Ctrl-C while the cluster starts leaves nothing",
        run: |_| Box::pin(interrupted("starting Kubernetes")),
    },
    Case {
        name: "demo: Ctrl-C while the chart is installed leaves nothing",
        run: |_| Box::pin(interrupted("installing the chart")),
    },
    Case {
        name: "demo: Ctrl-C while the example starts leaves nothing",
        run: |_| Box::pin(interrupted("applying deploy/examples")),
    },
    Case {
        name: "demo: Ctrl-C in an event leaves nothing",
        run: |_| Box::pin(interrupted("kubectl delete pod")),
    },
    Case {
        name: "demo: a file that cannot be written is told of before anything starts",
        run: |_| Box::pin(refuses_early()),
    },
    Case {
        name: "demo: a step that fails is told of with its log and the cure",
        run: |_| Box::pin(failed_step_is_explained()),
    },
];

async fn interrupted(step: &str) -> Result<()> {
    let mut demo = Demo::start(|_| Ok(()))?;
    demo.until(step)?;
    let (id, folder) = demo.cluster()?;
    demo.interrupt()?;
    let status = demo.ended(END_MS)?;
    ensure!(
        status.code() == Some(INTERRUPTED),
        "{status}: {}",
        demo.said()
    );
    let left = traces(&id, &folder)?;
    ensure!(left.is_empty(), "left behind: {left:#?}");
    demo.leaves_nothing()
}

async fn refuses_early() -> Result<()> {
    let mut demo = Demo::start(|command| {
        command.env("JSON", "/no/such/folder/summary.json");
        Ok(())
    })?;
    let status = demo.ended(REFUSE_MS)?;
    let said = demo.said();
    ensure!(status.code() == Some(1), "{status}: {said}");
    for part in [
        "failed step: look where JSON goes",
        "/no/such/folder",
        "\ncure: ",
    ] {
        ensure!(said.contains(part), "no {part:?} in: {said}");
    }
    ensure!(
        !said.contains("Kubernetes"),
        "something was started: {said}"
    );
    demo.leaves_nothing()
}

/// A helm that can say its version and nothing else.
const BAD_HELM: &str = "#!/bin/sh
[ \"$1\" = version ] && exec echo v4.3.1
seq --format 'line %g of the log' 30 >&2
exit 7
";

async fn failed_step_is_explained() -> Result<()> {
    let mut demo = Demo::start(|command| {
        let folder = Demo::folder().with_extension("bin");
        fs::create_dir_all(&folder)?;
        let helm = folder.join("helm");
        fs::write(&helm, BAD_HELM)?;
        fs::set_permissions(&helm, fs::Permissions::from_mode(0o755))?;
        let path = std::env::var("PATH")?;
        command.env("PATH", format!("{}:{path}", folder.display()));
        Ok(())
    })?;
    let ended = demo.ended(STEP_MS);
    fs::remove_dir_all(Demo::folder().with_extension("bin"))?;
    let (status, said) = (ended?, demo.said());
    ensure!(status.code() == Some(1), "{status}: {said}");
    let log: String = (11..=30)
        .map(|n| format!("\nline {n} of the log"))
        .collect();
    for part in ["failed step: install the chart", &log, "\ncure: "] {
        ensure!(said.contains(part), "no {part:?} in: {said}");
    }
    ensure!(!said.contains("line 10 of"), "more than 20 lines: {said}");
    demo.leaves_nothing()
}

/// The demo as a person starts it, with a folder for temporary files of its own.
struct Demo {
    process: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Demo {
    /// Short: sockets of a cluster lie below it.
    fn folder() -> PathBuf {
        std::env::temp_dir().join(format!("ap-demo-{}", std::process::id()))
    }

    fn start(prepare: impl FnOnce(&mut Command) -> Result<()>) -> Result<Self> {
        let folder = Self::folder();
        fs::create_dir(&folder).with_context(|| format!("create {}", folder.display()))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
        for variable in ["KEEP", "JSON", "CLUSTER", "IMAGES", "YES"] {
            command.env_remove(variable);
        }
        // Whoever looks at this one talks to nobody.
        command.env("KUBECONFIG", "/no/such/kubeconfig");
        command.env("TMPDIR", &folder).process_group(0);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        prepare(&mut command)?;
        let mut process = command.spawn()?;
        let (sender, lines) = channel();
        let (out, err) = (process.stdout.take(), process.stderr.take());
        follow(out.context("no output")?, sender.clone());
        follow(err.context("no errors")?, sender);
        let said = Vec::new();
        Ok(Self {
            process,
            lines,
            said,
        })
    }

    /// Waits for a line with `part`.
    fn until(&mut self, part: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let left = Duration::from_millis(STEP_MS).saturating_sub(start.elapsed());
            let Ok(line) = self.lines.recv_timeout(left) else {
                bail!("the demo did not say {part:?}: {}", self.said());
            };
            self.said.push(line);
            if self.said.last().is_some_and(|line| line.contains(part)) {
                return Ok(());
            }
        }
    }

    /// Id and folder of its cluster, once the API server has been started.
    fn cluster(&self) -> Result<(String, PathBuf)> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(STEP_MS) {
            for entry in fs::read_dir(Self::folder())? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if let Some(id) = name.strip_prefix("active-passive-")
                    && path.join("logs/hub-kube-apiserver.log").exists()
                {
                    return Ok((id.to_owned(), path.clone()));
                }
            }
            std::thread::sleep(Duration::from_millis(POLL_MS));
        }
        bail!("no cluster in {}", Self::folder().display())
    }

    /// As Ctrl-C in a terminal: the program and whatever it has started in its group.
    fn interrupt(&self) -> Result<()> {
        let group = Pid::from_raw(i32::try_from(self.process.id())?);
        Ok(killpg(group, Signal::SIGINT)?)
    }

    fn ended(&mut self, deadline_ms: u64) -> Result<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(deadline_ms) {
            if let Some(status) = self.process.try_wait()? {
                self.said.extend(self.lines.iter());
                return Ok(status);
            }
            self.said.extend(self.lines.try_iter());
            std::thread::sleep(Duration::from_millis(POLL_MS));
        }
        bail!("the demo runs on after {deadline_ms} ms: {}", self.said())
    }

    fn said(&self) -> String {
        self.said.join("\n")
    }

    /// Nothing in its folder, nothing that runs or is mounted from there.
    fn leaves_nothing(&self) -> Result<()> {
        let folder = Self::folder();
        let entries = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path()));
        let entries = entries.collect::<Result<Vec<PathBuf>>>()?;
        ensure!(entries.is_empty(), "left behind: {entries:?}");
        fs::remove_dir(&folder)?;
        let left = traces("no-such-id", &folder)?;
        ensure!(left.is_empty(), "left behind: {left:#?}");
        Ok(())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Nothing to do for one that has ended.
        let _ended = (self.process.kill(), self.process.wait());
        let _removed = fs::remove_dir_all(Self::folder());
    }
}

fn follow(output: impl std::io::Read + Send + 'static, lines: std::sync::mpsc::Sender<String>) {
    use std::io::{BufRead, BufReader};
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}
