//! Where a cluster keeps its files, and how another process finds it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::error::{Doing, Error, Result};
use super::keeper;

/// Held by the keeper as long as the cluster lives; its text is the keeper's process id.
pub(crate) const LOCK: &str = "lock";
/// Name of the namespace of the control plane.
pub(crate) const HUB: &str = "hub";
const RECORD: &str = "cluster.json";
const FOLDER_PREFIX: &str = "active-passive-";
/// A folder without a lock this old was left by a harness that ended before it had a keeper.
const ORPHAN_AGE_S: u64 = 600;
const IDS: u32 = 100;

/// What another process needs to use a cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Distinguishes the clusters of a machine.
    pub(crate) id: String,
    /// Name to first process of each namespace.
    pub(crate) namespaces: BTreeMap<String, i32>,
    /// Names of the nodes, in order.
    pub(crate) nodes: Vec<String>,
    /// What the API server is started with, to start it again.
    pub(crate) api_server_arguments: Vec<String>,
}

impl Record {
    /// Writes the record into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(RECORD);
        let action = || format!("write {}", path.display());
        fs::write(&path, serde_json::to_vec(self).doing(action)?).doing(action)
    }

    /// Reads the record of `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(RECORD);
        let action = || format!("read {}", path.display());
        serde_json::from_slice(&fs::read(&path).doing(action)?).doing(action)
    }
}

/// Name of the control groups of the namespace `name`.
pub(crate) fn group(id: &str, name: &str) -> String {
    format!("{}{name}", group_prefix(id))
}

/// What the names of all control groups of a cluster start with.
pub(crate) fn group_prefix(id: &str) -> String {
    format!("ap-{id}-")
}

/// Folder of the cluster `id`.
pub(crate) fn folder(id: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{FOLDER_PREFIX}{id}"))
}

/// Makes a folder that no other cluster has, and returns it with its id.
pub(crate) fn create() -> Result<(PathBuf, String)> {
    let start = std::process::id();
    for attempt in 0..IDS {
        let id = format!("{:x}", start.wrapping_add(attempt << 16));
        let path = folder(&id);
        match fs::create_dir(&path) {
            Ok(()) => return Ok((path, id)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(Error::new(format!("create {}", path.display()), error)
                    .cure("set TMPDIR to a folder that can be written"));
            }
        }
    }
    Err(Error::new(
        "find a name for the cluster",
        format!("{IDS} were taken"),
    ))
}

/// Ids of the clusters that live, and of those whose keeper is dead.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Can be used.
    pub(crate) alive: Vec<String>,
    /// Left to be removed.
    pub(crate) dead: Vec<String>,
}

/// Looks for clusters in the folder for temporary files.
pub(crate) fn find() -> Result<Found> {
    let root = std::env::temp_dir();
    let mut found = Found::default();
    for entry in fs::read_dir(&root).doing(|| format!("list {}", root.display()))? {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        let Some(id) = name
            .to_str()
            .and_then(|name| name.strip_prefix(FOLDER_PREFIX))
        else {
            continue;
        };
        match is_alive(&entry.path()) {
            Some(true) => found.alive.push(id.into()),
            Some(false) => found.dead.push(id.into()),
            None if is_orphan(&entry.path()) => found.dead.push(id.into()),
            None => {}
        }
    }
    found.alive.sort();
    Ok(found)
}

/// Whether the keeper lives; `None` if there never was one.
pub(crate) fn is_alive(folder: &Path) -> Option<bool> {
    lock(folder).map(|lock| lock.is_none())
}

/// The lock of a dead cluster; `Some(None)` if the cluster lives, `None` without a lock file.
fn lock(folder: &Path) -> Option<Option<Flock<File>>> {
    let file = File::options().write(true).open(folder.join(LOCK)).ok()?;
    Some(Flock::lock(file, FlockArg::LockExclusiveNonblock).ok())
}

/// Process id of the keeper.
pub(crate) fn keeper_pid(folder: &Path) -> Result<i32> {
    let path = folder.join(LOCK);
    let action = || format!("read {}", path.display());
    fs::read_to_string(&path)
        .doing(action)?
        .trim()
        .parse()
        .doing(action)
}

/// Removes what clusters left whose keeper was killed.
pub(crate) fn sweep() -> Result<()> {
    find()?.dead.iter().try_for_each(|id| remove_dead(id))
}

/// Removes what a cluster left whose keeper is dead. Its lock keeps others from doing the same.
pub(crate) fn remove_dead(id: &str) -> Result<()> {
    let folder = folder(id);
    match lock(&folder) {
        Some(Some(_lock)) => keeper::clean_up(&folder, id),
        None if is_orphan(&folder) => keeper::clean_up(&folder, id),
        Some(None) | None => Ok(()),
    }
}

fn is_orphan(folder: &Path) -> bool {
    let age = fs::metadata(folder)
        .and_then(|metadata| metadata.modified())
        .map(|modified| {
            SystemTime::now()
                .duration_since(modified)
                .unwrap_or_default()
        });
    age.is_ok_and(|age| age > Duration::from_secs(ORPHAN_AGE_S))
}
