//! Sidecars with wrong settings, in the place of another system's: how they end, and what they say.

use anyhow::{Result, ensure};
use tests::cluster::images;

use super::journal::Kind;
use super::stage::{SETTLED_MS, Stage};
use crate::context::Context;

/// A pod with the sidecar alone.
pub(crate) struct Refusal {
    /// Its name.
    pub(crate) pod: &'static str,
    /// Variables beside the one that names the system.
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// What its log says.
    pub(crate) message: &'static str,
}

/// Starts them all in the place of `personality`, each of which must end with this status.
pub(crate) async fn end_with(
    context: &Context<'_>,
    (personality, code): (&str, i64),
    refusals: &[Refusal],
) -> Result<()> {
    let pods = refusals
        .iter()
        .map(|refusal| lone_pod(personality, refusal));
    let pods: Vec<String> = pods.collect();
    let mut stage = Stage::open(context, &pods.join("---\n")).await?;
    for Refusal { pod, message, .. } in refusals {
        let found = stage
            .until("the sidecar ends", SETTLED_MS, |entries| {
                let pods = entries.now(Kind::Pod);
                let ended = "/status/containerStatuses/0/state/terminated/exitCode";
                pods.get(pod)?.pointer(ended)?.as_i64()
            })
            .await?;
        ensure!(found == code, "{pod} exits with {found}");
        let log = context.kubectl(&["logs", pod]).await?;
        ensure!(log.contains(message), "{pod} says {log:?}");
    }
    Ok(())
}

fn lone_pod(personality: &str, refusal: &Refusal) -> String {
    let variable =
        |(key, value): &(&str, &str)| format!("    - name: {key}\n      value: {value:?}\n");
    let more: String = refusal.env.iter().map(variable).collect();
    let (name, image) = (refusal.pod, images::Kind::Sidecar.name());
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  restartPolicy: Never\n  \
         containers:\n  - name: elector\n    image: {image}\n    env:\n    \
         - name: ACTIVE_PASSIVE_PERSONALITY\n      value: {personality}\n{more}"
    )
}
