//! The sidecar's program. See the library for how it works.

use anyhow::{Context, bail};
use common::contract::env;
use common::shutdown::Shutdown;
use common::telemetry;
use sidecar::Config;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: active-passive-sidecar              run beside an app, as injected
       active-passive-sidecar probe livez  ask the running one whether it is alive
       active-passive-sidecar --version";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => {
            telemetry::start(&lookup(env::LOG).unwrap_or_else(|| "info".to_owned()));
            ended(run(), |error| {
                tracing::error!(error, "the sidecar cannot run")
            })
        }
        ["probe", "livez"] => ended(probe(), |error| eprintln!("{error}")),
        ["--version"] => {
            println!("active-passive-sidecar {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn ended(done: anyhow::Result<()>, tell: impl FnOnce(&str)) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn lookup(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn probe() -> anyhow::Result<()> {
    sidecar::livez(sidecar::port(lookup)?).context("probe the sidecar")
}

fn run() -> anyhow::Result<()> {
    let provider = rustls::crypto::ring::default_provider();
    if provider.install_default().is_err() {
        bail!("another TLS provider is installed already");
    }
    let config = Config::read(lookup)?;
    // One thread: a pod has one of these, and it mostly sleeps.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(async {
        let mut shutdown = Shutdown::register().context("register for SIGTERM")?;
        let api = kube::Config::infer().await.context("find the API server")?;
        let connect_timeout = Duration::from_millis(config.connect_timeout_ms());
        let client = || {
            let client = sidecar::client(api.clone(), connect_timeout);
            client.context("make the API client")
        };
        let clients = sidecar::Clients {
            election: client()?,
            events: client()?,
        };
        sidecar::run(config, clients, shutdown.requested())
            .await
            .context("start the sidecar")
    })
}
