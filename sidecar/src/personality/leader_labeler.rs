//! middlendian/leader-labeler: by flags, those of its README and those of its release v0.3.

use super::{Asked, Peers, Refused, Times};
use crate::members::Mark;
use common::contract::env;
use common::seeds::flags::Flags;
use common::seeds::leader_labeler::{
    ELECTION, FLAGS, LEADERSHIP, LEASE_DURATION, LEASE_NAME, NEW, OLD, PARTICIPATION, POD,
};
use common::seeds::{LEADER_LABELER_V0_3, PARTICIPANT, PARTICIPATES, Seed};

/// Where the kubelet tells a pod its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// The name of the pod, by the kubelet's own choice.
const HOSTNAME: &str = "HOSTNAME";
/// What the release asks whether it may, before anything else.
const RIGHTS: [(&str, &str, &str); 6] = [
    ("get", "coordination.k8s.io", "leases"),
    ("create", "coordination.k8s.io", "leases"),
    ("update", "coordination.k8s.io", "leases"),
    ("get", "", "pods"),
    ("list", "", "pods"),
    ("patch", "", "pods"),
];

/// Reads its settings.
pub(super) fn read(
    seed: &'static Seed,
    arguments: &[&str],
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Asked, Refused> {
    let flags = Flags::read(arguments, &FLAGS, &[]);
    let flags = flags.map_err(|error| Refused {
        exit_code: super::USAGE,
        ..Refused::new(seed, error)
    })?;
    let given = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| flags.get(name))
            .map(str::to_owned)
    };
    let env = |name: &str| lookup(name).filter(|value| !value.is_empty());
    let is_new = *seed == LEADER_LABELER_V0_3;
    let missing = |what: &str| Refused::new(seed, format!("Error: --{what}"));
    let election = given(&[ELECTION]).ok_or_else(|| missing("election-name is required"))?;
    let pod = given(&[POD])
        .or_else(|| env(env::POD_NAME))
        .or_else(|| env(HOSTNAME).filter(|_| is_new))
        .ok_or_else(|| missing("pod-name is required (or set POD_NAME env var)"))?;
    let namespace = given(&[OLD[0], NEW[0]])
        .or_else(|| env(env::POD_NAMESPACE))
        .or_else(|| is_new.then(namespace_of_account).flatten())
        .ok_or_else(|| missing("namespace is required (or set POD_NAMESPACE env var)"))?;
    let mut role_label = seed.role_label(&election).expect("its pods carry the role");
    role_label.key = given(&[LEADERSHIP]).unwrap_or(role_label.key);
    let participation = given(&[PARTICIPATION]).unwrap_or_else(|| PARTICIPANT.of(&election));
    Ok(Asked {
        seed,
        namespace,
        pod,
        lease: given(&[LEASE_NAME]),
        election,
        peers: Peers::Having(role_label.key.clone()),
        role_label,
        mark: if is_new {
            Mark::None
        } else {
            Mark::Label(participation, PARTICIPATES.to_owned())
        },
        times: Times {
            lease_duration: given(&[LEASE_DURATION]),
            renew_deadline: given(&[OLD[1], NEW[1]]),
            retry_period: given(&[OLD[2], NEW[2]]),
        },
        waits_for_ready: true,
        lingers: !is_new,
        rights: if is_new { &RIGHTS } else { &[] },
        port: None,
        files: None,
        container: None,
        route: None,
        shows_role: true,
    })
}

fn namespace_of_account() -> Option<String> {
    let text = std::fs::read_to_string(NAMESPACE_FILE).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
