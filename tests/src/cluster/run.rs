//! Runs a command to its end, within a deadline, and keeps what it said.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::error::{Doing, Error, Result};

/// Standard output of `command`, which must succeed within `deadline_ms`.
///
/// # Errors
/// If it cannot be started, fails (with the end of its output) or takes too long; it is killed
/// then.
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
        .kill_on_drop(true)
        .spawn()
        .doing(|| format!("{action} ({:?})", command.as_std().get_program()))?;
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
    let stdout = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(stdout.into_owned());
    }
    let said = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
    Err(Error::new(action, output.status).output(&said))
}
