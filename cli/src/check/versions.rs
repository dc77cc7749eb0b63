//! `version`: of this program, of the webhook, of the sidecars that run.

use crate::args::VersionArgs;
use crate::check::facts::Read;
use crate::check::read;
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::gather::{Gathered, gather};
use crate::group::Group;
use crate::output::data;
use serde::Serialize;
use std::collections::BTreeMap;

/// All versions.
#[derive(Debug, Serialize)]
pub(crate) struct Versions {
    client: &'static str,
    /// Of the webhook's Deployment.
    webhook: Option<String>,
    /// Pods of each version of the sidecar.
    sidecars: BTreeMap<String, usize>,
    /// What could not be seen, as sentences.
    notes: Vec<String>,
}

/// Runs it.
pub(crate) async fn run(cluster: &Cluster, args: &VersionArgs) -> Result<String, Failure> {
    let configuration = read::configuration(cluster).await?;
    let system = read::namespace(args.system_namespace.as_deref(), &configuration);
    let deployment = read::deployment(cluster, &system).await?;
    let namespace = Some(cluster.namespace.as_str()).filter(|_| !args.all_namespaces);
    let mut notes = Vec::new();
    match &deployment {
        Read::Seen(_) => {}
        Read::Absent => notes.push(format!("there is no webhook in namespace {system}")),
        Read::Unseen(why) => notes.push(why.clone()),
    }
    let sidecars = match gather(cluster, namespace).await {
        Ok(Gathered { groups, unseen, .. }) => {
            notes.extend(unseen);
            sidecars(&groups)
        }
        Err(Failure::Forbidden { message, .. }) => {
            notes.push(message);
            BTreeMap::new()
        }
        Err(failure) => return Err(failure),
    };
    let versions = Versions {
        client: env!("CARGO_PKG_VERSION"),
        webhook: deployment.seen().and_then(read::labelled_version),
        sidecars,
        notes,
    };
    match args.output {
        Some(format) => data(&versions, format),
        None => Ok(versions.text(namespace)),
    }
}

fn sidecars(groups: &[Group]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let members = groups.iter().flat_map(|group| &group.members);
    for version in members.filter_map(|member| member.version.clone()) {
        *found.entry(version).or_default() += 1;
    }
    found
}

impl Versions {
    fn text(&self, namespace: Option<&str>) -> String {
        let sidecars: Vec<String> = self
            .sidecars
            .iter()
            .map(|(version, pods)| format!("{version} ({pods} pods)"))
            .collect();
        let place = namespace.map_or_else(
            || "in all namespaces".to_owned(),
            |name| format!("in namespace {name}"),
        );
        let sidecars = if sidecars.is_empty() {
            format!("none {place}")
        } else {
            format!("{} {place}", sidecars.join(", "))
        };
        let webhook = self.webhook.as_deref().unwrap_or("unknown");
        let mut text = format!(
            "client    {}\nwebhook   {webhook}\nsidecars  {sidecars}\n",
            self.client
        );
        for note in &self.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        text
    }
}
