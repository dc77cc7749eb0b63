//! What those that contend say themselves, in their logs.
//!
//! Logs go away with their pods, so each file is opened while it is there, and read at the end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::cast::NAMESPACE;
use crate::cluster::{Doing, Result};
use crate::system::System;

/// How often new files are looked for, milliseconds: a container lives longer.
const LOOK_EVERY_MS: u64 = 100;
/// Before the last words of a container are in its file, milliseconds.
const LAST_WORDS_MS: u64 = 1_000;

/// What an elector says, with milliseconds of CLOCK_BOOTTIME.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    /// From now on it believes that it holds the Lease.
    Begins(u64),
    /// It does not believe it any more.
    Ends(u64),
    /// A write by which it holds the Lease was sent then. Only the peer says so.
    Renewed(u64),
    /// A write by which it gave the Lease away was sent then. Only the peer says so.
    Released(u64),
}

/// All that one container said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Book {
    pub(super) system: System,
    pub(super) pod: String,
    pub(super) uid: String,
    pub(super) notes: Vec<Note>,
}

/// Opens logs until they are read.
pub(super) struct Logs {
    opens: JoinHandle<BTreeMap<PathBuf, File>>,
    enough: oneshot::Sender<()>,
}

impl Logs {
    /// Opens all logs below `folders`, those of nodes, from now on.
    pub(super) fn follow(folders: Vec<PathBuf>) -> Self {
        let (enough, mut told) = oneshot::channel();
        let opens = tokio::spawn(async move {
            let mut files = BTreeMap::new();
            let mut tick = tokio::time::interval(Duration::from_millis(LOOK_EVERY_MS));
            while told.try_recv().is_err() {
                tick.tick().await;
                for path in folders.iter().flat_map(|folder| containers(folder)) {
                    if let (false, Ok(file)) = (files.contains_key(&path), File::open(&path)) {
                        files.insert(path, file);
                    }
                }
            }
            files
        });
        Self { opens, enough }
    }

    /// What all of them said, in no order.
    ///
    /// # Errors
    /// If a log cannot be read.
    pub(super) async fn read(self) -> Result<Vec<Book>> {
        tokio::time::sleep(Duration::from_millis(LAST_WORDS_MS)).await;
        // It listens until it is told.
        let _told = self.enough.send(());
        let files = self.opens.await.doing(|| "look for logs".to_owned())?;
        let mut books = Vec::new();
        for (path, mut file) in files {
            let mut text = String::new();
            let read = file.read_to_string(&mut text);
            read.doing(|| format!("read {}", path.display()))?;
            books.extend(book(&path, &text));
        }
        Ok(books)
    }
}

/// Logs of containers that elect.
fn containers(folder: &Path) -> Vec<PathBuf> {
    let within = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all = Vec::new();
    for pod in within(folder) {
        if !pod.file_name().to_string_lossy().starts_with(NAMESPACE) {
            continue;
        }
        for system in [System::Ours, System::Peer] {
            let starts = within(&pod.path().join(system.sidecar()));
            // The file that a container writes to; others are links of the kubelet's.
            all.extend(starts.map(|start| start.path()));
        }
    }
    all
}

/// What is in a log at `<namespace>_<pod>_<uid>/<container>/<start>.log`.
fn book(path: &Path, text: &str) -> Option<Book> {
    let mut parents = path.ancestors().skip(1).filter_map(Path::file_name);
    let container = parents.next()?.to_str()?;
    let system = [System::Ours, System::Peer]
        .into_iter()
        .find(|system| system.sidecar() == container)?;
    let mut names = parents.next()?.to_str()?.split('_').skip(1);
    let (pod, uid) = (names.next()?.to_owned(), names.next()?.to_owned());
    // Before what was said: time, stream and a letter that tells whole lines.
    let said = text.lines().filter_map(|line| line.splitn(4, ' ').nth(3));
    let notes = match system {
        System::Ours => said.filter_map(of_ours).collect(),
        System::Peer => said.filter_map(of_peer).collect(),
    };
    Some(Book {
        system,
        pod,
        uid,
        notes,
    })
}

#[derive(Deserialize)]
struct Line {
    role: String,
    boot_ms: u64,
}

fn of_ours(said: &str) -> Option<Note> {
    let line: Line = serde_json::from_str(said).ok()?;
    match line.role.as_str() {
        "active" => Some(Note::Begins(line.boot_ms)),
        _ => Some(Note::Ends(line.boot_ms)),
    }
}

fn of_peer(said: &str) -> Option<Note> {
    let (_, stamped) = said.split_once("boot_ms=")?;
    let (ms, what) = stamped.split_once(' ')?;
    let ms = ms.parse().ok()?;
    match what {
        "started leading" => Some(Note::Begins(ms)),
        "stopped leading" => Some(Note::Ends(ms)),
        "renewed" => Some(Note::Renewed(ms)),
        "released" => Some(Note::Released(ms)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_logs_are_read() {
        let of = |container: &str, said: &[&str]| {
            let path = PathBuf::from(format!("/n1/pods/contention_a-1_u1/{container}/0.log"));
            let line = |said: &&str| format!("2026-11-21T15:00:00.1Z stdout F {said}\n");
            book(&path, &said.iter().map(line).collect::<String>()).unwrap()
        };
        let ours = of(
            "active-passive",
            &[
                r#"{"level":"INFO","message":"takes part","role":"passive","term":1}"#,
                r#"{"level":"INFO","message":"active","role":"active","term":2,"boot_ms":70}"#,
                r#"{"level":"INFO","message":"passive","role":"passive","term":2,"boot_ms":90}"#,
            ],
        );
        assert_eq!(ours.notes, [Note::Begins(70), Note::Ends(90)]);
        assert_eq!((ours.pod.as_str(), ours.uid.as_str()), ("a-1", "u1"));
        let peer = of(
            "elector",
            &[
                "I1121 15:00:00.1 1 leaderelection.go:258] attempting to acquire",
                "2026/11/21 15:00:00.1 boot_ms=60 renewed",
                "2026/11/21 15:00:00.2 boot_ms=61 started leading",
                "2026/11/21 15:00:00.3 boot_ms=80 released",
                "2026/11/21 15:00:00.3 boot_ms=82 stopped leading",
            ],
        );
        let said = [
            Note::Renewed(60),
            Note::Begins(61),
            Note::Released(80),
            Note::Ends(82),
        ];
        assert_eq!((peer.system, peer.notes), (System::Peer, said.to_vec()));
    }
}
