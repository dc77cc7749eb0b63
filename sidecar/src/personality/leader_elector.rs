//! SupportTools/leader-elector: all by environment variables.

use super::{Asked, Files, Peers, Refused, Times};
use crate::members::Mark;
use common::contract::env;
use common::seeds::LEADER_ELECTOR;
use common::seeds::leader_elector::{
    HEALTH_PORT, LABEL_POD_ROLE, LABELS, LEASE_NAME, NAMESPACE, STATUS_DIR, STATUS_FILE,
};

const HOSTNAME_FILE: &str = "/proc/sys/kernel/hostname";

/// Nobody else has both.
pub(super) fn is_meant(given: &dyn Fn(&str) -> bool) -> bool {
    [LEASE_NAME, NAMESPACE].into_iter().all(given)
}

/// Reads its settings.
pub(super) fn read(
    arguments: &[&str],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Asked, Refused> {
    let seed = &LEADER_ELECTOR;
    let refused = |message: String| Refused::new(seed, message);
    if let [first, ..] = arguments {
        let message = format!("{} takes no arguments, but was given {first:?}", seed.name);
        return Err(refused(message));
    }
    let text = |name: &str| lookup(name).filter(|value| !value.is_empty());
    let election = text(LEASE_NAME).ok_or_else(|| refused(format!("{LEASE_NAME} not set")))?;
    let namespace = text(NAMESPACE).ok_or_else(|| refused(format!("{NAMESPACE} not set")))?;
    let labels = text(LABEL_POD_ROLE).as_deref() == Some(LABELS);
    let named = text(env::POD_NAME);
    if labels && named.is_none() {
        let message = format!("POD_NAME must be set when {LABEL_POD_ROLE} is enabled");
        return Err(refused(message));
    }
    let host = hostname().unwrap_or_default();
    let folder = seed.status_dir.unwrap_or_default().to_owned();
    let files = match text(STATUS_FILE) {
        Some(file) => Files::Leaders(file),
        None => Files::Folder(text(STATUS_DIR).unwrap_or(folder)),
    };
    Ok(Asked {
        seed,
        namespace,
        pod: named.unwrap_or_else(|| host.clone()),
        lease: None,
        election,
        role_label: seed.role_label("").expect("its pods may carry the role"),
        peers: if labels { Peers::Own } else { Peers::Unknown },
        mark: Mark::None,
        times: Times::default(),
        waits_for_ready: false,
        lingers: false,
        rights: &[],
        port: text(HEALTH_PORT),
        files: Some((files, host)),
        container: None,
        route: None,
        shows_role: true,
    })
}

/// The pod's own name for itself, which is its identity in the election.
fn hostname() -> Option<String> {
    let text = std::fs::read_to_string(HOSTNAME_FILE).ok()?;
    Some(text.trim().to_owned())
}
