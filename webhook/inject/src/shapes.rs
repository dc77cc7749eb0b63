//! The shapes of what is put into a pod, as Kubernetes' API has them.
//!
//! Types of our own: they borrow what they say, and hold nothing that is not said. The container
//! alone would be two hundred small pieces of memory as a tree of JSON.

use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

/// A container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container<'a> {
    pub(crate) name: &'static str,
    pub(crate) image: &'a str,
    pub(crate) image_pull_policy: &'a str,
    pub(crate) restart_policy: &'static str,
    pub(crate) env: Vec<Variable<'a>>,
    pub(crate) liveness_probe: Probe,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lifecycle: Option<Lifecycle>,
    pub(crate) security_context: SecurityContext,
    pub(crate) volume_mounts: Vec<Mount<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ports: Option<[Port; 1]>,
    /// The last: what stands before them tells injections apart.
    pub(crate) resources: Value,
}

/// A variable of the environment.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Variable<'a> {
    /// With a value.
    Text {
        name: &'static str,
        value: Cow<'a, str>,
    },
    /// With that of a field of the pod.
    Field {
        name: &'static str,
        #[serde(rename = "valueFrom")]
        from: FieldSource,
    },
}

/// Where the value of a field comes from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FieldSource {
    pub(crate) field_ref: FieldRef,
}

/// A field of the pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FieldRef {
    api_version: &'static str,
    field_path: &'static str,
}

impl FieldRef {
    /// The field at this path.
    pub(crate) fn to(field_path: &'static str) -> Self {
        Self {
            api_version: "v1",
            field_path,
        }
    }
}

/// A probe.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Probe {
    pub(crate) period_seconds: u32,
    pub(crate) timeout_seconds: u32,
    pub(crate) failure_threshold: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exec: Option<Exec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http_get: Option<HttpGet>,
}

/// Runs a program of the container.
#[derive(Debug, Serialize)]
pub(crate) struct Exec {
    pub(crate) command: [&'static str; 3],
}

/// Asks the container's HTTP server.
#[derive(Debug, Serialize)]
pub(crate) struct HttpGet {
    path: &'static str,
    port: u16,
    scheme: &'static str,
}

impl HttpGet {
    /// For this path, without TLS.
    pub(crate) fn of(path: &'static str, port: u16) -> Self {
        Self {
            path,
            port,
            scheme: "HTTP",
        }
    }
}

/// Hooks of a container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lifecycle {
    pub(crate) pre_stop: Hook,
}

/// A hook.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Hook {
    pub(crate) http_get: HttpGet,
}

/// What a container may do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecurityContext {
    pub(crate) allow_privilege_escalation: bool,
    pub(crate) capabilities: Capabilities,
    pub(crate) read_only_root_filesystem: bool,
    pub(crate) run_as_non_root: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_as_user: Option<u32>,
    pub(crate) seccomp_profile: Profile,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) app_armor_profile: Option<Profile>,
}

/// Capabilities that are taken away.
#[derive(Debug, Serialize)]
pub(crate) struct Capabilities {
    pub(crate) drop: [&'static str; 1],
}

/// Which profile of seccomp or AppArmor.
#[derive(Debug, Serialize)]
pub(crate) struct Profile {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

/// A port that a container declares.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Port {
    pub(crate) name: &'static str,
    pub(crate) container_port: u16,
    pub(crate) protocol: &'static str,
}

/// Where a container sees a volume.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mount<'a> {
    pub(crate) name: &'static str,
    pub(crate) mount_path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) read_only: Option<bool>,
}

/// A volume.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Volume {
    pub(crate) name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) empty_dir: Option<EmptyDir>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) projected: Option<Projected>,
}

/// A volume with nothing in it yet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EmptyDir {
    pub(crate) medium: &'static str,
    pub(crate) size_limit: &'static str,
}

/// A volume with several things in it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Projected {
    pub(crate) default_mode: u16,
    pub(crate) sources: [Projection; 3],
}

/// One of several things in a volume.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Projection {
    /// A token of the pod's account.
    ServiceAccountToken {
        expiration_seconds: i64,
        path: &'static str,
    },
    /// Keys of a ConfigMap.
    ConfigMap {
        name: &'static str,
        items: [KeyFile; 1],
    },
    /// Fields of the pod.
    #[serde(rename = "downwardAPI")]
    DownwardApi { items: [FieldFile; 1] },
}

/// A key as a file.
#[derive(Debug, Serialize)]
pub(crate) struct KeyFile {
    pub(crate) key: &'static str,
    pub(crate) path: &'static str,
}

/// A field as a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FieldFile {
    pub(crate) path: &'static str,
    pub(crate) field_ref: FieldRef,
}
