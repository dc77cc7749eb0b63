//! `make demo`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::FalseyValueParser;
use tests::cluster;
use tests::demo::{self, Elsewhere, Failure, Options};

/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Shows one active pod of three moving around on a real cluster.
#[derive(Debug, Parser)]
struct Args {
    /// Leave the cluster running, and print the line that makes kubectl use it.
    #[arg(long, env = "KEEP", value_parser = FalseyValueParser::new())]
    keep: bool,
    /// Write the summary to this file, for programs.
    #[arg(long, env = "JSON")]
    json: Option<String>,
    /// Draw who answered when to this file, as SVG.
    #[arg(long, env = "PICTURE")]
    picture: Option<String>,
    /// Use the cluster of this kubeconfig file instead of starting one.
    #[arg(long, env = "CLUSTER")]
    cluster: Option<String>,
    /// Where the nodes of that cluster pull the images: PREFIX/sidecar, PREFIX/webhook,
    /// PREFIX/example-app.
    #[arg(long, env = "IMAGES")]
    images: Option<String>,
    /// Do not ask before that cluster is used.
    #[arg(long, env = "YES", value_parser = FalseyValueParser::new())]
    yes: bool,
}

fn main() -> ExitCode {
    if let Some(code) = cluster::divert() {
        return code;
    }
    let options = match options(Args::parse()) {
        Ok(options) => options,
        Err(line) => {
            eprintln!("{line}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("could not start the demo: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(demo::run(&options));
    // A thread that waits for a lock must not keep the program from ending.
    runtime.shutdown_background();
    tests::progress::leave();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\n{failure}");
            match failure {
                Failure::Interrupted => ExitCode::from(INTERRUPTED),
                Failure::Step { .. } => ExitCode::FAILURE,
            }
        }
    }
}

/// An empty variable is none.
fn options(args: Args) -> Result<Options, &'static str> {
    let given = |value: Option<String>| value.filter(|value| !value.is_empty());
    let elsewhere = match (given(args.cluster), given(args.images)) {
        (None, None) => None,
        (Some(kubeconfig), Some(images)) => Some(Elsewhere {
            kubeconfig: kubeconfig.into(),
            images: images.trim_end_matches('/').into(),
            yes: args.yes,
        }),
        (Some(_), None) => {
            return Err(
                "CLUSTER needs IMAGES=PREFIX: from where its nodes pull PREFIX/sidecar, \
                        PREFIX/webhook and PREFIX/example-app",
            );
        }
        (None, Some(_)) => return Err("IMAGES is for CLUSTER=<kubeconfig file>"),
    };
    Ok(Options {
        keep: args.keep,
        json: given(args.json).map(PathBuf::from),
        picture: given(args.picture).map(PathBuf::from),
        elsewhere,
    })
}
