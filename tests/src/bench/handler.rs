//! What a review costs between its bytes and those of its answer, without TLS and HTTP.
//!
//! The bench itself lies beside the code that it measures: `webhook/inject/benches/handler.rs`.

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::machine::Machine;
use super::page::table;
use super::{HANDLER, record};
use crate::cluster::run;
use crate::cluster::{Doing, Result};
use crate::project_root;

/// Compiling included.
const DEADLINE_MS: u64 = 20 * 60 * 1_000;
const HEAD: &str = "## The webhook's handler alone

From the bytes of a review to those of its answer, in one thread and without TLS and HTTP
([benches/handler.rs](../webhook/inject/benches/handler.rs)). Wanted: p99 below 0.1, 0.3 and 10 ms.

";

/// One size of review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Figure {
    review: String,
    bytes: usize,
    runs: usize,
    p50_ms: f64,
    p99_ms: f64,
}

/// What the file holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Results {
    measured: Machine,
    figures: Vec<Figure>,
}

/// Measures it and writes the results down.
///
/// # Errors
/// If it cannot be compiled.
pub(super) async fn run() -> Result<()> {
    let measured = Machine::bare()?;
    let file = project_root().join("target/bench-handler.json");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(project_root())
        .args([
            "bench",
            "--locked",
            "--package",
            "inject",
            "--bench",
            HANDLER,
        ])
        .env("RESULT", &file);
    run::output("measure the handler", cargo, DEADLINE_MS).await?;
    let action = || format!("read {}", file.display());
    let text = std::fs::read_to_string(&file).doing(action)?;
    let figures = serde_json::from_str(&text).doing(action)?;
    record::write(HANDLER, &Results { measured, figures })
}

/// The part of the page; `None` without results.
///
/// # Errors
/// If the results cannot be read.
pub(super) fn page() -> Result<Option<String>> {
    let Some(results) = record::read::<Results>(HANDLER)? else {
        return Ok(None);
    };
    let headings = ["review", "bytes", "p50, ms", "p99, ms"];
    let row = |figure: &Figure| {
        vec![
            figure.review.clone(),
            figure.bytes.to_string(),
            format!("{:.3}", figure.p50_ms),
            format!("{:.3}", figure.p99_ms),
        ]
    };
    let rows: Vec<_> = results.figures.iter().map(row).collect();
    let measured = results.measured;
    Ok(Some(format!(
        "{HEAD}{measured}\n\n{}",
        table(&headings, &rows)
    )))
}
