//! maksim-paskal/service-leader-election: by flags of Go's kind.

use super::{Asked, Peers, Refused, Times};
use crate::members::Mark;
use crate::selector_route::SelectorRoute;
use common::contract::env;
use common::hash::fnv1a;
use common::ids::DNS_LABEL_CHARS_MAX;
use common::role::RoleLabelNames;
use common::seeds::SERVICE_LEADER_ELECTION;
use common::seeds::flags::{self, Flags};
use common::seeds::service_leader_election::{
    CHECK, CONTAINER, KEY, KUBECONFIG, LEASE, NAMESPACE, PATCH, POD, PORT, SERVICE, SWITCHES,
    TIMES, VALUED,
};

/// Flags that nobody else has.
const OWN: [&str; 7] = [SERVICE, KEY, CONTAINER, PORT, PATCH, CHECK, TIMES[0]];

/// Whether these are its flags.
pub(super) fn is_meant(arguments: &[&str]) -> bool {
    flags::any(arguments, &OWN) || flags::any(arguments, &[LEASE])
}

/// Reads its settings.
pub(super) fn read(
    arguments: &[&str],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Asked, Refused> {
    let seed = &SERVICE_LEADER_ELECTION;
    let refused = |message: &str| Refused::new(seed, message);
    let flags = Flags::read(arguments, &VALUED, &SWITCHES);
    let flags = flags.map_err(|error| Refused {
        exit_code: super::USAGE,
        ..Refused::new(seed, error)
    })?;
    if flags.get(KUBECONFIG).is_some() {
        return Err(refused("-kubeconfig: set the variable KUBECONFIG instead"));
    }
    let text = |flag| flags.get(flag).map(str::to_owned);
    let env = |name: &str| lookup(name).filter(|value| !value.is_empty());
    let usual = || seed.name.to_owned();
    let is_on = |flag| flags.get(flag) != Some("false");
    let pod = text(POD).or_else(|| env(env::POD_NAME));
    let pod = pod.ok_or_else(|| refused("podname is required (or set POD_NAME env var)"))?;
    let namespace = text(NAMESPACE).or_else(|| env(env::POD_NAMESPACE));
    let missing = || refused("namespace is required (or set POD_NAMESPACE env var)");
    let namespace = namespace.ok_or_else(missing)?;
    let key = text(KEY).unwrap_or_else(usual);
    let value = label_value(&pod);
    let route = is_on(PATCH).then(|| SelectorRoute {
        service: text(SERVICE).unwrap_or_else(usual),
        key: key.clone(),
        value: value.clone(),
    });
    Ok(Asked {
        seed,
        namespace,
        pod,
        lease: None,
        election: text(LEASE).unwrap_or_else(usual),
        role_label: RoleLabelNames {
            key: key.clone(),
            active: value.clone(),
            passive: None,
        },
        peers: Peers::Own,
        mark: Mark::Label(key, value),
        times: Times::default(),
        waits_for_ready: is_on(CHECK),
        lingers: false,
        rights: &[],
        port: text(PORT).map(|port| port.trim_start_matches(':').to_owned()),
        files: None,
        container: Some(text(CONTAINER)),
        route,
        shows_role: false,
    })
}

/// The name of a pod as the value of a label, which may be shorter than a name.
fn label_value(pod: &str) -> String {
    if pod.len() <= DNS_LABEL_CHARS_MAX {
        return pod.to_owned();
    }
    let hash = format!("{:016x}", fnv1a(pod.as_bytes()));
    let start = pod
        .get(..DNS_LABEL_CHARS_MAX - 1 - hash.len())
        .unwrap_or_default();
    format!("{}-{hash}", start.trim_end_matches(['-', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_makes_a_label_of_its_own() {
        let long = |end: &str| format!("{}{end}", "a-".repeat(60));
        let (one, two) = (label_value(&long("1")), label_value(&long("2")));
        assert!(
            one.len() <= DNS_LABEL_CHARS_MAX && one != two,
            "{one} {two}"
        );
        assert_eq!(label_value("web-1"), "web-1");
    }
}
