//! Which port the sidecar listens on.

use crate::pod::{Pod, name};
use common::contract::{self, HOST_PORT_FIRST, HOST_PORTS, PREFIX, env};
use common::hash::fnv1a;
use common::ids::Group;
use serde_json::{Value, json};

/// The sidecar's usual port, or the next one that no other container of the pod declares. An
/// earlier injection's choice stands while it is free.
///
/// A pod on its node's network shares the ports of all others there: it gets one that follows from
/// its namespace, group, name and labels, so that two groups on one node, two revisions of one
/// group, and two pods of a StatefulSet hardly ever get the same. It is not declared, since a
/// declared one would keep a second pod off the node.
pub(crate) fn choose(pod: &Pod<'_>, namespace: &str, group: &Group) -> u16 {
    let taken: Vec<u64> = pod
        .other_containers()
        .filter_map(|container| container.get("ports")?.as_array())
        .flatten()
        .filter_map(|port| port.get("containerPort")?.as_u64())
        .collect();
    let free = |port: &u16| !taken.contains(&u64::from(*port));
    let first = if pod.host_network() {
        host_port(pod, namespace, group)
    } else {
        contract::SIDECAR_PORT
    };
    injected(pod)
        .filter(free)
        .or_else(|| (first..=u16::MAX).find(free))
        .unwrap_or(first)
}

/// The port that an earlier injection chose.
pub(crate) fn injected(pod: &Pod<'_>) -> Option<u16> {
    let (_, sidecar) = pod.sidecar()?;
    let env = sidecar.get("env")?.as_array()?;
    let var = env.iter().find(|var| name(var) == Some(env::PORT))?;
    var.get("value")?
        .as_str()?
        .parse()
        .ok()
        .filter(|port| *port >= contract::SIDECAR_PORT)
}

fn host_port(pod: &Pod<'_>, namespace: &str, group: &Group) -> u16 {
    let labels = pod.labels.into_iter().flatten();
    let theirs: Vec<(&String, &Value)> =
        labels.filter(|(key, _)| !key.starts_with(PREFIX)).collect();
    let identity = json!([namespace, group.as_str(), pod.metadata.get("name"), theirs]);
    let offset = fnv1a(identity.to_string().as_bytes()) % u64::from(HOST_PORTS);
    HOST_PORT_FIRST.saturating_add(u16::try_from(offset).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn port(namespace: &str, group: &str, hash: &str) -> u16 {
        let pod = json!({
            "metadata": {"labels": {"app": group, "pod-template-hash": hash}},
            "spec": {"hostNetwork": true, "containers": [{"name": "app"}]},
        });
        let pod = Pod::read(&pod).unwrap();
        choose(&pod, namespace, &Group::parse(group).unwrap())
    }

    #[test]
    fn neighbours_on_a_node_get_ports_of_their_own() {
        let ports = [
            port("shop", "web", "1"),
            port("shop", "web", "2"),
            port("shop", "cart", "1"),
            port("blog", "web", "1"),
        ];
        assert_eq!(BTreeSet::from(ports).len(), ports.len(), "{ports:?}");
        let range = HOST_PORT_FIRST..HOST_PORT_FIRST + HOST_PORTS;
        assert!(ports.iter().all(|port| range.contains(port)), "{ports:?}");
        assert_eq!(port("shop", "web", "1"), ports[0]);
    }
}
