//! The command line. Flags are kubectl's where kubectl has them.

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use common::duration::parse_ms;
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  something could not be read or written, or is not there
  2  the command line is wrong
  3  refused: the role cannot move, or the leader did not move it
  4  the role was not seen to have moved within the timeout
  5  manifests are not injected, or cannot be injected or migrated; pods would be denied
  6  check has found an error; warnings alone are 0
  7  policy plan: changes of workloads that are there would be refused";

/// Shows who is active in groups of pods of which one serves, and moves the role on request.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl active-passive",
    bin_name = "kubectl active-passive",
    version,
    after_help = EXIT_CODES
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which cluster and namespace, and how long to wait for it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Common {
    /// Namespace; by default that of the context, without one `default`
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Context of the kubeconfig file
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Kubeconfig file; by default those of $KUBECONFIG, or ~/.kube/config
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Act as this user, as far as you may
    #[arg(long = "as", global = true, value_name = "USER")]
    pub(crate) impersonate: Option<String>,
    /// Act as a member of this group; may be repeated
    #[arg(
        long = "as-group",
        global = true,
        value_name = "GROUP",
        requires = "impersonate"
    )]
    pub(crate) impersonate_groups: Vec<String>,
    /// Longest time for one request; without a unit: seconds
    #[arg(long, global = true, value_name = "TIME", default_value = "10s", value_parser = seconds)]
    pub(crate) request_timeout: Duration,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show all groups, or one in depth: who is active, who could follow, what would stop it
    Status(StatusArgs),
    /// Ask the active pod to hand its role over
    Switchover(SwitchoverArgs),
    /// Show the last moves of a group: who, when, why, how long
    History(HistoryArgs),
    /// Keep the role where it is, whatever happens
    Pause(GroupArgs),
    /// Let the role move again
    Resume(GroupArgs),
    /// Show groups as they change, in the terminal; keys move and pause
    Watch(WatchArgs),
    /// Show groups as they change, on a page in the browser
    Dashboard(DashboardArgs),
    /// Print manifests with the sidecar, or with the annotation that asks for it
    Inject(InjectArgs),
    /// Print manifests without what inject has put into them, and without the accounts behind them
    Uninject(UninjectArgs),
    /// Rewrite manifests of other electors with the annotations of this one, and say what changes
    Migrate(MigrateArgs),
    /// Say what becomes of the pods of manifests, or of a pod that runs, and why; fails where pods
    /// that ask would be denied
    Explain(ExplainArgs),
    /// Look at what is installed and what runs, and say what is wrong and what to do
    Check(CheckArgs),
    /// Look at policies before they are applied
    Policy(PolicyArgs),
    /// Show the versions of this program, of the webhook and of the sidecars in use
    Version(VersionArgs),
    /// Print a script that completes commands and flags in a shell
    Completion(CompletionArgs),
}

/// How much of an injection is written into a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// The annotation; the webhook does the rest
    Annotate,
    /// Everything that the webhook would add, and the account of each group with its bindings
    Full,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InjectArgs {
    /// File, folder, or - for standard input; may be repeated
    #[arg(short, long = "filename", required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What is written
    #[arg(long, value_name = "MODE", default_value = "annotate")]
    pub(crate) mode: Mode,
    /// Print nothing; fail if something is missing, and say what
    #[arg(long)]
    pub(crate) check: bool,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    pub(crate) output: Data,
    /// Image of the sidecar, as the chart would be told; needed for --mode full
    #[arg(long, value_name = "IMAGE", required_if_eq("mode", "full"))]
    pub(crate) sidecar_image: Option<String>,
    /// When it is pulled
    #[arg(long, value_name = "POLICY", default_value = "IfNotPresent",
        value_parser = ["Always", "IfNotPresent", "Never"])]
    pub(crate) sidecar_image_pull_policy: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UninjectArgs {
    /// File, folder, or - for standard input; may be repeated
    #[arg(short, long = "filename", required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    pub(crate) output: Data,
}

#[derive(Debug, clap::Args)]
pub(crate) struct MigrateArgs {
    /// File, folder, or - for standard input; may be repeated
    #[arg(short, long = "filename", required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Write the files; by default the changes are only shown
    #[arg(long)]
    pub(crate) write: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ExplainArgs {
    /// A pod that runs
    pub(crate) pod: Option<String>,
    /// File, folder, or - for standard input; may be repeated
    #[arg(short, long = "filename", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    /// The group, or a Service in Service mode; without it, all of the namespace
    pub(crate) group: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "group")]
    pub(crate) all_namespaces: bool,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SwitchoverArgs {
    /// The group
    pub(crate) group: String,
    /// The pod that shall become active; by default the best one
    #[arg(long, value_name = "POD")]
    pub(crate) to: Option<String>,
    /// Wait until the role and the traffic of the group's Services have moved
    #[arg(long)]
    pub(crate) wait: bool,
    /// Longest time to wait
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, clap::Args)]
pub(crate) struct HistoryArgs {
    /// The group
    pub(crate) group: String,
    /// Draw a picture of who was active when into this file; - for standard output
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub(crate) svg: Option<PathBuf>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Data>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GroupArgs {
    /// The group
    pub(crate) group: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WatchArgs {
    /// The group; without it, all of the namespace
    pub(crate) group: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "group")]
    pub(crate) all_namespaces: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DashboardArgs {
    /// All namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Port of the page on this machine; by default a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    /// Print the address alone, and open no browser
    #[arg(long)]
    pub(crate) no_open: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Look at the cluster before an install: could it be installed, and would it work?
    #[arg(long, conflicts_with = "all_namespaces")]
    pub(crate) pre: bool,
    /// Groups of all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Namespace of the webhook; by default as its configuration says
    #[arg(long, value_name = "NAME")]
    pub(crate) system_namespace: Option<String>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Data>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say which workloads of the cluster would change, be warned of or be refused, and why
    Plan(PlanArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    /// File, folder, or - for standard input; may be repeated
    #[arg(short, long = "filename", required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Data>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct VersionArgs {
    /// Sidecars of all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Namespace of the webhook; by default as its configuration says
    #[arg(long, value_name = "NAME")]
    pub(crate) system_namespace: Option<String>,
    /// Format of the output
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<Data>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// Formats of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// More columns
    Wide,
    /// For programs
    Json,
    /// For programs
    Yaml,
    /// Names alone, as kubectl takes them
    Name,
}

/// Formats for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Data {
    /// JSON
    Json,
    /// YAML
    Yaml,
}

fn duration(text: &str) -> Result<Duration, String> {
    match parse_ms(text) {
        Ok(0) => Err("it must be longer than 0".to_owned()),
        Ok(ms) => Ok(Duration::from_millis(ms)),
        Err(error) => Err(error.to_string()),
    }
}

/// kubectl takes a bare number too.
fn seconds(text: &str) -> Result<Duration, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        duration(&format!("{text}s"))
    } else {
        duration(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_stand_where_kubectl_users_put_them() {
        let parsed = |line: &str| {
            let words = ["kubectl-active_passive"].into_iter();
            Args::try_parse_from(words.chain(line.split(' ')))
        };
        for good in [
            "status -n shop web -o yaml",
            "-n shop status",
            "status -A -o wide",
            "switchover web --to web-1 --wait --timeout 90s --context c",
            "status --as jane --as-group dev --as-group ops",
            "pause web --kubeconfig f --request-timeout 500ms",
            "pause web --request-timeout=5",
            "status web -o name",
            "status -o wide --request-timeout 1m",
            "check -A -o json",
            "history web --svg web.svg",
            "check --pre -n shop",
            "version -A",
            "watch web",
            "watch -A",
            "dashboard -A --port 8090 --no-open",
            "policy plan -f policy.yaml -o json",
        ] {
            assert!(parsed(good).is_ok(), "{good}: {:?}", parsed(good));
        }
        for bad in [
            "status -A web",
            "watch -A web",
            "switchover",
            "status -o table",
            "pause web --timeout 1s",
            "status --request-timeout 0",
            "status --request-timeout 5x",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_exit_code_is_in_the_help_and_in_the_documents() {
        let documents = include_str!("../../docs/operations.md");
        let codes = [
            exit::DONE,
            exit::FAILED,
            exit::USAGE,
            exit::REFUSED,
            exit::LATE,
            exit::UNINJECTED,
            exit::UNSOUND,
            exit::REFUSING,
        ];
        for code in codes {
            assert!(documents.contains(&format!("\n| {code} | ")), "{code}");
            assert!(EXIT_CODES.contains(&format!("\n  {code}  ")), "{code}");
        }
        // And no others.
        assert_eq!(EXIT_CODES.lines().count(), codes.len() + 1);
        let usage = Args::try_parse_from(["kubectl-active_passive", "--nonsense"]).unwrap_err();
        assert_eq!(usage.exit_code(), i32::from(exit::USAGE));
    }
}
