//! knoppiks/apsc: all by environment variables.

use super::{Asked, Peers, Refused, Times};
use crate::members::Mark;
use common::contract::env;
use common::role::RoleLabelNames;
use common::seeds::{APSC, COMPONENT_LABEL, LABEL_KEY, NAME_LABEL};

/// Nobody else has all three.
pub(super) fn is_meant(given: &dyn Fn(&str) -> bool) -> bool {
    [env::POD_NAME, env::POD_NAMESPACE, LABEL_KEY]
        .into_iter()
        .all(given)
}

/// Reads its settings.
pub(super) fn read(
    arguments: &[&str],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Asked, Refused> {
    if let [first, ..] = arguments {
        let message = format!("{} takes no arguments, but was given {first:?}", APSC.name);
        return Err(Refused::new(&APSC, message));
    }
    let text = |name: &str| lookup(name).filter(|value| !value.is_empty());
    let required = |name: &str| {
        text(name).ok_or_else(|| Refused::new(&APSC, format!("missing {name} env var")))
    };
    let namespace = required(env::POD_NAMESPACE)?;
    let pod = required(env::POD_NAME)?;
    let names = APSC.role_label("").expect("its pods carry the role");
    let key = text(LABEL_KEY).unwrap_or_else(|| names.key.clone());
    Ok(Asked {
        seed: &APSC,
        namespace,
        pod,
        election: String::new(),
        role_label: RoleLabelNames { key, ..names },
        lease: None,
        peers: Peers::SameLabels([NAME_LABEL, COMPONENT_LABEL]),
        mark: Mark::None,
        times: Times::default(),
        waits_for_ready: false,
        lingers: false,
        rights: &[],
        port: None,
        files: None,
        container: None,
        route: None,
        shows_role: true,
    })
}
