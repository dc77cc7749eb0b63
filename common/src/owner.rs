//! The workload that a pod belongs to.
//!
//! A pod's controller is its ReplicaSet, never the Deployment. The ReplicaSet's name less the hash
//! that is also a label of the pod is the Deployment's: no lookup is needed.

use std::fmt;

/// Labels that hold the hash in a ReplicaSet's name, and the kind that put it there.
const HASH_LABELS: [(&str, &str); 2] = [
    ("rollouts-pod-template-hash", "Rollout"),
    ("pod-template-hash", "Deployment"),
];

/// A workload. Shown as `kind/name`, which is how the Lease carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Kind, such as `Deployment`.
    pub kind: String,
    /// Name.
    pub name: String,
}

impl Owner {
    /// The workload behind a pod's controller of this kind and name; `label` reads the pod's labels.
    pub fn behind<'a>(kind: &str, name: &str, label: impl Fn(&str) -> Option<&'a str>) -> Self {
        let stem = |hash: &str| {
            name.strip_suffix(hash)?
                .strip_suffix('-')
                .filter(|s| !s.is_empty())
        };
        if kind == "ReplicaSet" {
            for (key, owner_kind) in HASH_LABELS {
                let hash = label(key).filter(|hash| !hash.is_empty());
                if let Some(stem) = hash.and_then(stem) {
                    return Self {
                        kind: owner_kind.to_owned(),
                        name: stem.to_owned(),
                    };
                }
            }
        }
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_through_replica_sets() {
        let check = |kind: &str, name: &str, label: (&'static str, &'static str), shown: &str| {
            let owner = Owner::behind(kind, name, |key| (key == label.0).then_some(label.1));
            assert_eq!(owner.to_string(), shown);
        };
        check(
            "ReplicaSet",
            "web-5d9",
            ("pod-template-hash", "5d9"),
            "Deployment/web",
        );
        check(
            "ReplicaSet",
            "web-5d9",
            ("rollouts-pod-template-hash", "5d9"),
            "Rollout/web",
        );
        check(
            "ReplicaSet",
            "web-5d9",
            ("pod-template-hash", "6"),
            "ReplicaSet/web-5d9",
        );
        check(
            "ReplicaSet",
            "-5d9",
            ("pod-template-hash", "5d9"),
            "ReplicaSet/-5d9",
        );
        check("ReplicaSet", "web", ("app", "web"), "ReplicaSet/web");
        check(
            "StatefulSet",
            "db-1",
            ("pod-template-hash", "1"),
            "StatefulSet/db-1",
        );
    }
}
