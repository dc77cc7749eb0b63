//! Control groups of a cluster: one subtree a namespace, in every hierarchy of the machine.
//!
//! Everything that runs in a namespace of the cluster is in its subtree, containers too. So what
//! is left of a cluster can always be found, ended and removed by name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const ROOT: &str = "/sys/fs/cgroup";
/// Version 2 allows processes in leaves only, so the programs of a node live beside the pods.
const LEAF: &str = "init";
const CONTROLLERS: [&str; 5] = ["+cpuset", "+cpu", "+io", "+memory", "+pids"];
/// Killed processes leave their groups within milliseconds; the bound is for a stuck kernel.
const REMOVE_TRIES: u32 = 200;
const REMOVE_RETRY_MS: u64 = 25;

/// A mounted hierarchy of control groups.
#[derive(Debug)]
struct Hierarchy {
    path: PathBuf,
    /// Mount options of a version 1 hierarchy; `None` for version 2.
    v1_options: Option<String>,
}

impl Hierarchy {
    /// Where the programs of the group `name` live.
    fn home(&self, name: &str) -> PathBuf {
        let group = self.path.join(name);
        if self.v1_options.is_some() {
            group
        } else {
            group.join(LEAF)
        }
    }
}

/// Creates the subtree `name` in every hierarchy.
pub(crate) fn create(name: &str) -> io::Result<()> {
    for hierarchy in hierarchies()? {
        if hierarchy.v1_options.is_none() {
            delegate(&hierarchy.path);
        }
        let group = hierarchy.path.join(name);
        fs::create_dir_all(hierarchy.home(name))?;
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if hierarchy.v1_options.is_some() && group.join(file).exists() {
                fs::write(group.join(file), fs::read(hierarchy.path.join(file))?)?;
            }
        }
    }
    Ok(())
}

/// Moves the calling process to the top of the subtree `name`, where a control group namespace
/// is to have its root.
pub(crate) fn join_top(name: &str) -> io::Result<()> {
    for hierarchy in hierarchies()? {
        fs::write(hierarchy.path.join(name).join("cgroup.procs"), "0")?;
    }
    Ok(())
}

/// Moves the calling process to where the programs of the subtree `name` live.
pub(crate) fn join(name: &str) -> io::Result<()> {
    for hierarchy in hierarchies()? {
        fs::write(hierarchy.home(name).join("cgroup.procs"), "0")?;
    }
    Ok(())
}

/// In a new mount and control group namespace: shows the own subtree as the whole tree.
pub(crate) fn remount() -> io::Result<()> {
    let hierarchies = hierarchies()?;
    if let [
        Hierarchy {
            v1_options: None, ..
        },
    ] = hierarchies.as_slice()
    {
        mount_as("cgroup2", Path::new(ROOT), None)?;
        delegate(Path::new(ROOT));
        return Ok(());
    }
    let mut links = Vec::new();
    for entry in fs::read_dir(ROOT)? {
        let path = entry?.path();
        if path.is_symlink() {
            links.push((fs::read_link(&path)?, path));
        }
    }
    mount_as("tmpfs", Path::new(ROOT), Some("mode=755"))?;
    for hierarchy in hierarchies {
        fs::create_dir_all(&hierarchy.path)?;
        match &hierarchy.v1_options {
            Some(options) => mount_as("cgroup", &hierarchy.path, Some(options))?,
            None => mount_as("cgroup2", &hierarchy.path, None)?,
        }
    }
    for (target, link) in links {
        std::os::unix::fs::symlink(target, link)?;
    }
    Ok(())
}

/// Process ids, as the caller sees them, directly in the group `path` below the subtree `name`.
pub(crate) fn processes(name: &str, path: &str) -> Vec<i32> {
    let Ok(hierarchies) = hierarchies() else {
        return Vec::new();
    };
    let mut pids = Vec::new();
    for hierarchy in hierarchies {
        let group = if path.is_empty() {
            hierarchy.home(name)
        } else {
            hierarchy.path.join(name).join(path)
        };
        pids.extend(members(&group));
    }
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Ends every process in the subtrees whose name starts with `prefix`, and removes them.
pub(crate) fn remove(prefix: &str) -> io::Result<()> {
    let mut groups = Vec::new();
    for hierarchy in hierarchies()? {
        for entry in fs::read_dir(&hierarchy.path)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                collect_groups(&entry.path(), &mut groups);
            }
        }
    }
    for attempt in 0..REMOVE_TRIES {
        groups.retain(|group| {
            for pid in members(group) {
                // It may have ended by itself meanwhile.
                let _ended = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            fs::remove_dir(group).is_err() && group.exists()
        });
        if groups.is_empty() {
            return Ok(());
        }
        if attempt + 1 < REMOVE_TRIES {
            std::thread::sleep(Duration::from_millis(REMOVE_RETRY_MS));
        }
    }
    Err(io::Error::other(format!(
        "processes do not leave {}",
        groups[0].display()
    )))
}

/// Children before parents.
fn collect_groups(group: &Path, groups: &mut Vec<PathBuf>) {
    if let Ok(entries) = fs::read_dir(group) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                collect_groups(&entry.path(), groups);
            }
        }
    }
    groups.push(group.to_path_buf());
}

fn members(group: &Path) -> Vec<i32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 0)
        .collect()
}

/// Hands all controllers that exist to the groups below. One that is missing is no error here:
/// the kubelet says which it needs.
fn delegate(group: &Path) {
    for controller in CONTROLLERS {
        let _missing = fs::write(group.join("cgroup.subtree_control"), controller);
    }
}

fn mount_as(kind: &str, path: &Path, options: Option<&str>) -> io::Result<()> {
    mount(Some(kind), path, Some(kind), MsFlags::empty(), options).map_err(|errno| {
        io::Error::other(format!(
            "mount {kind} ({options:?}) at {}: {errno}",
            path.display()
        ))
    })
}

fn hierarchies() -> io::Result<Vec<Hierarchy>> {
    Ok(parse(&fs::read_to_string("/proc/self/mountinfo")?))
}

/// Reads the hierarchies below [`ROOT`] from a mountinfo file.
fn parse(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, filesystem)) = line.split_once(" - ") else {
            continue;
        };
        let Some(path) = mount.split(' ').nth(4) else {
            continue;
        };
        let mut filesystem = filesystem.split(' ');
        let v1_options = match filesystem.next() {
            Some("cgroup") => Some(controllers(filesystem.nth(1).unwrap_or_default())),
            Some("cgroup2") => None,
            _ => continue,
        };
        if path.starts_with(ROOT) {
            found.push(Hierarchy {
                path: path.into(),
                v1_options,
            });
        }
    }
    found
}

/// What names a hierarchy among its mount options: `rw,xattr,cpu,cpuacct` is `cpu,cpuacct`.
fn controllers(options: &str) -> String {
    let generic = ["rw", "ro", "xattr", "clone_children", "noprefix"];
    let named = options
        .split(',')
        .filter(|option| !generic.contains(option) && !option.starts_with("release_agent="));
    named.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_read() {
        let found = parse(
            "27 1 254:0 / / rw - ext4 /dev/vda rw\n\
             32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
             40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        );
        let shown: Vec<_> = found
            .iter()
            .map(|h| (h.path.to_str().unwrap(), h.v1_options.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                ("/sys/fs/cgroup/cpu,cpuacct", Some("cpu,cpuacct")),
                ("/sys/fs/cgroup/systemd", Some("name=systemd")),
                ("/sys/fs/cgroup/unified", None),
            ]
        );
    }
}
