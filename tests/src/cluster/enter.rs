//! Starts a program inside a namespace and leaves it there, as a child of its first process.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns};
use nix::unistd::setsid;
use serde::{Deserialize, Serialize};

use super::error::{Doing, Error, Result};
use super::{cgroup, helper, run};

/// Helper: its argument is an [`Order`] as JSON, its answer the port or 0.
pub(crate) const HELPER: &str = "enter";
/// Helper that starts its arguments, inside, and ends.
pub(crate) const LAUNCH: &str = "launch";
const DEADLINE_MS: u64 = 10_000;

/// What to start, and where.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// First process of the namespace.
    pub(crate) init: i32,
    /// Control group of the namespace.
    pub(crate) group: String,
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
    /// The whole environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Receives both output streams.
    pub(crate) log: PathBuf,
    /// Address outside the namespace whose listening socket becomes standard input.
    pub(crate) listen: Option<String>,
}

/// Asks a helper to carry out `order`. Returns the port that is listened on, 0 if none.
pub(crate) async fn start(order: &Order) -> Result<u16> {
    let program = order.argv.first().map_or("", String::as_str);
    let action = || format!("start {program}");
    let text = serde_json::to_string(order).doing(action)?;
    let mut command = tokio::process::Command::from(helper::command(HELPER));
    command.arg(text);
    let answer = run::output(&action(), command, DEADLINE_MS).await?;
    answer.trim().parse().doing(action)
}

/// The helper.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let action = || "enter a namespace".to_string();
    let [order] = args else {
        return Err(Error::new(action(), "one argument is needed"));
    };
    let order: Order = serde_json::from_str(order).doing(action)?;
    let program = order.argv.first().map_or("", String::as_str);

    // All that lies outside is opened before the way back is gone.
    let log = File::options()
        .create(true)
        .append(true)
        .open(&order.log)
        .doing(|| format!("open {}", order.log.display()))?;
    let errors = log.try_clone().doing(action)?;
    let (input, port) = match &order.listen {
        Some(address) => listen(address)?,
        None => (Stdio::null(), 0),
    };
    let namespaces = [
        ("cgroup", CloneFlags::CLONE_NEWCGROUP),
        ("pid", CloneFlags::CLONE_NEWPID),
        ("net", CloneFlags::CLONE_NEWNET),
        ("mnt", CloneFlags::CLONE_NEWNS),
    ];
    let mut opened = Vec::new();
    for (name, flag) in namespaces {
        let path = format!("/proc/{}/ns/{name}", order.init);
        opened.push((File::open(&path).doing(|| format!("open {path}"))?, flag));
    }
    cgroup::join(&order.group).doing(action)?;
    for (file, flag) in opened {
        setns(file, flag).doing(action)?;
    }

    // The launcher's orphan is adopted by the first process of the namespace. A child of this
    // process would be adopted outside, and keep the namespace from ending.
    let launched = helper::command(LAUNCH)
        .args(&order.argv)
        .env_clear()
        .envs(&order.env)
        .stdin(input)
        .stdout(log)
        .stderr(errors)
        .status()
        .doing(action)?;
    if !launched.success() {
        return Err(Error::new(format!("start {program}"), launched).log(&order.log));
    }
    println!("{port}");
    Ok(())
}

/// The helper [`LAUNCH`].
pub(crate) fn launch(args: &[String]) -> Result<()> {
    let action = || format!("start {args:?}");
    let [program, arguments @ ..] = args else {
        return Err(Error::new(action(), "no program is named"));
    };
    // A Ctrl-C in the owner's terminal is not for the programs of the cluster.
    setsid().doing(action)?;
    Command::new(program)
        .args(arguments)
        .spawn()
        .doing(action)?;
    Ok(())
}

fn listen(address: &str) -> Result<(Stdio, u16)> {
    let action = || format!("listen on {address}");
    let listener = TcpListener::bind(address).doing(action)?;
    let port = listener.local_addr().doing(action)?.port();
    Ok((Stdio::from(OwnedFd::from(listener)), port))
}

/// Command line of the helper `name`, for [`Order::argv`].
pub(crate) fn helper_argv(name: &str, args: &[&str]) -> Vec<String> {
    let own = helper::arguments(name).map(|argument| argument.to_string_lossy().into_owned());
    let mut argv = vec![helper::EXECUTABLE.to_string()];
    argv.extend(own);
    argv.extend(args.iter().map(ToString::to_string));
    argv
}
