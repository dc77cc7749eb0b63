//! The sidecar's program. See the library for how it works.

use anyhow::{Context, bail};
use common::contract::env;
use common::shutdown::Shutdown;
use common::telemetry;
use sidecar::Config;
use sidecar::personality::{self, Asked, Refused};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage: active-passive-sidecar              run beside an app, as injected
       active-passive-sidecar SETTINGS     run in the place of another elector, with its settings
       active-passive-sidecar probe livez  ask the running one whether it is alive
       active-passive-sidecar --version";

/// Longest time for a connection before the settings are known, milliseconds.
const BEGIN_CONNECT_MS: u64 = 1_500;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match (
        arguments.as_slice(),
        personality::asked(&arguments, &lookup),
    ) {
        (_, Err(refused)) => {
            eprintln!("{refused}");
            ExitCode::from(refused.exit_code)
        }
        (_, Ok(Some(asked))) => run_logged(Some(&asked)),
        ([], Ok(None)) => run_logged(None),
        (["probe", "livez"], Ok(None)) => ended(probe(), |error| eprintln!("{error}")),
        (["--version"], Ok(None)) => {
            println!("active-passive-sidecar {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run_logged(asked: Option<&Asked>) -> ExitCode {
    telemetry::start(&lookup(env::LOG).unwrap_or_else(|| "info".to_owned()));
    let done = run(asked);
    let code = done.as_ref().err().and_then(|error| {
        let refused = error.downcast_ref::<Refused>();
        refused.map(|refused| ExitCode::from(refused.exit_code))
    });
    let ended = ended(done, |error| {
        tracing::error!(error, "the sidecar cannot run");
    });
    code.unwrap_or(ended)
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

fn run(asked: Option<&Asked>) -> anyhow::Result<()> {
    let provider = rustls::crypto::ring::default_provider();
    if provider.install_default().is_err() {
        bail!("another TLS provider is installed already");
    }
    // One thread: a pod has one of these, and it mostly sleeps.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(async {
        let mut shutdown = Shutdown::register().context("register for SIGTERM")?;
        let api = kube::Config::infer().await.context("find the API server")?;
        let client = |connect_timeout_ms| {
            let connect_timeout = Duration::from_millis(connect_timeout_ms);
            let client = sidecar::client(api.clone(), connect_timeout);
            client.context("make the API client")
        };
        let config = match asked {
            None => Config::read(lookup)?,
            Some(asked) => {
                let client = client(BEGIN_CONNECT_MS)?;
                tokio::select! {
                    config = personality::begin(asked, &client, lookup) => config?,
                    () = shutdown.requested() => return Ok(()),
                }
            }
        };
        let client = || client(config.connect_timeout_ms());
        let clients = sidecar::Clients {
            election: client()?,
            events: client()?,
        };
        sidecar::run(config, clients, shutdown.requested())
            .await
            .context("start the sidecar")
    })
}
