//! A workload as it stands in the API: borrowed, raw JSON, of which as much is read as policies look
//! at.

use crate::options::Options;
use crate::pod;
use common::contract;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Replicas of a workload that does not say.
const REPLICAS: u64 = 1;

/// A kind of workload that policies can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WorkloadKind {
    /// Of `apps/v1`.
    Deployment,
    /// Of `apps/v1`.
    StatefulSet,
    /// Of `apps/v1`.
    DaemonSet,
    /// Of `batch/v1`.
    Job,
    /// Of `batch/v1`.
    CronJob,
}

impl WorkloadKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::CronJob,
    ];
    /// Those that a policy is about which names none.
    pub const USUAL: [Self; 2] = [Self::Deployment, Self::StatefulSet];

    /// Name of the kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }

    /// The kind of this name.
    pub fn parse(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == kind)
    }

    /// Its API group; the version is v1.
    pub fn group(self) -> &'static str {
        match self {
            Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apps",
            Self::Job | Self::CronJob => "batch",
        }
    }

    /// Its resource.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::Job => "jobs",
            Self::CronJob => "cronjobs",
        }
    }

    /// Whether its pods end by themselves, so that those of before need not be made anew.
    pub fn ends(self) -> bool {
        matches!(self, Self::Job | Self::CronJob)
    }

    fn template(self) -> &'static str {
        match self {
            Self::CronJob => "/spec/jobTemplate/spec/template",
            Self::Deployment | Self::StatefulSet | Self::DaemonSet | Self::Job => "/spec/template",
        }
    }
}

/// A workload.
#[derive(Debug, Clone, Copy)]
pub struct Workload<'a> {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: &'a str,
    /// How many pods it wants; none for kinds that do not count them.
    pub replicas: Option<u64>,
    template: Option<&'a Value>,
}

impl<'a> Workload<'a> {
    /// Reads a workload. None for one without a name.
    pub fn read(kind: WorkloadKind, object: &'a Value) -> Option<Self> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
        let counts = matches!(kind, WorkloadKind::Deployment | WorkloadKind::StatefulSet);
        let replicas = object.pointer("/spec/replicas").and_then(Value::as_u64);
        Some(Self {
            kind,
            name: text("/metadata/name").or_else(|| text("/metadata/generateName"))?,
            replicas: counts.then(|| replicas.unwrap_or(REPLICAS)),
            template: object.pointer(kind.template()),
        })
    }

    /// Whether this is one run of a CronJob, which is looked at in its place.
    pub fn is_run(kind: WorkloadKind, object: &Value) -> bool {
        let owners = object
            .pointer("/metadata/ownerReferences")
            .and_then(Value::as_array);
        let cron_job = |owner: &Value| {
            owner.get("controller") == Some(&Value::Bool(true))
                && owner["kind"] == WorkloadKind::CronJob.as_str()
        };
        kind == WorkloadKind::Job && owners.is_some_and(|owners| owners.iter().any(cron_job))
    }

    /// The value of a label of its pods.
    pub(crate) fn label(&self, key: &str) -> Option<&'a str> {
        self.template?
            .pointer("/metadata/labels")?
            .get(key)?
            .as_str()
    }

    /// The annotations of its pods.
    pub(crate) fn annotations(&self) -> Option<&'a Map<String, Value>> {
        self.template?.pointer("/metadata/annotations")?.as_object()
    }

    /// A pod as its controller would make it.
    pub(crate) fn pod(&self) -> Value {
        let part = |key: &str| {
            self.template
                .and_then(|template| template.get(key))
                .cloned()
        };
        let mut metadata = part("metadata")
            .filter(Value::is_object)
            .unwrap_or_else(|| json!({}));
        let owner = json!({"kind": self.kind.as_str(), "name": self.name, "controller": true});
        metadata["ownerReferences"] = json!([owner]);
        json!({"metadata": metadata, "spec": part("spec").unwrap_or_default()})
    }

    /// What the template says to `inject`.
    pub(crate) fn inject(&self) -> Option<&'a Value> {
        pod::inject_annotation(self.template?)
    }
}

/// What of a Service says whom it serves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceRoute {
    /// The group that it follows.
    pub group: Option<String>,
    /// Its selector.
    pub selector: BTreeMap<String, String>,
}

impl ServiceRoute {
    /// Whether it sends traffic to the active pod of a workload: by its annotation, or by the label of
    /// the role.
    pub(crate) fn routes(&self, workload: &Workload<'_>, group: &str, options: &Options) -> bool {
        if let Some(followed) = &self.group {
            return followed == group;
        }
        let role = self.selector.get(&options.role_label);
        // What the webhook writes on the pod itself.
        let written = |key: &str, value: &str| key == contract::GROUP && value == group;
        let selects = |(key, value): (&String, &String)| {
            *key == options.role_label
                || written(key, value)
                || workload.label(key) == Some(value.as_str())
        };
        role == Some(&options.active_value) && self.selector.iter().all(selects)
    }
}
