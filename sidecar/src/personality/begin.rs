//! From what was asked for, and the own pod, to the settings of a sidecar.

use super::{Asked, Peers, Refused, own_pod};
use crate::config::Config;
use crate::lease::{Fence, LeaseForm};
use crate::members::{Mark, Members};
use crate::sight::Sight;
use common::contract::env;
use common::ids::DNS_LABEL_CHARS_MAX;
use common::pod::Pod;
use election::Customs;
use kube::Client;

/// Longest name of a Lease.
const LEASE_CHARS_MAX: usize = 253;
/// Duration of a Lease that was freed, as electors on client-go write it, seconds.
const FREE_S: u64 = 1;

/// Reads the own pod, and returns the settings that follow.
///
/// # Errors
/// [`Refused`] if it cannot be read, or does not fit.
pub async fn begin(
    asked: &Asked,
    client: &Client,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Config, Refused> {
    let pod = own_pod::read(asked, client).await?;
    let sight = Sight::allowed(client, &asked.namespace).await;
    sight.tell(&asked.namespace);
    let mut config = settings(asked, &pod, lookup)?;
    config.sight = sight;
    Ok(config)
}

/// The settings, but for what the account may see.
pub(super) fn settings(
    asked: &Asked,
    pod: &Pod,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Config, Refused> {
    let (seed, meta) = (asked.seed, &pod.metadata);
    let lease = seed.lease_name(&asked.election, |key| meta.label(key));
    if !is_object_name(&lease) {
        let message = match asked.peers {
            Peers::SameLabels([first, second]) => format!(
                "labels {first} and {second} of pod {} make {lease:?}, which cannot name a Lease: \
                 give the pod template both, in lower case",
                asked.pod
            ),
        };
        return Err(Refused::new(seed, message));
    }
    let names = &asked.role_label;
    let passive = names.passive.as_deref().unwrap_or_default();
    let read = Config::read(|name| {
        let value = match name {
            env::GROUP => group(&lease),
            env::POD_NAME => asked.pod.clone(),
            env::POD_UID => meta.uid.clone(),
            env::POD_NAMESPACE => asked.namespace.clone(),
            env::ROLE_LABEL => names.key.clone(),
            env::ACTIVE_VALUE => names.active.clone(),
            env::PASSIVE_VALUE => passive.to_owned(),
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
    config.members = match asked.peers {
        Peers::SameLabels(keys) => {
            let value = |key| (key, meta.label(key).unwrap_or_default());
            Members::labelled(keys.map(value))
        }
    };
    config.mark = Mark::None;
    config.lease = LeaseForm {
        name: lease,
        fence: Fence::Unsaid,
        free_s: Some(FREE_S),
    };
    config.port_is_spare = true;
    config.routes = seed.routes;
    Ok(config)
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
