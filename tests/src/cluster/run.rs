//! Runs a command to its end, within a deadline, and keeps what it said.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::error::{Doing, Error, Result};

/// How long a command that is not wanted any more may tidy up, milliseconds.
const TIDY_MS: u64 = 3_000;
const TIDY_POLL_MS: u64 = 10;

/// Standard output of `command`, which must succeed within `deadline_ms`.
///
/// # Errors
/// If it cannot be started, fails (with the end of its output) or takes too long. Then, and when
/// nobody waits for it any more, it is ended with all that it has started.
pub async fn output(action: &str, command: Command, deadline_ms: u64) -> Result<String> {
    output_with_input(action, command, "", deadline_ms).await
}

/// Like [`output`], with `input` on its standard input.
///
/// # Errors
/// As [`output`].
pub async fn output_with_input(
    action: &str,
    mut command: Command,
    input: &str,
    deadline_ms: u64,
) -> Result<String> {
    let doing = || action.to_string();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .doing(|| format!("{action} ({:?})", command.as_std().get_program()))?;
    let mut running = Running::of(child.id());
    let mut stdin = child.stdin.take();
    let write = async {
        if let Some(mut stdin) = stdin.take() {
            // A command that does not read its input is free to.
            let _unread = stdin.write_all(input.as_bytes()).await;
        }
    };
    let both = async { tokio::join!(write, child.wait_with_output()).1 };
    let ended = tokio::time::timeout(Duration::from_millis(deadline_ms), both).await;
    let Ok(output) = ended else {
        return Err(Error::new(
            action,
            format!("it took more than {deadline_ms} ms"),
        ));
    };
    let output = output.doing(doing)?;
    running.0 = None;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(stdout.into_owned());
    }
    let said = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
    Err(Error::new(action, output.status).output(&said))
}

/// A command that runs, with all that it has started. Dropping it ends them: first by SIGINT, for
/// compilers remove their temporary files then.
///
/// They are in the group of this program, so that Ctrl-C in a terminal reaches them even where
/// nothing is dropped.
struct Running(Option<Pid>);

impl Running {
    fn of(pid: Option<u32>) -> Self {
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        Self(pid.map(Pid::from_raw))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(command) = self.0 else { return };
        let family = Process::family(command);
        let send = |signal| {
            for process in family.iter().filter(|process| process.runs()) {
                // Whoever has just ended is not there to be told.
                kill(process.pid, signal).unwrap_or_default();
            }
        };
        send(Signal::SIGINT);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(TIDY_MS) && family.iter().any(Process::runs) {
            std::thread::sleep(Duration::from_millis(TIDY_POLL_MS));
        }
        send(Signal::SIGKILL);
    }
}

/// A process as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Process {
    pid: Pid,
    parent: Pid,
    ended: bool,
    /// With the id it is unique: ids are given away again.
    started: String,
}

impl Process {
    fn look(pid: Pid) -> Option<Self> {
        const STARTED: usize = 19;
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before may hold anything, parentheses and spaces too.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        Some(Self {
            pid,
            parent: Pid::from_raw(fields.get(1)?.parse().ok()?),
            ended: fields.first()?.starts_with(['Z', 'X']),
            started: (*fields.get(STARTED)?).to_owned(),
        })
    }

    /// Whether it has not ended. One that nobody has waited for has.
    fn runs(&self) -> bool {
        Self::look(self.pid).is_some_and(|now| !now.ended && now.started == self.started)
    }

    /// A process and all that descend from it.
    fn family(of: Pid) -> Vec<Self> {
        let all: Vec<Self> = std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Self::look(Pid::from_raw(pid)))
            .collect();
        let mut family: Vec<Self> = all.iter().filter(|one| one.pid == of).cloned().collect();
        let mut seen = 0;
        while let Some(parent) = family.get(seen).map(|process| process.pid) {
            family.extend(all.iter().filter(|one| one.parent == parent).cloned());
            seen += 1;
        }
        family
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_that_was_started_outlives_the_wait_for_it() {
        let folder = std::env::temp_dir().join(format!("ap-run-{}", std::process::id()));
        let mut shell = Command::new("sh");
        // A grandchild that does not listen to SIGINT, as jobs of a shell do not.
        let script = format!("sleep 1000 & echo $! > {}; wait", folder.display());
        shell.args(["-c", &script]);
        let error = output("wait for nothing", shell, 500).await.unwrap_err();
        assert!(error.to_string().contains("more than 500 ms"), "{error}");
        let text = std::fs::read_to_string(&folder).unwrap();
        std::fs::remove_file(&folder).unwrap();
        let sleeper = Pid::from_raw(text.trim().parse().unwrap());
        let start = Instant::now();
        while Process::look(sleeper).is_some_and(|process| !process.ended) {
            assert!(
                start.elapsed() < Duration::from_millis(TIDY_MS),
                "it runs on"
            );
            std::thread::sleep(Duration::from_millis(TIDY_POLL_MS));
        }
    }
}
