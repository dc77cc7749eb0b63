//! Runs a command to its end, within a deadline, and keeps what it said.

use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
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
        .process_group(0)
        .spawn()
        .doing(|| format!("{action} ({:?})", command.as_std().get_program()))?;
    let mut group = Group::of(child.id());
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
    group.0 = None;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(stdout.into_owned());
    }
    let said = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
    Err(Error::new(action, output.status).output(&said))
}

/// A command that runs, with all that it has started. Dropping it ends them: first by SIGINT, for
/// compilers remove their temporary files then.
struct Group(Option<Pid>);

impl Group {
    fn of(pid: Option<u32>) -> Self {
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        Self(pid.map(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(leader) = self.0 else { return };
        let _interrupted = killpg(leader, Signal::SIGINT);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(TIDY_MS) && runs(leader) {
            std::thread::sleep(Duration::from_millis(TIDY_POLL_MS));
        }
        let _killed = killpg(leader, Signal::SIGKILL);
    }
}

/// Whether this child has not ended. Tokio collects it, so it is only looked at.
fn runs(child: Pid) -> bool {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    matches!(waitid(Id::Pid(child), look), Ok(WaitStatus::StillAlive))
}
