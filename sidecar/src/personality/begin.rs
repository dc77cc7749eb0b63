//! From what was asked for, and the own pod, to the settings of a sidecar.

use super::{Asked, Files, Peers, Refused, own_pod};
use crate::config::{Config, FREE_S};
use crate::lease::{Fence, LeaseForm};
use crate::members::Members;
use crate::role_files::RoleFiles;
use crate::sight::{self, PodSight, Right, ServiceSight, Sight};
use common::contract::{default, env};
use common::duration::format_ms;
use common::ids::DNS_LABEL_CHARS_MAX;
use common::pod::Pod;
use common::role::RoleLabelNames;
use election::Customs;
use kube::Client;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::sleep;

/// How often the own pod is asked whether it is ready, milliseconds.
const READY_EVERY_MS: u64 = 500;

/// Longest name of a Lease.
const LEASE_CHARS_MAX: usize = 253;

/// Reads the own pod, and returns the settings that follow.
///
/// # Errors
/// [`Refused`] if it cannot be read, or does not fit.
pub async fn begin(
    asked: &Asked,
    client: &Client,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Config, Refused> {
    check_rights(asked, client).await?;
    let mut sight = Sight::allowed(client, &asked.namespace).await;
    match asked.peers {
        Peers::SameLabels(_) | Peers::Having(_) => {}
        Peers::Own => sight.pods = sight.pods.of_own(),
        Peers::Unknown => sight.pods = PodSight::Imagined,
    }
    sight.tell(&asked.namespace);
    let mut pod = own_pod::read(asked, sight.pods, client).await?;
    let mut config = settings(asked, &pod, lookup)?;
    config.sight = sight;
    if asked.route.is_some() {
        config.sight.services = ServiceSight::Polled;
    }
    // Who shows by a label that it takes part shows it once it can.
    let enrols_late = matches!(asked.peers, Peers::Having(_));
    if !enrols_late {
        own_pod::enrol(asked, &pod, client).await?;
    }
    // A pod with no other container has nothing to wait for.
    let waits = asked.waits_for_ready && (asked.container.is_none() || pod.containers().len() > 1);
    while waits && !pod.is_ready(&config.containers) {
        sleep(Duration::from_millis(READY_EVERY_MS)).await;
        pod = own_pod::read(asked, sight.pods, client).await?;
    }
    if enrols_late {
        own_pod::enrol(asked, &pod, client).await?;
    }
    Ok(config)
}

/// Refuses to go on without a right that is asked for at the start.
async fn check_rights(asked: &Asked, client: &Client) -> Result<(), Refused> {
    let by_rule = || asked.seed.lease_name(&asked.election, |_| None);
    let lease = asked.lease.clone().unwrap_or_else(by_rule);
    for (verb, group, resource) in asked.rights {
        // What is to be made has no name yet, as roles see it.
        let is_named = *resource == "leases" && *verb != "create";
        let right = Right {
            verb,
            group,
            resource,
            name: if is_named { &lease } else { "" },
        };
        if !sight::allowed(client, &asked.namespace, right).await {
            let (namespace, group) = (
                &asked.namespace,
                if group.is_empty() { "\"\"" } else { group },
            );
            let message = format!(
                "missing permission: {verb} {resource} in namespace {namespace}; add to the Role of \
                 the pod's account: {{apiGroups: [{group}], resources: [{resource}], verbs: [{verb}]}}"
            );
            return Err(Refused::new(asked.seed, message));
        }
    }
    Ok(())
}

/// The settings, but for what the account may see.
pub(super) fn settings(
    asked: &Asked,
    pod: &Pod,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Config, Refused> {
    let (seed, meta) = (asked.seed, &pod.metadata);
    let by_rule = || seed.lease_name(&asked.election, |key| meta.label(key));
    let lease = asked.lease.clone().unwrap_or_else(by_rule);
    if !is_object_name(&lease) {
        let cure = match &asked.peers {
            Peers::SameLabels([first, second]) => {
                format!("give the pod template both labels {first} and {second}, in lower case")
            }
            Peers::Having(_) | Peers::Own | Peers::Unknown => {
                "take lower case letters, digits, '-' and '.'".to_owned()
            }
        };
        let message = format!("{lease:?} cannot name a Lease: {cure}");
        return Err(Refused::new(seed, message));
    }
    // What is left of the grace period for the end itself.
    let drain_ms = pod
        .grace_s()
        .saturating_mul(1_000)
        .saturating_sub(default::DRAIN_RESERVE_MS);
    let (names, times) = (&asked.role_label, &asked.times);
    let passive = names.passive.as_deref().unwrap_or_default();
    let first = || pod.containers().next().map(str::to_owned);
    let container = asked.container.clone().flatten().or_else(first);
    let read = Config::read(|name| {
        let value = match name {
            env::GROUP => group(&lease),
            env::POD_NAME => asked.pod.clone(),
            env::POD_UID => meta.uid.clone(),
            env::POD_NAMESPACE => asked.namespace.clone(),
            env::ROLE_LABEL => names.key.clone(),
            env::ACTIVE_VALUE => names.active.clone(),
            env::PASSIVE_VALUE => passive.to_owned(),
            env::CONTAINERS if asked.container.is_some() => container.clone()?,
            env::PORT => {
                let usual = seed.port.map(|port| port.to_string());
                return asked.port.clone().or(usual).or_else(|| lookup(name));
            }
            env::DRAIN_TIMEOUT => format_ms(drain_ms),
            env::LEASE_DURATION => return times.lease_duration.clone().or_else(|| lookup(name)),
            env::RENEW_DEADLINE => return times.renew_deadline.clone().or_else(|| lookup(name)),
            env::RETRY_PERIOD => return times.retry_period.clone().or_else(|| lookup(name)),
            other => return lookup(other),
        };
        Some(value)
    });
    let mut config = read.map_err(|error| Refused::new(seed, error.to_string()))?;
    config.params.customs = Customs {
        holder: seed.holder,
        giving: seed.giving,
        terms: false,
    };
    config.members = members(asked, pod);
    config.mark = asked.mark.clone();
    config.shows_role = asked.shows_role;
    config.route = asked.route.clone();
    config.lingers = asked.lingers;
    config.role_files = asked.files.as_ref().map(|files| role_files(files, names));
    config.lease = LeaseForm {
        name: lease,
        fence: Fence::Unsaid,
        free_s: Some(FREE_S),
    };
    config.port_is_spare = true;
    config.routes = seed.routes;
    Ok(config)
}

/// Which pods belong to the group.
fn members(asked: &Asked, pod: &Pod) -> Members {
    let meta = &pod.metadata;
    match &asked.peers {
        Peers::SameLabels(keys) => {
            let value = |key| (key, meta.label(key).unwrap_or_default());
            Members::labelled(keys.map(value))
        }
        Peers::Having(key) => Members::having(key),
        Peers::Own | Peers::Unknown => Members::labelled([]),
    }
}

/// The files that say the role, named as its label's values.
fn role_files((files, content): &(Files, String), names: &RoleLabelNames) -> RoleFiles {
    let (folder, active, passive) = match files {
        Files::Folder(folder) => (
            PathBuf::from(folder),
            names.active.clone(),
            names.passive.clone(),
        ),
        Files::Leaders(file) => {
            let file = Path::new(file);
            let name = file
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            let folder = file.parent().map_or_else(PathBuf::new, Path::to_owned);
            (folder, name.unwrap_or_default(), None)
        }
    };
    RoleFiles {
        folder,
        active,
        passive,
        content: content.clone(),
    }
}

/// The name of the Lease as that of a group, which is shown and never looked up.
fn group(lease: &str) -> String {
    let end = lease.len().min(DNS_LABEL_CHARS_MAX);
    lease[..end].replace('.', "-").trim_matches('-').to_owned()
}

/// Whether an object can have this name: a DNS subdomain.
fn is_object_name(text: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|b| alnum(*b))
            && bytes.last().is_some_and(|b| alnum(*b))
            && bytes.iter().all(|b| alnum(*b) || *b == b'-')
    };
    text.len() <= LEASE_CHARS_MAX && text.split('.').all(label)
}
