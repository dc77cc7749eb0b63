//! Which containers are electors of other systems.

use super::object::{list, text};
use common::contract::env;
use common::seeds::{self, LEADER_ELECTOR, LEADER_LABELER, Seed, leader_elector, leader_labeler};
use serde_json::Value;

/// Of what system a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// An elector beside the app.
    Sidecar(&'static Seed),
    /// active-standby-controller, which has a pod of its own.
    Controller,
}

/// Names of images without what stands before the last `/`, and whose they are.
pub(super) const NAMES: [(&str, Which); 5] = [
    ("apsc", Which::Sidecar(&seeds::APSC)),
    (
        "service-leader-election",
        Which::Sidecar(&seeds::SERVICE_LEADER_ELECTION),
    ),
    ("leader-labeler", Which::Sidecar(&LEADER_LABELER)),
    ("leader-elector", Which::Sidecar(&LEADER_ELECTOR)),
    ("active-standby-controller", Which::Controller),
];
/// What leader-elector's README calls its container.
const OTHER_NAME: (&str, &str) = ("leader-election-sidecar", "leader-elector");

/// A container that is an elector.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elector<'a> {
    /// The list of the pod's `spec` in which it stands.
    pub(super) list: &'static str,
    /// Its index there.
    pub(super) index: usize,
    pub(super) container: &'a Value,
    pub(super) which: Which,
}

/// The electors of a pod template.
pub(super) fn all(pod: &Value) -> Vec<Elector<'_>> {
    let spec = pod.get("spec").unwrap_or(&Value::Null);
    let mut found = Vec::new();
    for key in ["containers", "initContainers"] {
        for (index, container) in list(spec, key).iter().enumerate() {
            found.extend(which(container).map(|which| Elector {
                list: key,
                index,
                container,
                which,
            }));
        }
    }
    found
}

/// By the variable that starts our program in another's place, by the image, or by the container's
/// name, which stays when only the image is changed.
fn which(container: &Value) -> Option<Which> {
    let variables = list(container, "env");
    let variable = |name: &str| variables.iter().find(|it| text(it, "name") == Some(name));
    let named = variable(env::PERSONALITY).and_then(|it| text(it, "value"));
    if let Some(seed) = named.and_then(Seed::named) {
        return Some(Which::Sidecar(seed));
    }
    let image = repository(text(container, "image").unwrap_or_default());
    let own = text(container, "name").unwrap_or_default();
    let own = if own == OTHER_NAME.0 {
        OTHER_NAME.1
    } else {
        own
    };
    let is = |(name, _): &&(&str, Which)| *name == image || *name == own;
    let (_, which) = NAMES.iter().find(is)?;
    match which {
        Which::Sidecar(seed) if **seed == LEADER_LABELER => {
            let arguments: Vec<&str> = arguments(container).collect();
            let seed = leader_labeler::meant(&arguments).unwrap_or(&LEADER_LABELER);
            Some(Which::Sidecar(seed))
        }
        // Kubernetes' own example of an elector has that name, too, and flags.
        Which::Sidecar(seed) if **seed == LEADER_ELECTOR => {
            variable(leader_elector::LEASE_NAME).map(|_| *which)
        }
        which => Some(*which),
    }
}

/// Everything that a container is started with but the program. What an image's own entry point adds
/// is not known here; the systems' images add nothing.
pub(super) fn arguments(container: &Value) -> impl Iterator<Item = &str> {
    let command = list(container, "command").iter().skip(1);
    let words = command.chain(list(container, "args"));
    words.filter_map(Value::as_str)
}

/// The last part of an image's name, without tag and digest.
fn repository(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split(['@', ':']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn electors_are_known_by_image_or_name_and_others_are_not() {
        let name = |container: Value| match which(&container) {
            Some(Which::Sidecar(seed)) => seed.name,
            Some(Which::Controller) => "controller",
            None => "-",
        };
        let lease = json!([{"name": "LEASE_NAME", "value": "x"}]);
        for (container, expected) in [
            (json!({"image": "knoppiks/apsc"}), "apsc"),
            (json!({"image": "r.example:5000/a/apsc:1@sha256:0"}), "apsc"),
            (
                json!({"name": "apsc", "image": "r.example/sidecar:1"}),
                "apsc",
            ),
            (json!({"image": "httpd:apsc"}), "-"),
            (json!({"image": "leader-labeler"}), "leader-labeler"),
            (
                json!({"image": "leader-labeler",
                    "args": ["--election-name=a", "-retry-interval", "1s"]}),
                "leader-labeler-v0.3",
            ),
            (json!({"image": "k8s.gcr.io/leader-elector:0.5"}), "-"),
            (
                json!({"image": "supporttools/leader-elector", "env": lease}),
                "leader-elector",
            ),
            (
                json!({"name": "leader-election-sidecar", "image": "o", "env": lease}),
                "leader-elector",
            ),
            (
                json!({"image": "quay.io/qoqodev/active-standby-controller:slim"}),
                "controller",
            ),
            (
                json!({"image": "o",
                    "env": [{"name": "ACTIVE_PASSIVE_PERSONALITY", "value": "apsc"}]}),
                "apsc",
            ),
        ] {
            assert_eq!(name(container.clone()), expected, "{container}");
        }
    }
}
