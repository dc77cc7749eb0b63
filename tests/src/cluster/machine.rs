//! A running namespace, seen from the harness: programs are started and ended in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

use super::binaries::Binaries;
use super::enter::{self, Order};
use super::error::{Error, Result};
use super::{cgroup, network};

/// One namespace of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// Name in messages and of its folder.
    pub(crate) name: String,
    /// Its first process.
    pub(crate) init: i32,
    /// Its control group.
    pub(crate) group: String,
    /// Its files.
    pub(crate) folder: PathBuf,
    /// Logs of the whole cluster.
    pub(crate) logs: PathBuf,
}

impl Machine {
    /// Starts a program that stays; its log is `<machine>-<program>.log`.
    pub(crate) async fn start(
        &self,
        binaries: &Binaries,
        program: &str,
        arguments: Vec<String>,
    ) -> Result<()> {
        let path = binaries.path(program).to_string_lossy().into_owned();
        let argv = [vec![path], arguments].concat();
        self.order(binaries, program, argv, None).await?;
        Ok(())
    }

    /// Starts a helper of this executable that serves what arrives at `listen`, an address
    /// outside. Returns the port.
    pub(crate) async fn serve(
        &self,
        binaries: &Binaries,
        helper: &str,
        arguments: &[&str],
        listen: &str,
    ) -> Result<u16> {
        let argv = enter::helper_argv(helper, arguments);
        self.order(binaries, helper, argv, Some(listen.into()))
            .await
    }

    async fn order(
        &self,
        binaries: &Binaries,
        name: &str,
        argv: Vec<String>,
        listen: Option<String>,
    ) -> Result<u16> {
        let path = binaries.search_path().to_string_lossy().into_owned();
        let env = BTreeMap::from([("PATH".into(), path), ("HOME".into(), "/root".into())]);
        let (init, group) = (self.init, self.group.clone());
        enter::start(&Order {
            init,
            group,
            argv,
            env,
            log: self.log(name),
            listen,
        })
        .await
    }

    /// Log of a program.
    pub(crate) fn log(&self, program: &str) -> PathBuf {
        self.logs.join(format!("{}-{program}.log", self.name))
    }

    /// A command in the network of this machine, with all files and processes of the caller's.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        network::command(self.init, program)
    }

    /// Process ids of a program that was started.
    pub(crate) fn processes(&self, program: &str) -> Vec<i32> {
        let named = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
            let path = String::from_utf8_lossy(first);
            Path::new(path.as_ref())
                .file_name()
                .is_some_and(|name| name == program)
        };
        cgroup::processes(&self.group, "")
            .into_iter()
            .filter(named)
            .collect()
    }

    /// An error that says why a program does not serve: with its log, and whether it ended.
    pub(crate) fn failure(&self, program: &str, cause: &str) -> Error {
        let ended = if self.processes(program).is_empty() {
            " (it has ended)"
        } else {
            ""
        };
        Error::new(
            format!("start {program} of {}", self.name),
            format!("{cause}{ended}"),
        )
        .log(&self.log(program))
    }

    /// Sends a signal to every process of a program.
    pub(crate) fn signal(&self, program: &str, signal: Signal) -> Result<()> {
        for pid in self.processes(program) {
            kill(Pid::from_raw(pid), signal)
                .map_err(|errno| Error::new(format!("send {signal} to {program}"), errno))?;
        }
        Ok(())
    }
}
