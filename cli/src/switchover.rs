//! `switchover`: asks the leader to hand its role over, and follows what becomes of it.
//!
//! The request is an annotation of the Lease; the leader takes it away when it has answered. Where
//! it refuses, an Event says why.

use crate::age::took;
use crate::args::SwitchoverArgs;
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::follow::{Before, Plan, Progress, plan, progress};
use crate::gather::group;
use crate::pause::annotate;
use common::contract;
use common::objects::Meta;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the Event with the reason is waited for once the leader has refused.
const REASON_WAIT: Duration = Duration::from_secs(2);
/// Reason of the Event that answers a switchover with no.
const REFUSED: &str = "SwitchoverRefused";

/// Runs it.
pub(crate) async fn run(cluster: &Cluster, args: &SwitchoverArgs) -> Result<String, Failure> {
    let (group, _) = group(cluster, &args.group).await?;
    let planned = plan(&group, args.to.as_deref(), Timestamp::now()).map_err(Failure::Refused)?;
    let (wanted, from) = match planned {
        Plan::Nothing(why) => return Ok(why),
        Plan::Ask { wanted, from } => (wanted, from),
    };
    let Some(lease) = &group.lease else {
        return Err(Failure::Refused("the Lease is gone".to_owned()));
    };
    let refused_before = refusals(cluster, &args.group).await;
    let asked_at = Instant::now();
    let what = "ask for the switchover";
    annotate(cluster, what, lease, contract::SWITCHOVER, &json!(wanted)).await?;
    let name = &args.group;
    if !args.wait {
        return Ok(format!(
            "asked {} to hand over to {wanted}; `kubectl active-passive status {name}` shows what \
             becomes of it, --wait waits for it\n",
            from.pod
        ));
    }
    let moved = follow(cluster, args, &from, asked_at).await?;
    let Some(pod) = moved else {
        let why = reason(cluster, name, &refused_before).await;
        return Err(Failure::Refused(why));
    };
    let within = took(millis(asked_at.elapsed()));
    let before = &from.pod;
    Ok(format!(
        "{pod} is active: role and traffic moved from {before} within {within}\n"
    ))
}

/// Looks until the role has moved; `None`: the leader has refused.
async fn follow(
    cluster: &Cluster,
    args: &SwitchoverArgs,
    before: &Before,
    asked_at: Instant,
) -> Result<Option<String>, Failure> {
    let mut said = String::new();
    loop {
        let waiting_for = match group(cluster, &args.group).await {
            Ok((group, _)) => match progress(&group, before, args.to.as_deref()) {
                Progress::Moved(pod) => return Ok(Some(pod)),
                Progress::Elsewhere(pod) => return Err(Failure::Elsewhere(pod)),
                Progress::Refused => return Ok(None),
                Progress::Waiting(what) => what,
            },
            // It may be back before the time is over.
            Err(failure) => failure.to_string(),
        };
        if asked_at.elapsed() >= args.timeout {
            return Err(Failure::NotDone {
                group: args.group.clone(),
                waited_s: args.timeout.as_secs(),
                waiting_for,
            });
        }
        if said != waiting_for && std::io::stderr().is_terminal() {
            let line = format!("waiting: {waiting_for}\n");
            std::io::stderr().write_all(line.as_bytes()).ok();
            said = waiting_for;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Why the leader has refused, in its own words.
async fn reason(cluster: &Cluster, group: &str, known: &BTreeSet<String>) -> String {
    let deadline = Instant::now() + REASON_WAIT;
    while Instant::now() < deadline {
        let events = list(cluster, group).await.unwrap_or_default();
        let new = events
            .into_iter()
            .find(|event| !known.contains(&event.metadata.uid));
        if let Some(event) = new {
            return event.message;
        }
        sleep(LOOK_EVERY).await;
    }
    format!("the leader refused; `kubectl describe lease {group}` may say why")
}

/// uids of the refusals that are there already.
async fn refusals(cluster: &Cluster, group: &str) -> BTreeSet<String> {
    // Where Events may not be listed, a refusal goes without its reason.
    let events = list(cluster, group).await.unwrap_or_default();
    events.into_iter().map(|event| event.metadata.uid).collect()
}

#[derive(Deserialize)]
struct Events {
    items: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    metadata: Meta,
    #[serde(default)]
    message: String,
}

async fn list(cluster: &Cluster, group: &str) -> Result<Vec<Event>, Failure> {
    let namespace = &cluster.namespace;
    let path = format!(
        "/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.kind%3DLease%2C\
         involvedObject.name%3D{group}%2Creason%3D{REFUSED}"
    );
    let events: Events = cluster.get("list events", &path).await?;
    Ok(events.items)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
