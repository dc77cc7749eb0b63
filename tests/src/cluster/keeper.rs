//! The process that a cluster lives by.
//!
//! It holds the first process of every namespace, and ends the whole cluster when it is told to
//! (SIGTERM) or when the program that started it is gone, however that happened.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getpid, setsid};

use super::error::{Doing, Error, Result};
use super::{cgroup, helper, namespace, state};

/// Helper: arguments are the folder of the cluster, its id, and the names of its namespaces.
pub(crate) const HELPER: &str = "keeper";
/// The word on standard input after which the keeper outlives its owner.
pub(crate) const KEEP: &str = "keep";

/// A namespace that was started.
#[derive(Debug)]
struct Started {
    init: Pid,
    /// Its end is the end of the namespace.
    _lifeline: Option<ChildStdin>,
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    let [folder, id, names @ ..] = args else {
        return Err(Error::new(
            "keep a cluster",
            "the folder and the id are needed",
        ));
    };
    let folder = Path::new(folder);
    // A Ctrl-C in the terminal is for the owner. The keeper hears of it when the owner ends.
    setsid().doing(|| "start a session".into())?;
    let _alive = mark_alive(folder)?;
    set_child_subreaper(true).doing(|| "adopt orphans".into())?;

    let result = start_all(folder, id, names).and_then(|started| {
        answer(&started)?;
        wait_for_the_end()?;
        Ok(started)
    });
    let ended = end(folder, id, result.as_ref().map_or(&[][..], Vec::as_slice));
    result.and(ended)
}

/// Ends what is left of a cluster whose keeper is dead, and removes its files.
pub(crate) fn clean_up(folder: &Path, id: &str) -> Result<()> {
    cgroup::remove(&state::group_prefix(id))
        .doing(|| format!("remove the control groups of cluster {id}"))?;
    fs::remove_dir_all(folder).doing(|| format!("remove {}", folder.display()))
}

fn end(folder: &Path, id: &str, started: &[(String, Started)]) -> Result<()> {
    for (_, namespace) in started {
        // Every process of a process namespace ends with its first one.
        let _ended = kill(namespace.init, Signal::SIGKILL);
    }
    for (_, namespace) in started {
        let _reaped = waitpid(namespace.init, None);
    }
    clean_up(folder, id)
}

/// The lock says that the cluster lives; the kernel gives it back when this process is gone.
fn mark_alive(folder: &Path) -> Result<Flock<File>> {
    let path = folder.join(state::LOCK);
    let action = || format!("lock {}", path.display());
    // Locked before it has its name: whoever sees it unlocked may take this cluster for dead.
    let unnamed = path.with_extension("partial");
    let file = File::create(&unnamed).doing(action)?;
    let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, errno)| Error::new(action(), errno))?;
    write!(lock, "{}", getpid()).doing(action)?;
    fs::rename(&unnamed, &path).doing(action)?;
    Ok(lock)
}

fn start_all(folder: &Path, id: &str, names: &[String]) -> Result<Vec<(String, Started)>> {
    let mut children = Vec::new();
    for name in names {
        let files = folder.join(name);
        fs::create_dir_all(&files).doing(|| format!("create {}", files.display()))?;
        let child = helper::command(namespace::CREATE)
            .arg(state::group(id, name))
            .arg(&files)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing(|| format!("start namespace {name}"))?;
        children.push((name.clone(), child));
    }
    children
        .into_iter()
        .map(|(name, child)| Ok((name.clone(), started(&name, child)?)))
        .collect()
}

/// Waits until the first process of the namespace has mounted what it needs.
fn started(name: &str, mut child: Child) -> Result<Started> {
    let action = || format!("start namespace {name}");
    let lifeline = child.stdin.take();
    let answers = child.stdout.take().map(BufReader::new);
    let (mut init, mut ready) = (None, false);
    for line in answers.into_iter().flat_map(BufRead::lines) {
        match line.doing(action)?.as_str() {
            namespace::READY => ready = true,
            pid => init = pid.parse().ok().map(Pid::from_raw),
        }
        if ready && init.is_some() {
            break;
        }
    }
    child.wait().doing(action)?;
    match init {
        Some(init) if ready => Ok(Started {
            init,
            _lifeline: lifeline,
        }),
        _ => Err(Error::new(action(), "its first process ended")),
    }
}

/// Tells the owner the first process of each namespace.
fn answer(started: &[(String, Started)]) -> Result<()> {
    let pids: BTreeMap<&str, i32> = started
        .iter()
        .map(|(name, started)| (name.as_str(), started.init.as_raw()))
        .collect();
    let mut out = io::stdout();
    let line = serde_json::to_string(&pids).doing(|| "write the answer".into())?;
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .doing(|| "answer the owner".into())
}

fn wait_for_the_end() -> Result<()> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block().doing(|| "block signals".into())?;
    std::thread::spawn(|| {
        let mut word = String::new();
        let kept = io::stdin().read_line(&mut word).is_ok() && word.trim_end() == KEEP;
        if !kept {
            let _sent = kill(getpid(), Signal::SIGTERM);
        }
    });
    signals.wait().doing(|| "wait for the end".into())?;
    Ok(())
}
