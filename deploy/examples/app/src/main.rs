//! Without arguments: the app. `load OPTIONS`: the client, its options as JSON; it prints a line
//! of JSON a request until SIGTERM.
//!
//! The app reads POD_NAME, its answer; PORT; and LINGER_MS, how long it serves on after SIGTERM.

use std::env;
use std::error::Error;
use std::io::stdout;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use common::shutdown::Shutdown;
use example_app::load::{self, LoadOptions};
use example_app::serve::{self, PORT};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut shutdown = Shutdown::register().context("register for signals")?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let name = env::var("POD_NAME").context("read POD_NAME")?;
            let options = serve::Options {
                name,
                port: number("PORT", PORT)?,
                linger_ms: number("LINGER_MS", 0)?,
            };
            let served = serve::run(&options, shutdown.requested()).await;
            served.with_context(|| format!("listen on port {}", options.port))
        }
        ["load", options] => {
            let options: LoadOptions = serde_json::from_str(options)
                .with_context(|| format!("read the options {options}"))?;
            let (clock, mut out) = (load::wall_ms, stdout());
            load::run(&options, clock, shutdown.requested(), &mut out)
                .await
                .context("send requests")
        }
        _ => bail!("usage: example-app [load OPTIONS]"),
    }
}

/// A number from the environment, or what is taken without it.
fn number<T>(name: &str, default: T) -> Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("read {name}={text}")),
        Err(_) => Ok(default),
    }
}
