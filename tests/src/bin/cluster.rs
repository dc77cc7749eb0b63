//! Clusters by hand: start one that stays, load images into it, cut its nodes off, end it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tests::cluster::images::{self, Kind};
use tests::cluster::{self, Cluster, ClusterOptions, Result};

/// Real Kubernetes clusters on this machine.
#[derive(Debug, Parser)]
struct Args {
    /// Which cluster; may be left out while only one runs.
    #[arg(long, global = true)]
    id: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a cluster that stays, and print the line that makes kubectl use it.
    Up {
        /// Number of nodes.
        #[arg(long, default_value_t = 2)]
        nodes: usize,
    },
    /// End clusters, whoever started them.
    Down {
        /// Which; may be left out while only one runs.
        ids: Vec<String>,
        /// All of this machine.
        #[arg(long)]
        all: bool,
    },
    /// List the clusters that run.
    List,
    /// Build images of the project and print the paths of their OCI archives.
    Build {
        /// Which; all if left out.
        #[arg(value_enum)]
        images: Vec<Kind>,
    },
    /// Load images from OCI archives into every node.
    Load {
        /// The archives.
        #[arg(required = true)]
        archives: Vec<PathBuf>,
    },
    /// Cut a node off from all others.
    Cut {
        /// Such as n1.
        node: String,
    },
    /// End the partition of a node.
    Heal {
        /// Such as n1.
        node: String,
    },
    /// Run a command in the network of the hub, from which ClusterIPs and pods can be reached.
    Hub {
        /// Program and arguments.
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    if let Some(code) = cluster::divert() {
        return code;
    }
    let args = Args::parse();
    let runtime = tokio::runtime::Runtime::new();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(args)),
        Err(error) => Err(cluster::Error::new("start", error)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}

async fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Up { nodes } => up(nodes).await?,
        Command::Down { ids, all } => down(ids.into_iter().chain(args.id).collect(), all).await?,
        Command::List => Cluster::running()?.iter().for_each(|id| println!("{id}")),
        Command::Build { images: kinds } => {
            let kinds = if kinds.is_empty() {
                Kind::ALL.to_vec()
            } else {
                kinds
            };
            for image in images::build(&kinds).await? {
                println!("{}", image.archive.display());
            }
        }
        Command::Load { archives } => {
            let cluster = Cluster::attach(args.id.as_deref()).await?;
            for archive in archives {
                cluster.load_image(&archive).await?;
            }
        }
        Command::Cut { node } => {
            Cluster::attach(args.id.as_deref())
                .await?
                .cut(&node)
                .await?
        }
        Command::Heal { node } => {
            Cluster::attach(args.id.as_deref())
                .await?
                .heal(&node)
                .await?
        }
        Command::Hub { command } => {
            let cluster = Cluster::attach(args.id.as_deref()).await?;
            let status = cluster
                .hub_command(&command[0])
                .args(&command[1..])
                .status()
                .await;
            let status = cluster::Doing::doing(status, || format!("run {command:?}"))?;
            return Ok(ExitCode::from(
                u8::try_from(status.code().unwrap_or(1)).unwrap_or(1),
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn up(nodes: usize) -> Result<()> {
    let cluster = Cluster::start(ClusterOptions {
        nodes,
        ..Default::default()
    })
    .await?;
    eprintln!(
        "cluster {}, logs in {}",
        cluster.id(),
        cluster.logs().display()
    );
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    cluster.keep()
}

async fn down(mut ids: Vec<String>, all: bool) -> Result<()> {
    if all {
        ids = Cluster::running()?;
    } else if ids.is_empty() {
        ids.push(Cluster::attach(None).await?.id().into());
    }
    for id in ids {
        Cluster::end(&id)?;
        eprintln!("cluster {id} ended");
    }
    Ok(())
}
