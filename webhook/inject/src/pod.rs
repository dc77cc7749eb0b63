//! A pod as it stands in the review: borrowed, raw JSON whose shape has been checked once.

use crate::reason::Reason;
use common::contract;
use serde_json::{Map, Value, json};

/// The kubelet's mark on the API object of a static pod.
pub(crate) const MIRROR: &str = "kubernetes.io/config.mirror";
/// An operating system, as pods and nodes name it.
const WINDOWS: &str = "windows";
/// Labels of nodes that name it.
const OS_LABELS: [&str; 2] = ["kubernetes.io/os", "beta.kubernetes.io/os"];
/// In an affinity: which nodes will do.
const REQUIRED_NODES: &str =
    "/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";

/// What this crate reads of a pod. JSON `null` counts as absent throughout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pod<'a> {
    /// `metadata`.
    pub(crate) metadata: &'a Map<String, Value>,
    /// `metadata.labels`.
    pub(crate) labels: Option<&'a Map<String, Value>>,
    /// `metadata.annotations`.
    pub(crate) annotations: Option<&'a Map<String, Value>>,
    /// `spec`.
    pub(crate) spec: &'a Map<String, Value>,
    /// `spec.containers`: the app.
    pub(crate) containers: &'a [Value],
    /// `spec.initContainers`.
    pub(crate) init_containers: Option<&'a [Value]>,
    /// `spec.volumes`.
    pub(crate) volumes: Option<&'a [Value]>,
}

impl<'a> Pod<'a> {
    /// Checks the shape of everything that an operation of ours may go through.
    pub(crate) fn read(pod: &'a Value) -> Result<Self, Reason> {
        let named = |name: &'static str| move || name.to_owned();
        let must = |name, expected| move || not(name, expected);
        let root = object(Some(pod), named("the pod"))?;
        let root = root.ok_or_else(must("the pod", "an object"))?;
        let metadata = object(root.get("metadata"), named("metadata"))?;
        let metadata = metadata.ok_or_else(must("metadata", "an object"))?;
        let spec = object(root.get("spec"), named("spec"))?;
        let spec = spec.ok_or_else(must("spec", "an object"))?;
        let containers = list(spec.get("containers"), named("spec.containers"))?;
        let containers = containers.ok_or_else(must("spec.containers", "a list"))?;
        for (index, container) in containers.iter().enumerate() {
            let at = |field: &str| format!("spec.containers[{index}]{field}");
            let container = object(Some(container), || at(""))?;
            let container = container.ok_or_else(|| not(at(""), "an object"))?;
            object(container.get("lifecycle"), || at(".lifecycle"))?;
            list(container.get("volumeMounts"), || at(".volumeMounts"))?;
        }
        let labels = object(metadata.get("labels"), named("metadata.labels"))?;
        for (key, value) in labels.into_iter().flatten() {
            if !value.is_string() {
                return Err(not(format!("metadata.labels[{key:?}]"), "a text"));
            }
        }
        Ok(Self {
            metadata,
            labels,
            annotations: object(metadata.get("annotations"), named("metadata.annotations"))?,
            spec,
            containers,
            init_containers: list(spec.get("initContainers"), named("spec.initContainers"))?,
            volumes: list(spec.get("volumes"), named("spec.volumes"))?,
        })
    }

    /// Value of a label.
    pub(crate) fn label(&self, key: &str) -> Option<&'a str> {
        self.labels?.get(key)?.as_str()
    }

    /// Value of an annotation.
    pub(crate) fn annotation(&self, key: &str) -> Option<&'a str> {
        self.annotations?.get(key)?.as_str()
    }

    /// The sidecar, where it has been injected before: its index and itself.
    pub(crate) fn sidecar(&self) -> Option<(usize, &'a Map<String, Value>)> {
        self.init_containers?
            .iter()
            .enumerate()
            .find(|(_, container)| is_sidecar(container))
            .and_then(|(index, container)| Some((index, container.as_object()?)))
    }

    /// Whether some container has the sidecar's name and is not the sidecar.
    pub(crate) fn has_foreign_container(&self) -> bool {
        let ours = |container: &Value| name(container) == Some(contract::CONTAINER);
        self.containers.iter().any(ours)
            || self
                .init_containers
                .unwrap_or_default()
                .iter()
                .any(|container| ours(container) && !is_ours(container))
    }

    /// Containers of both lists, less the sidecar.
    pub(crate) fn other_containers(&self) -> impl Iterator<Item = &'a Value> {
        self.init_containers
            .unwrap_or_default()
            .iter()
            .chain(self.containers)
            .filter(|container| name(container) != Some(contract::CONTAINER))
    }

    /// Whether the pod shares its node's network.
    pub(crate) fn host_network(&self) -> bool {
        self.spec
            .get("hostNetwork")
            .and_then(Value::as_bool)
            .unwrap_or(false)
    }

    /// A value in the pod's security context.
    pub(crate) fn security(&self, pointer: &str) -> Option<&'a Value> {
        self.spec.get("securityContext")?.pointer(pointer)
    }

    /// The controller among the pod's owners.
    pub(crate) fn controller(&self) -> Option<&'a Value> {
        let controls = |owner: &&Value| owner.get("controller") == Some(&Value::Bool(true));
        let owners = self.metadata.get("ownerReferences")?.as_array()?;
        owners.iter().find(controls)
    }

    /// Whether the pod asks for Windows nodes.
    pub(crate) fn windows(&self) -> bool {
        let os = self.spec.get("os").and_then(|os| os.get("name"));
        if let Some(os) = os.and_then(Value::as_str) {
            return os == WINDOWS;
        }
        let selector = self.spec.get("nodeSelector");
        let selected = OS_LABELS
            .iter()
            .find_map(|label| selector?.get(label)?.as_str());
        selected == Some(WINDOWS)
            || self
                .security("/windowsOptions")
                .is_some_and(Value::is_object)
            || self.requires_windows()
    }

    /// Whether every node that the pod's affinity admits is a Windows node.
    fn requires_windows(&self) -> bool {
        let affinity = self.spec.get("affinity");
        let terms = affinity
            .and_then(|affinity| affinity.pointer(REQUIRED_NODES))
            .and_then(Value::as_array);
        let is_windows = |expression: &Value| {
            let is = |key: &str, wanted: &Value| expression.get(key) == Some(wanted);
            OS_LABELS.iter().any(|label| is("key", &json!(label)))
                && is("operator", &json!("In"))
                && is("values", &json!([WINDOWS]))
        };
        let needs_windows = |term: &Value| {
            let expressions = term.get("matchExpressions").and_then(Value::as_array);
            expressions.is_some_and(|all| all.iter().any(is_windows))
        };
        terms.is_some_and(|terms| !terms.is_empty() && terms.iter().all(needs_windows))
    }
}

/// What a pod says to `inject`, looked up before its shape is known: a pod that did not ask is left
/// alone even where it is malformed.
pub(crate) fn inject_annotation(pod: &Value) -> Option<&Value> {
    pod.get("metadata")?
        .get("annotations")?
        .get(contract::INJECT)
        .filter(|value| !value.is_null())
}

/// Whether this is the API object of a static pod.
pub(crate) fn is_mirror(pod: &Value) -> bool {
    let annotations = pod
        .get("metadata")
        .and_then(|metadata| metadata.get("annotations"));
    annotations
        .and_then(|annotations| annotations.get(MIRROR))
        .is_some()
}

/// Name of a container or volume.
pub(crate) fn name(named: &Value) -> Option<&str> {
    named.get("name")?.as_str()
}

/// Whether a container is the sidecar. It is told from a namesake by the variable that no other
/// program has.
pub(crate) fn is_sidecar(container: &Value) -> bool {
    name(container) == Some(contract::CONTAINER) && is_ours(container)
}

fn is_ours(container: &Value) -> bool {
    let env = container.get("env").and_then(Value::as_array);
    env.is_some_and(|env| {
        env.iter()
            .any(|var| name(var) == Some(contract::env::GROUP))
    })
}

fn object(
    value: Option<&Value>,
    path: impl FnOnce() -> String,
) -> Result<Option<&Map<String, Value>>, Reason> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(not(path(), "an object")),
    }
}

fn list(value: Option<&Value>, path: impl FnOnce() -> String) -> Result<Option<&[Value]>, Reason> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => Err(not(path(), "a list")),
    }
}

fn not(path: impl Into<String>, expected: &'static str) -> Reason {
    Reason::Malformed {
        path: path.into(),
        expected,
    }
}
