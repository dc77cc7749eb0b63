//! The kubectl plugin `kubectl active-passive`.
//!
//! ```text
//! arguments ──▶ connect ──▶ gather: one LIST a kind ──▶ Group (pure) ──▶ text, JSON or YAML
//!                              │
//!                              └──▶ a command that asks: one PATCH of the Lease, then look again
//! ```
//!
//! Each command has a file of its own: what it reads and writes. What it says follows from the
//! objects and the time alone (`group`, `doubts`, `status`, `check`), which tests hold against kept
//! output. `inject`, `uninject`, `migrate` and `explain` ask no cluster: they are the injector, on
//! files. Absent from it: any write to a cluster but of the two annotations of a Lease that people may
//! set, and dry runs.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod age;
mod args;
mod check;
mod completion;
mod connect;
mod dashboard;
mod doubts;
mod exit;
mod failure;
mod follow;
mod gather;
mod group;
mod history;
mod inject;
mod lease;
mod list;
mod live;
mod managed;
mod manifests;
mod migrate;
mod output;
mod pause;
mod policy;
mod report;
mod service_mode;
mod status;
mod suggest;
mod switchover;
mod table;
mod timeline;
mod visible;
mod watch;
mod yaml;

use args::{Args, Command};
use clap::Parser;
use failure::Failure;
use output::Said;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Runs one command and says how it ended. Under the name by which kubectl asks for completions, it
/// answers that.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if suggest::asked(args.first()) {
        let words = args.iter().skip(1);
        let words: Vec<String> = words.map(|it| it.to_string_lossy().into_owned()).collect();
        let offers = suggest::answer(&words);
        std::io::stdout().write_all(offers.as_bytes()).ok();
        return ExitCode::SUCCESS;
    }
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(asked) => {
            // Help and version are no errors; where they cannot be written, nobody reads them.
            asked.print().ok();
            return ExitCode::from(u8::try_from(asked.exit_code()).unwrap_or(exit::USAGE));
        }
    };
    match execute(&args) {
        Ok(said) => {
            // `| head` ends the pipe: no reason to complain.
            std::io::stdout().write_all(said.text.as_bytes()).ok();
            let aside = visible::text(&said.aside);
            std::io::stderr().write_all(aside.as_bytes()).ok();
            ExitCode::from(said.code)
        }
        Err(failure) => {
            let message = visible::text(&format!("error: {failure}\n"));
            std::io::stderr().write_all(message.as_bytes()).ok();
            ExitCode::from(failure.exit_code())
        }
    }
}

fn execute(args: &Args) -> Result<Said, Failure> {
    let namespace = || connect::namespace(&args.common);
    match &args.command {
        Command::Inject(args) => inject::inject(&namespace()?, args),
        Command::Uninject(args) => inject::uninject(args).map(Said::from),
        Command::Migrate(args) => migrate::run(&namespace()?, args).map(Said::from),
        Command::Explain(args) if args.pod.is_none() => {
            let said = inject::explain(&namespace()?, args)?;
            let text = visible::text(&said.text);
            Ok(Said { text, ..said })
        }
        Command::Completion(args) => Ok(Said::from(completion::run(args))),
        command => ask(args, command),
    }
}

/// Waits for what asks a cluster.
fn wait_for<T>(asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    // One provider in the whole program; a second call finds it there.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    runtime.block_on(asking)
}

/// Runs a command that asks a cluster.
fn ask(args: &Args, command: &Command) -> Result<Said, Failure> {
    wait_for(async {
        let cluster = connect::connect(&args.common).await?;
        let text = match command {
            Command::Check(args) => return check::run(&cluster, args).await,
            Command::Policy(args) => return policy::run(&cluster, args).await,
            Command::Dashboard(args) => dashboard::run(cluster, args).await,
            Command::Watch(args) => watch::run(cluster, args).await,
            Command::Version(args) => check::version(&cluster, args).await,
            Command::Status(args) => status::run(&cluster, args).await,
            Command::Switchover(args) => switchover::run(&cluster, args).await,
            Command::History(args) => history::run(&cluster, args).await,
            Command::Pause(args) => pause::run(&cluster, args, true).await,
            Command::Resume(args) => pause::run(&cluster, args, false).await,
            Command::Explain(args) => {
                let name = args.pod.as_deref().unwrap_or_default();
                inject::explain_pod(&cluster, name).await
            }
            Command::Inject(_)
            | Command::Uninject(_)
            | Command::Migrate(_)
            | Command::Completion(_) => Ok(String::new()),
        };
        text.map(|text| Said::from(visible::text(&text)))
    })
}

#[cfg(test)]
mod tests;
