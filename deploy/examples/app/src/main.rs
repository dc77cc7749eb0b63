//! Without arguments: the app. `load OPTIONS`: the client, its options as JSON; it prints a line
//! of JSON a request until SIGTERM.

use std::env;
use std::io::stdout;

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
            let port = match env::var("PORT") {
                Ok(port) => port.parse().with_context(|| format!("read PORT={port}"))?,
                Err(_) => PORT,
            };
            let served = serve::run(&name, port, shutdown.requested()).await;
            served.with_context(|| format!("listen on port {port}"))
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
