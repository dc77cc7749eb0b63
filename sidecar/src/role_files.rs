//! Files named after the role: an app looks whether one of them is there.
//!
//! The one of the other role goes before the own one comes, so both are never there. The own one is
//! touched now and then: one that is old was left behind.

use crate::cause::Causes;
use crate::clock::Clock;
use crate::published::Published;
use election::Role;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// How often the file is written anew, milliseconds.
const EVERY_MS: u64 = 2_000;

/// Where the files are, and what they are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleFiles {
    /// Their folder, made if it is not there.
    pub folder: PathBuf,
    /// Name on the leader.
    pub active: String,
    /// Name on the others; `None`: there is none.
    pub passive: Option<String>,
    /// What is in them.
    pub content: String,
}

/// A file that could not be replaced.
#[derive(Debug, thiserror::Error)]
#[error("write the role file {path:?}: {source}")]
struct NotWritten {
    path: PathBuf,
    source: io::Error,
}

impl RoleFiles {
    /// Removes what an earlier run has left, before anything else is known.
    pub(crate) fn clear(&self) {
        for name in [Some(&self.active), self.passive.as_ref()]
            .into_iter()
            .flatten()
        {
            // What cannot be removed is said when it cannot be written.
            drop(fs::remove_file(self.folder.join(name)));
        }
    }

    /// Keeps them up to date until the driver ends.
    pub(crate) async fn keep(self, mut states: watch::Receiver<Published>, clock: Clock) {
        let (mut more, mut troubled) = (true, false);
        while more {
            let (leads, known, valid_for_ms) = {
                let published = states.borrow_and_update();
                let now = clock.now();
                let known = published.standing.role != Role::Starting;
                (published.leads(now), known, published.valid_for_ms(now))
            };
            if known {
                let files = self.clone();
                // A disk may hang; the runtime's one thread must not.
                let shown = tokio::task::spawn_blocking(move || files.show(leads)).await;
                match &shown {
                    Ok(Err(error)) if !troubled => {
                        tracing::error!(error = %Causes(error), "apps do not see the role");
                    }
                    _ => {}
                }
                troubled = !matches!(shown, Ok(Ok(())));
            }
            // The role may run out without anybody saying so.
            let wait_ms = if leads {
                valid_for_ms.min(EVERY_MS)
            } else {
                EVERY_MS
            };
            // Both arms are cancel-safe.
            tokio::select! {
                changed = states.changed() => more = changed.is_ok(),
                () = sleep(Duration::from_millis(wait_ms)) => {}
            }
        }
    }

    fn show(&self, leads: bool) -> Result<(), NotWritten> {
        let (active, passive) = (Some(&self.active), self.passive.as_ref());
        let (name, other) = if leads {
            (active, passive)
        } else {
            (passive, active)
        };
        let failed = |path: PathBuf| move |source| NotWritten { path, source };
        fs::create_dir_all(&self.folder).map_err(failed(self.folder.clone()))?;
        if let Some(other) = other.map(|other| self.folder.join(other))
            && let Err(error) = fs::remove_file(&other)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(failed(other)(error));
        }
        let Some(path) = name.map(|name| self.folder.join(name)) else {
            return Ok(());
        };
        fs::write(&path, &self.content).map_err(failed(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published::tests::leading;

    fn files(name: &str) -> RoleFiles {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        RoleFiles {
            folder: folder.join("leader_status"),
            active: "leader".to_owned(),
            passive: Some("follower".to_owned()),
            content: "web-1".to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_file_at_a_time_says_the_role_and_ends_with_it() {
        let files = files("role-files");
        fs::create_dir_all(&files.folder).unwrap();
        fs::write(files.folder.join("leader"), "web-0").unwrap();
        files.clear();
        let there = |name: &str| fs::read_to_string(files.folder.join(name)).ok();
        assert_eq!(there("leader"), None, "left behind by an earlier run");
        let clock = Clock::tokio();
        let states = watch::Sender::new(Published::nothing());
        let keeper = tokio::spawn(files.clone().keep(states.subscribe(), clock));
        let valid_ms = clock.now().as_ms() + 10_000;
        states.send_replace(leading(valid_ms));
        sleep(Duration::from_millis(10)).await;
        assert_eq!(
            (there("leader").as_deref(), there("follower")),
            (Some("web-1"), None)
        );
        // Nobody renews, and nobody says so.
        sleep(Duration::from_millis(10_100)).await;
        assert_eq!(
            (there("leader"), there("follower").as_deref()),
            (None, Some("web-1"))
        );
        drop(states);
        keeper.await.unwrap();
        fs::remove_dir_all(files.folder.parent().unwrap()).unwrap();
    }
}
