//! The workload that a pod belongs to.
//!
//! A pod's controller is its ReplicaSet, never the Deployment. The ReplicaSet's name less the hash
//! that is also a label of the pod is the Deployment's: no lookup is needed. The Job of a CronJob
//! and the ReplicationController of a DeploymentConfig are seen through likewise: each run and each
//! rollout would otherwise be a group of its own.

use std::fmt;

/// Labels that hold the hash in a ReplicaSet's name, and the kind that put it there.
const HASH_LABELS: [(&str, &str); 2] = [
    ("rollouts-pod-template-hash", "Rollout"),
    ("pod-template-hash", "Deployment"),
];

/// On pods of OpenShift's DeploymentConfigs: its name.
const DEPLOYMENT_CONFIG_LABEL: &str = "deploymentconfig";
/// A CronJob ends the names of its Jobs in the minutes since 1970. Since Kubernetes 1.21 these are
/// numbers in this range, which holds no date written as year, month and day of this century.
const CRON_MINUTES: std::ops::RangeInclusive<u32> = 26_000_000..=99_999_999;

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
        let behind = match kind {
            "ReplicaSet" => HASH_LABELS.into_iter().find_map(|(key, owner_kind)| {
                let hash = label(key).filter(|hash| !hash.is_empty())?;
                Some((owner_kind, stem(name, hash)?))
            }),
            "Job" => cron_job(name).map(|name| ("CronJob", name)),
            "ReplicationController" => label(DEPLOYMENT_CONFIG_LABEL)
                .filter(|config| numbered(name).is_some_and(|(stem, _)| stem == *config))
                .map(|config| ("DeploymentConfig", config)),
            _ => None,
        };
        let (kind, name) = behind.unwrap_or((kind, name));
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// `name` less `-end`.
fn stem<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    name.strip_suffix(end)?
        .strip_suffix('-')
        .filter(|stem| !stem.is_empty())
}

/// A name that ends in a number, in its two parts.
fn numbered(name: &str) -> Option<(&str, &str)> {
    let (stem, number) = name.rsplit_once('-')?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (digits && !stem.is_empty()).then_some((stem, number))
}

/// Name of the CronJob that made the Job of this name.
fn cron_job(job: &str) -> Option<&str> {
    let (stem, minutes) = numbered(job)?;
    CRON_MINUTES
        .contains(&minutes.parse().ok()?)
        .then_some(stem)
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

    #[test]
    fn sees_through_what_makes_a_new_controller_each_time() {
        let shown = |kind: &str, name: &str| {
            let label = |key: &str| (key == "deploymentconfig").then_some("web");
            Owner::behind(kind, name, label).to_string()
        };
        for (kind, name, expected) in [
            ("Job", "report-29384710", "CronJob/report"),
            ("Job", "a-report-26000000", "CronJob/a-report"),
            ("Job", "report-20261121", "Job/report-20261121"),
            ("Job", "report-7", "Job/report-7"),
            ("Job", "29384710", "Job/29384710"),
            ("Job", "-29384710", "Job/-29384710"),
            ("Job", "report-29384710x", "Job/report-29384710x"),
            ("Workflow", "report-29384710", "Workflow/report-29384710"),
            ("ReplicationController", "web-12", "DeploymentConfig/web"),
            ("ReplicationController", "web", "ReplicationController/web"),
            (
                "ReplicationController",
                "shop-1",
                "ReplicationController/shop-1",
            ),
        ] {
            assert_eq!(shown(kind, name), expected);
        }
    }
}
