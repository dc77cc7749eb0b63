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
use crate::group::Group;
use crate::pause::annotate;
use crate::visible;
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

/// A switchover that was asked for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Who was active.
    pub(crate) from: Before,
    /// The pod, or any.
    wanted: String,
    asked_at: Instant,
    /// Version of the Lease that asks.
    pub(crate) version: u64,
    /// uids of refusals of before.
    refusals: BTreeSet<String>,
}

/// What became of a wish.
#[derive(Debug)]
pub(crate) enum Answer {
    /// There is nothing to do.
    Nothing(String),
    Asked(Asked),
}

/// Runs it.
pub(crate) async fn run(cluster: &Cluster, args: &SwitchoverArgs) -> Result<String, Failure> {
    let group = group(cluster, &args.group).await?;
    let asked = match ask(cluster, &group, args.to.as_deref()).await? {
        Answer::Nothing(why) => return Ok(why),
        Answer::Asked(asked) => asked,
    };
    let name = &args.group;
    if !args.wait {
        return Ok(format!(
            "asked {} to hand over to {}; `kubectl active-passive status {name}` shows what \
             becomes of it, --wait waits for it\n",
            asked.from.pod, asked.wanted
        ));
    }
    match follow(cluster, args, &asked).await? {
        Some(pod) => Ok(asked.moved(&pod)),
        None => Err(asked.refused(cluster, &group).await),
    }
}

/// Asks the leader of a group to hand over to a pod, or to the best.
pub(crate) async fn ask(
    cluster: &Cluster,
    group: &Group,
    to: Option<&str>,
) -> Result<Answer, Failure> {
    let (wanted, from) = match plan(group, to, Timestamp::now()).map_err(Failure::Refused)? {
        Plan::Nothing(why) => return Ok(Answer::Nothing(why)),
        Plan::Ask { wanted, from } => (wanted, from),
    };
    let Some(lease) = &group.lease else {
        return Err(Failure::Refused("the Lease is gone".to_owned()));
    };
    let refusals = refusals(cluster, group).await;
    let asked_at = Instant::now();
    let what = "ask for the switchover";
    let version = annotate(cluster, what, lease, contract::SWITCHOVER, &json!(wanted)).await?;
    Ok(Answer::Asked(Asked {
        from,
        wanted,
        asked_at,
        version,
        refusals,
    }))
}

impl Asked {
    /// What to say once the role has moved to `pod`.
    pub(crate) fn moved(&self, pod: &str) -> String {
        let within = took(millis(self.asked_at.elapsed()));
        let before = &self.from.pod;
        format!("{pod} is active: role and traffic moved from {before} within {within}\n")
    }

    /// Why the leader has refused.
    pub(crate) async fn refused(&self, cluster: &Cluster, group: &Group) -> Failure {
        Failure::Refused(reason(cluster, group, &self.refusals).await)
    }
}

/// Looks until the role has moved; `None`: the leader has refused.
async fn follow(
    cluster: &Cluster,
    args: &SwitchoverArgs,
    asked: &Asked,
) -> Result<Option<String>, Failure> {
    let mut said = String::new();
    loop {
        let waiting_for = match group(cluster, &args.group).await {
            Ok(group) => match progress(&group, &asked.from, args.to.as_deref()) {
                Progress::Moved(pod) => return Ok(Some(pod)),
                Progress::Elsewhere(pod) => return Err(Failure::Elsewhere(pod)),
                Progress::Refused => return Ok(None),
                Progress::Waiting(what) => what,
            },
            // It may be back before the time is over.
            Err(failure) => failure.to_string(),
        };
        if asked.asked_at.elapsed() >= args.timeout {
            return Err(Failure::NotDone {
                group: args.group.clone(),
                waited_s: args.timeout.as_secs(),
                waiting_for,
            });
        }
        if said != waiting_for && std::io::stderr().is_terminal() {
            let line = format!("waiting: {}\n", visible::line(&waiting_for));
            std::io::stderr().write_all(line.as_bytes()).ok();
            said = waiting_for;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Why the leader has refused, in its own words.
async fn reason(cluster: &Cluster, group: &Group, known: &BTreeSet<String>) -> String {
    let deadline = Instant::now() + REASON_WAIT;
    while Instant::now() < deadline {
        let events = list(cluster, group).await.unwrap_or_default();
        let new = events
            .into_iter()
            .find(|event| !known.contains(&event.metadata.uid));
        if let Some(event) = new {
            return visible::line(&event.message);
        }
        sleep(LOOK_EVERY).await;
    }
    let name = &group.name;
    format!("the leader refused; `kubectl describe lease {name}` may say why")
}

/// uids of the refusals that are there already.
async fn refusals(cluster: &Cluster, group: &Group) -> BTreeSet<String> {
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

async fn list(cluster: &Cluster, group: &Group) -> Result<Vec<Event>, Failure> {
    let Group {
        namespace, name, ..
    } = group;
    let path = format!(
        "/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.kind%3DLease%2C\
         involvedObject.name%3D{name}%2Creason%3D{REFUSED}"
    );
    let events: Events = cluster.get("list events", &path).await?;
    Ok(events.items)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
