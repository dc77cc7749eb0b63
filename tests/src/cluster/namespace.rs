//! One machine of the cluster: a network, mount, process and control group namespace.
//!
//! Nothing of it has a name in the file system. It lives as long as its first process, and that
//! ends with whoever holds the other end of its standard input. So a harness that is killed, by
//! whatever signal, leaves no process, mount or network behind.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::error::{Doing, Error, Result};
use super::{cgroup, helper};

/// Helper that makes the namespaces and starts [`INIT`] in them.
pub(crate) const CREATE: &str = "namespace";
/// Helper that is the first process of the namespaces.
pub(crate) const INIT: &str = "init";
/// What [`INIT`] prints once programs can be started.
pub(crate) const READY: &str = "ready";

/// Folders that programs of a node write to at fixed places: each node gets its own, empty.
const PRIVATE: [&str; 3] = ["/run", "/var/lib", "/var/log"];
/// Settings of the whole machine that a kubelet changes: each node gets a copy to change.
const MACHINE_SETTINGS: [&str; 6] = [
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/panic_on_oom",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/kernel/keys/root_maxkeys",
    "/proc/sys/kernel/keys/root_maxbytes",
];

/// Whether a program of a node still sees what lies at `path`.
pub(crate) fn sees(path: &Path) -> bool {
    !PRIVATE.iter().any(|hidden| path.starts_with(hidden))
}

/// Arguments: name of the control group, folder for the files of the namespace.
pub(crate) fn create(args: &[String]) -> Result<()> {
    let [name, folder] = arguments(args)?;
    cgroup::create(name).doing(|| format!("create the control groups {name}"))?;
    cgroup::join_top(name).doing(|| format!("enter the control groups {name}"))?;
    unshare(
        CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWCGROUP,
    )
    .doing(|| format!("make the namespaces of {name}"))?;
    cgroup::join(name).doing(|| format!("enter the control groups {name}"))?;
    let child = helper::command(INIT)
        .args([name, folder])
        .spawn()
        .doing(|| format!("start the first process of {name}"))?;
    say(&child.id().to_string())
}

/// Arguments: as of [`create`]. Returns when standard input ends.
pub(crate) fn init(args: &[String]) -> Result<()> {
    let [name, folder] = arguments(args)?;
    // Before any thread, so that all have it blocked and only the wait below receives it.
    let mut child_ended = SigSet::empty();
    child_ended.add(Signal::SIGCHLD);
    child_ended
        .thread_block()
        .doing(|| "block SIGCHLD".into())?;

    own_mounts(Path::new(folder)).doing(|| format!("mount the file systems of {name}"))?;
    own_settings().doing(|| format!("set the network of {name} up for routing"))?;
    say(READY)?;
    std::thread::spawn(move || reap(child_ended));
    io::stdin()
        .read_to_end(&mut Vec::new())
        .doing(|| "wait for the keeper".into())?;
    Ok(())
}

fn arguments(args: &[String]) -> Result<[&String; 2]> {
    let [name, folder] = args else {
        return Err(Error::new("make a namespace", "two arguments are needed"));
    };
    Ok([name, folder])
}

fn say(line: &str) -> Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .doing(|| "answer the keeper".into())
}

/// Orphans of the namespace are children of its first process.
fn reap(child_ended: SigSet) {
    while child_ended.wait().is_ok() {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
    }
}

fn own_mounts(folder: &Path) -> io::Result<()> {
    let propagation = |flag| remount("/", flag | MsFlags::MS_REC);
    propagation(MsFlags::MS_PRIVATE)?;
    remount_as("proc", "/proc")?;
    for path in PRIVATE {
        remount_as("tmpfs", path)?;
    }
    for directory in ["/run/lock", "/run/netns"] {
        fs::create_dir_all(directory)?;
    }
    cgroup::remount()?;
    let copies = folder.join("settings");
    fs::create_dir_all(&copies)?;
    for path in MACHINE_SETTINGS
        .map(Path::new)
        .into_iter()
        .filter(|path| path.exists())
    {
        let copy = copies.join(path.file_name().unwrap_or_default());
        fs::write(&copy, fs::read(path)?)?;
        let bind = MsFlags::MS_BIND;
        mount(Some(&copy), path, None::<&str>, bind, None::<&str>)?;
    }
    // The kubelet mounts volumes where the containers, in namespaces of their own, must see them.
    propagation(MsFlags::MS_SHARED)
}

fn own_settings() -> io::Result<()> {
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
    // A client that opens many connections from one address comes back to a source port that
    // conntrack would remember for two minutes, and would be sent to a pod that is gone.
    optional(
        "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait",
        "1",
    )?;
    optional("/proc/sys/net/bridge/bridge-nf-call-iptables", "1")
}

/// Writes a setting that exists only where its kernel module is loaded.
fn optional(path: &str, value: &str) -> io::Result<()> {
    match fs::write(path, value) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remount(path: &str, flags: MsFlags) -> io::Result<()> {
    Ok(mount(
        None::<&str>,
        path,
        None::<&str>,
        flags,
        None::<&str>,
    )?)
}

fn remount_as(kind: &str, path: &str) -> io::Result<()> {
    mount(Some(kind), path, Some(kind), MsFlags::empty(), None::<&str>)
        .map_err(|errno| io::Error::other(format!("mount {kind} at {path}: {errno}")))
}
