//! `make bench`: what users would notice, measured on a real cluster beside a peer of the usual
//! kind, written down for programs in `results/` and for people in `docs/results.md`.
//!
//! A bench is a folder of its own: what it does, the form of its results, and its part of the
//! page. The page is written anew from all results that exist, so benches run one at a time.

mod contention;
mod failover;
mod handler;
mod machine;
mod page;
mod record;
mod rest;
mod seeds;
mod statistics;
mod webhook;

use crate::cluster::{Error, Result};

/// Names that `ONLY` takes.
const FAILOVER: &str = "failover";
const REST: &str = "rest";
const CONTENTION: &str = "contention";
const WEBHOOK: &str = "webhook";
const HANDLER: &str = "handler";
const SEEDS: &str = "seeds";
/// No bench: writes the page from the results that exist.
const PAGE: &str = "page";

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `<bench>` or `<bench>/<start of an event's name>`, several separated by commas; empty: all.
    pub only: String,
    /// How often to do each event, instead of what its table says.
    pub runs: Option<usize>,
    /// How long electors contend, milliseconds, instead of ten minutes.
    pub duration_ms: Option<u64>,
    /// What chance follows from; `None`: a new one.
    pub seed: Option<u64>,
}

/// Runs the benches and writes their results down. Says how many runs failed.
///
/// # Errors
/// If there is no bench of a name, or the cluster does not start.
pub async fn run(options: &Options) -> Result<usize> {
    let wishes = wishes(&options.only)?;
    let mut failed = 0;
    if wishes.rest {
        rest::run().await?;
    }
    if !wishes.events.is_empty() {
        failed = failover::run(&wishes.events, options.runs).await?;
    }
    if !wishes.seeds.is_empty() {
        failed += seeds::run(&wishes.seeds, options.runs).await?;
    }
    if wishes.contention {
        failed += contention::run(options.duration_ms, options.seed).await?;
    }
    if wishes.webhook {
        webhook::run(options.runs).await?;
    }
    if wishes.handler {
        handler::run().await?;
    }
    page::write()?;
    Ok(failed)
}

/// What `ONLY` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wishes {
    /// Starts of the names of the failover's events; an empty one is all.
    events: Vec<String>,
    /// Starts of the names of events in the place of other systems; an empty one is all.
    seeds: Vec<String>,
    /// The costs at rest.
    rest: bool,
    /// Ours and client-go's contend for one Lease.
    contention: bool,
    /// What a review costs the webhook.
    webhook: bool,
    /// What it costs between its bytes and those of its answer.
    handler: bool,
    /// The page, which is written in any case.
    page: bool,
}

fn wishes(only: &str) -> Result<Wishes> {
    let named = only.split(',').map(str::trim).filter(|it| !it.is_empty());
    let mut wishes = Wishes::default();
    for wish in named {
        let (bench, event) = wish.split_once('/').unwrap_or((wish, ""));
        match bench {
            FAILOVER => wishes.events.push(event.to_owned()),
            SEEDS => wishes.seeds.push(event.to_owned()),
            REST => wishes.rest = true,
            CONTENTION => wishes.contention = true,
            WEBHOOK => wishes.webhook = true,
            HANDLER => wishes.handler = true,
            PAGE => wishes.page = true,
            other => {
                let cause = format!("there is none named {other:?}");
                let cure = format!(
                    "ONLY={FAILOVER}, {SEEDS}, {REST}, {CONTENTION}, {WEBHOOK}, {HANDLER} or {PAGE}"
                );
                return Err(Error::new("find the bench", cause).cure(cure));
            }
        }
    }
    if wishes == Wishes::default() {
        wishes.events.push(String::new());
        wishes.seeds.push(String::new());
        wishes.rest = true;
        wishes.contention = true;
        wishes.webhook = true;
        wishes.handler = true;
    }
    Ok(wishes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_name_a_bench_and_perhaps_an_event() {
        assert!(wishes("").unwrap().rest && wishes("").unwrap().contention);
        let handler = wishes("handler").unwrap();
        assert!(handler.handler && !handler.webhook && wishes("").unwrap().webhook);
        assert_eq!(wishes("failover").unwrap().events, [""]);
        assert_eq!(wishes("rest").unwrap().events, [""; 0]);
        let two = "failover/delete, failover/drain";
        assert_eq!(wishes(two).unwrap().events, ["delete", "drain"]);
        let page = wishes("page").unwrap();
        assert!(page.page && !page.rest && !page.contention && page.events.is_empty());
        assert_eq!(wishes("seeds/crash").unwrap().seeds, ["crash"]);
        assert!(wishes("speed").is_err());
    }
}
