//! What a check looks at, as it was read.

use crate::group::Group;
use common::contract;
use common::objects::Meta;
use common::pod::Pod;
use common::service::Service;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::rbac::v1::RoleBinding;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// What became of reading something.
#[derive(Debug, Clone)]
pub(crate) enum Read<T> {
    /// It is there.
    Seen(T),
    /// It is not there.
    Absent,
    /// It may not be read; why, as a sentence.
    Unseen(String),
}

impl<T> Read<T> {
    /// What was seen.
    pub(crate) fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(seen) => Some(seen),
            Self::Absent | Self::Unseen(_) => None,
        }
    }

    /// The same, of something else.
    pub(crate) fn map<U>(self, of: impl FnOnce(T) -> U) -> Read<U> {
        match self {
            Self::Seen(seen) => Read::Seen(of(seen)),
            Self::Absent => Read::Absent,
            Self::Unseen(why) => Read::Unseen(why),
        }
    }

    /// Why it was not.
    pub(crate) fn unseen(&self) -> Option<&str> {
        match self {
            Self::Unseen(why) => Some(why),
            Self::Seen(_) | Self::Absent => None,
        }
    }
}

/// A policy, or the binding of one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Policy {
    pub(crate) metadata: Meta,
    pub(crate) spec: PolicySpec,
}

/// What is read of either.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PolicySpec {
    /// Of a binding: what it binds.
    pub(crate) policy_name: String,
    /// Of a binding: what a violation leads to.
    pub(crate) validation_actions: Vec<String>,
}

/// Policies of one kind, and their bindings.
#[derive(Debug, Clone)]
pub(crate) struct Policies {
    pub(crate) policies: Read<Vec<Policy>>,
    pub(crate) bindings: Read<Vec<Policy>>,
}

/// What became of a pod that asked for the sidecar, in a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trial {
    /// It has the sidecar.
    Injected {
        /// Version of the webhook.
        version: Option<String>,
        /// The sidecar still is a native one.
        native: bool,
    },
    /// It came back without.
    Untouched,
    /// The API server could not ask the webhook, or did not answer; what it says.
    Failed(String),
    /// Somebody refused the pod; what they say.
    Refused(String),
    /// The user may not create pods here.
    NotAllowed(String),
}

/// What the chart has installed.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    /// Where the webhook is.
    pub(crate) namespace: String,
    pub(crate) configuration: Read<MutatingWebhookConfiguration>,
    /// Name of the Secret, and what it holds.
    pub(crate) secret_name: String,
    pub(crate) secret: Read<Secret>,
    pub(crate) deployment: Read<Deployment>,
    pub(crate) endpoints: Read<Vec<EndpointSlice>>,
    /// The two cluster roles of groups.
    pub(crate) roles: [(&'static str, Read<Value>); 2],
    pub(crate) fencing: Policies,
    pub(crate) routing: Policies,
    /// Where a pod was tried, and what became of it.
    pub(crate) trial_namespace: String,
    pub(crate) trial: Trial,
}

/// What runs.
#[derive(Debug)]
pub(crate) struct Workloads {
    /// The namespace that was looked at; all without.
    pub(crate) namespace: Option<String>,
    pub(crate) groups: Vec<Group>,
    /// Kinds that may not be listed, as sentences.
    pub(crate) unseen: Vec<String>,
    pub(crate) pods: Vec<CheckedPod>,
    /// Services that follow no group by annotation, and select by the role.
    pub(crate) role_services: Vec<Service>,
    /// Services that ask for Service mode.
    pub(crate) asking: Vec<Service>,
    /// The chart was installed without it.
    pub(crate) service_mode_off: bool,
    /// Namespace and name of each service account.
    pub(crate) accounts: Read<Vec<Meta>>,
    pub(crate) bindings: Read<Vec<RoleBinding>>,
    /// Namespaces that the webhook leaves alone.
    pub(crate) excluded: Vec<String>,
    /// Version that the webhook injects now, as far as it is known.
    pub(crate) version: Option<String>,
}

/// A pod, as far as its injection is checked.
#[derive(Debug, Clone)]
pub(crate) struct CheckedPod {
    pub(crate) pod: Pod,
    pub(crate) account: String,
    pub(crate) has_sidecar: bool,
}

impl CheckedPod {
    /// It has the annotation.
    pub(crate) fn asks(&self) -> bool {
        self.pod.metadata.annotation(contract::INJECT) == Some("true")
    }
}

#[derive(Deserialize)]
struct Shape {
    spec: ShapeSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShapeSpec {
    service_account_name: Option<String>,
    containers: Vec<Named>,
    init_containers: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl<'de> Deserialize<'de> for CheckedPod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let pod = Pod::deserialize(&value).map_err(de::Error::custom)?;
        let Shape { spec } = Shape::deserialize(&value).map_err(de::Error::custom)?;
        let init = spec.init_containers.iter().flatten();
        let mut containers = spec.containers.iter().chain(init);
        Ok(Self {
            pod,
            has_sidecar: containers.any(|it| it.name == contract::CONTAINER),
            account: spec.service_account_name.unwrap_or_default(),
        })
    }
}
