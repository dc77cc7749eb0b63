//! The role file: three lines that an app can read at any time, replaced as a whole.

use crate::cause::Causes;
use crate::clock::{Clock, wall_time_at};
use crate::published::{PASSIVE, Published};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Name of the file in the status folder.
const NAME: &str = "role";
/// Name under which its next content is written.
const NEXT_NAME: &str = ".role.next";
/// Wait after the file could not be written, milliseconds.
const RETRY_MS: u64 = 1_000;

/// A role file that could not be replaced.
#[derive(Debug, thiserror::Error)]
#[error("write the role file in {folder:?}")]
pub struct RoleFileError {
    folder: PathBuf,
    #[source]
    source: io::Error,
}

/// Says passive, before anything else is known: what an earlier run wrote is over.
pub(crate) fn clear(folder: &Path) -> Result<(), RoleFileError> {
    replace(folder, &content(&Published::nothing(), Clock::boottime()))
}

/// Keeps the file up to date until the driver ends. The latest state wins; one that could not be
/// written is tried again until it is.
pub(crate) async fn keep(folder: PathBuf, mut states: watch::Receiver<Published>, clock: Clock) {
    let mut written = Some(content(&Published::nothing(), clock));
    let mut more = true;
    while more {
        // Both arms are cancel-safe.
        tokio::select! {
            changed = states.changed() => more = changed.is_ok(),
            () = sleep(Duration::from_millis(RETRY_MS)), if written.is_none() => {}
        }
        let next = content(&states.borrow_and_update(), clock);
        if written.as_ref() == Some(&next) {
            continue;
        }
        let (folder, text) = (folder.clone(), next.clone());
        // A disk may hang; the runtime's one thread must not.
        let replaced = tokio::task::spawn_blocking(move || replace(&folder, &text)).await;
        match replaced {
            Ok(Ok(())) => written = Some(next),
            Ok(Err(error)) => {
                // Said once, not at every try.
                if written.take().is_some() {
                    let error = Causes(&error);
                    tracing::error!(%error, "apps read an outdated role; its valid-until ends it");
                }
            }
            Err(error) => tracing::error!(%error, "writing the role file was cut short"),
        }
    }
}

fn content(published: &Published, clock: Clock) -> String {
    let now = clock.now();
    let (role, term) = (published.role(now), published.standing.term);
    let valid_until = if role == PASSIVE {
        String::new()
    } else {
        format!("{:.3}", wall_time_at(clock, published.standing.valid_until))
    };
    format!("role={role}\nterm={term}\nvalid-until={valid_until}\n")
}

fn replace(folder: &Path, content: &str) -> Result<(), RoleFileError> {
    let next = folder.join(NEXT_NAME);
    std::fs::write(&next, content)
        .and_then(|()| std::fs::rename(&next, folder.join(NAME)))
        .map_err(|source| RoleFileError {
            folder: folder.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published::tests::leading;
    use election::Mono;
    use k8s_openapi::jiff::Timestamp;

    fn lines(text: &str) -> Vec<(&str, &str)> {
        text.lines()
            .map(|line| line.split_once('=').unwrap())
            .collect()
    }

    #[test]
    fn an_active_pod_says_until_when() {
        let clock = Clock::boottime();
        let until = clock.now() + 10_000;
        let text = content(&leading(until.as_ms()), clock);
        let lines = lines(&text);
        assert_eq!(lines[..2], [("role", "active"), ("term", "3")]);
        assert_eq!(lines[2].0, "valid-until");
        let ahead = Timestamp::now()
            .until(lines[2].1.parse::<Timestamp>().unwrap())
            .unwrap();
        assert!((9.0..=10.1).contains(&ahead.total(k8s_openapi::jiff::Unit::Second).unwrap()));
    }

    #[test]
    fn a_role_that_has_run_out_is_passive() {
        assert_eq!(
            content(&leading(1), Clock::boottime()),
            "role=passive\nterm=3\nvalid-until=\n"
        );
    }

    fn fresh_folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// A pod that is passive for good publishes nothing more that would bring the next try.
    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_written_is_written_once_it_can_be() {
        let parent = fresh_folder("role-file-late");
        let folder = parent.join("status");
        let sender = watch::Sender::new(Published::nothing());
        let keeper = tokio::spawn(keep(folder.clone(), sender.subscribe(), Clock::tokio()));
        sender.send_replace(leading(Mono::ZERO.as_ms()));
        // Paused time goes on only once the first try is over.
        sleep(Duration::from_millis(1)).await;
        std::fs::create_dir(&folder).unwrap();
        sleep(Duration::from_millis(RETRY_MS)).await;
        let written = std::fs::read_to_string(folder.join(NAME)).unwrap();
        assert_eq!(written, "role=passive\nterm=3\nvalid-until=\n");
        drop(sender);
        keeper.await.unwrap();
        std::fs::remove_dir_all(&parent).unwrap();
    }

    #[tokio::test]
    async fn the_last_state_is_written_before_the_end() {
        let folder = fresh_folder("role-file");
        std::fs::write(folder.join(NAME), "role=active\n").unwrap();
        clear(&folder).unwrap();
        let read = || std::fs::read_to_string(folder.join(NAME)).unwrap();
        assert_eq!(read(), "role=passive\nterm=0\nvalid-until=\n");

        let clock = Clock::boottime();
        let sender = watch::Sender::new(Published::nothing());
        let keeper = tokio::spawn(keep(folder.clone(), sender.subscribe(), clock));
        sender.send_replace(leading(u64::MAX / 2));
        sender.send_replace(leading(Mono::ZERO.as_ms()));
        drop(sender);
        keeper.await.unwrap();
        assert_eq!(read(), "role=passive\nterm=3\nvalid-until=\n");
        assert!(!folder.join(NEXT_NAME).exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
