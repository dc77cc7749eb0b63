//! Injects workloads without an API server: what is decided about a pod template is what will be
//! decided about the pods that its controller makes.

use crate::decision::{Decision, RequestInfo, Settings, decide};
use crate::patch::{Add, Patch, Pointer};
use crate::{apps, elector_env, pod, port};
use common::contract::{self, default};
use serde_json::{Value, json};

/// Where objects hold a pod template. The last one is the pod itself.
const PLACES: [&str; 4] = [
    "/spec/jobTemplate/spec/template",
    "/spec/template",
    "/template",
    "",
];
/// How deep lists may hold lists.
const DEPTH_MAX: usize = 4;

/// A pod template within an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// JSON Pointer from the root of the object; "" if the object is a pod.
    pub at: String,
    /// Kind of what holds it.
    pub kind: String,
    /// Its name; empty if it has none.
    pub name: String,
    /// Its namespace; empty if it names none.
    pub namespace: String,
}

impl Template {
    /// JSON Pointer to the object that holds it.
    pub fn object(&self) -> &str {
        let mut places = PLACES.iter();
        places
            .find_map(|place| self.at.strip_suffix(place))
            .unwrap_or(&self.at)
    }
}

/// What becomes of one template.
#[derive(Debug, Clone, PartialEq)]
pub struct Injected {
    /// Which one.
    pub template: Template,
    /// What must be added for it to ask; paths from the root of the object.
    pub annotate: Vec<Add>,
    /// What is decided about its pods once it asks.
    pub decision: Decision,
    /// The patch of that decision; paths from the root of the object.
    pub patch: Vec<Add>,
}

/// The pod templates of an object of any kind: workloads, pods, lists of these.
pub fn templates(object: &Value) -> Vec<Template> {
    let mut found = Vec::new();
    collect(object, String::new(), DEPTH_MAX, &mut found);
    found
}

fn collect(object: &Value, at: String, depth: usize, found: &mut Vec<Template>) {
    if let Some(items) = object.get("items").and_then(Value::as_array) {
        for (index, item) in items.iter().enumerate().filter(|_| depth > 0) {
            collect(item, format!("{at}/items/{index}"), depth - 1, found);
        }
        return;
    }
    let holds = |place: &&&str| {
        let containers = object.pointer(&format!("{place}/spec/containers"));
        containers.is_some_and(Value::is_array)
    };
    let Some(place) = PLACES.iter().find(holds) else {
        return;
    };
    let text = |pointer: &str| {
        let text = object.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    found.push(Template {
        at: at + place,
        kind: text("/kind"),
        name: text("/metadata/name"),
        namespace: text("/metadata/namespace"),
    });
}

/// Decides about every template of an object, as if one that says nothing asked. `namespace` is where
/// an object goes that names none.
pub fn inject(object: &Value, namespace: &str, settings: &Settings) -> Vec<Injected> {
    let of = |template: Template| {
        let mut pod = pod_of(object, &template);
        let annotate = ask(&pod);
        for add in &annotate {
            put(&mut pod, add);
        }
        if template.at.ends_with("template") && !template.name.is_empty() {
            let owner = json!({"kind": template.kind, "name": template.name, "controller": true});
            pod["metadata"]["ownerReferences"] = json!([owner]);
        }
        let namespace = match template.namespace.as_str() {
            "" => namespace,
            named => named,
        };
        let request = RequestInfo {
            namespace,
            is_create: true,
            account_missing: false,
        };
        let decision = decide(&pod, &request, settings);
        let below = |add: &Add| Add {
            path: format!("{}{}", template.at, add.path),
            value: add.value.clone(),
        };
        let patch = match &decision {
            Decision::Patch(injection) => injection.ops.iter().map(below).collect(),
            Decision::Skip(_) | Decision::Deny { .. } => Vec::new(),
        };
        Injected {
            annotate: annotate.iter().map(below).collect(),
            template,
            decision,
            patch,
        }
    };
    templates(object).into_iter().map(of).collect()
}

/// The pod that is made from a template.
fn pod_of(object: &Value, template: &Template) -> Value {
    let template = object.pointer(&template.at);
    let part = |key: &str| template.and_then(|template| template.get(key)).cloned();
    json!({
        "metadata": part("metadata").unwrap_or_default(),
        "spec": part("spec").unwrap_or_default(),
    })
}

/// The annotation by which a pod asks, with whatever must hold it. One that says something stays: it
/// is its author's.
fn ask(pod: &Value) -> Vec<Add> {
    let mut patch = Patch::default();
    if pod::inject_annotation(pod).is_some() {
        return patch.into_ops();
    }
    match pod["metadata"].as_object() {
        None => patch.set(
            Pointer::to(&["metadata"]),
            &json!({"annotations": {(contract::INJECT): "true"}}),
        ),
        Some(metadata) => {
            let annotations = metadata.get("annotations").and_then(Value::as_object);
            patch.merge(
                &Pointer::to(&["metadata", "annotations"]),
                annotations,
                &[(contract::INJECT, "true")],
            );
        }
    }
    patch.into_ops()
}

/// Carries out one of the operations of [`ask`].
fn put(pod: &mut Value, add: &Add) {
    let (parent, key) = add.path.rsplit_once('/').unwrap_or_default();
    let key = key.replace("~1", "/").replace("~0", "~");
    if let Some(parent) = pod.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.insert(key, add.value.value());
    }
}

/// What an injection has put into the templates of an object: JSON Pointers, each to be removed in
/// this order. A grace period that was raised stays: nobody knows any more what it was.
pub fn injected(object: &Value) -> Vec<String> {
    let of = |template: Template| {
        let pod = pod_of(object, &template);
        let mut removals = Removals {
            at: template.at,
            pointers: Vec::new(),
        };
        removals.spec(&pod);
        removals.metadata(&pod);
        removals.pointers
    };
    templates(object).into_iter().flat_map(of).collect()
}

struct Removals {
    at: String,
    pointers: Vec<String>,
}

impl Removals {
    fn remove(&mut self, at: Pointer) {
        self.pointers
            .push(format!("{}{}", self.at, at.into_string()));
    }

    /// Elements of a list, from the last to the first; the list itself if nothing is left.
    fn elements(&mut self, at: &Pointer, list: Option<&Value>, ours: impl Fn(&Value) -> bool) {
        let list = list
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let found = list.iter().filter(|item| ours(item)).count();
        if found > 0 && found == list.len() {
            self.remove(at.clone());
            return;
        }
        for (index, _) in list.iter().enumerate().rev().filter(|(_, item)| ours(item)) {
            self.remove(at.index(index));
        }
    }

    /// Entries of an object; the object itself if nothing is left.
    fn entries(&mut self, at: &Pointer, map: Option<&Value>, ours: impl Fn(&str, &Value) -> bool) {
        let Some(map) = map.and_then(Value::as_object) else {
            return;
        };
        let keys: Vec<&String> = map
            .iter()
            .filter(|(key, value)| ours(key, value))
            .map(|(key, _)| key)
            .collect();
        if !keys.is_empty() && keys.len() == map.len() {
            self.remove(at.clone());
            return;
        }
        for key in keys {
            self.remove(at.key(key));
        }
    }

    fn spec(&mut self, pod: &Value) {
        let Ok(read) = pod::Pod::read(pod) else {
            return;
        };
        let own = |item: &Value| {
            let name = pod::name(item).unwrap_or_default();
            name == contract::TOKEN_VOLUME || name == contract::STATUS_VOLUME
        };
        let port = port::injected(&read);
        let spec = Pointer::to(&["spec"]);
        for (index, container) in read.containers.iter().enumerate() {
            let at = spec.key("containers").index(index);
            self.elements(&at.key("volumeMounts"), container.get("volumeMounts"), own);
            self.elements(&at.key("env"), container.get("env"), |variable| {
                port.is_some_and(|port| elector_env::is_provided(variable, port))
            });
            self.entries(
                &at.key("lifecycle"),
                container.get("lifecycle"),
                |key, hook| key == "preStop" && port.is_some_and(|port| apps::is_drain(hook, port)),
            );
        }
        let init_containers = pod["spec"].get("initContainers");
        self.elements(
            &spec.key("initContainers"),
            init_containers,
            pod::is_sidecar,
        );
        self.elements(&spec.key("volumes"), pod["spec"].get("volumes"), own);
        for key in ["serviceAccountName", "serviceAccount"] {
            let group = read.label(contract::GROUP).unwrap_or_default();
            let account = format!("{}{group}", contract::GROUP_ACCOUNT_PREFIX);
            if pod["spec"].get(key).and_then(Value::as_str) == Some(&account) {
                self.remove(spec.key(key));
            }
        }
    }

    fn metadata(&mut self, pod: &Value) {
        let metadata = Pointer::to(&["metadata"]);
        let defaults = [
            (contract::ROLE_LABEL, contract::ROLE),
            (contract::ACTIVE_VALUE, default::ACTIVE_VALUE),
            (contract::PASSIVE_VALUE, default::PASSIVE_VALUE),
        ];
        let annotations = pod["metadata"].get("annotations");
        self.entries(&metadata.key("annotations"), annotations, |key, value| {
            // Any other word than yes is its author's.
            key == contract::INJECT && value == "true"
                || key == contract::INJECTED
                || defaults
                    .iter()
                    .any(|(ours, usual)| *ours == key && value == usual)
        });
        let labels = pod["metadata"].get("labels");
        self.entries(&metadata.key("labels"), labels, |key, _| {
            key == contract::GROUP
        });
    }
}

#[cfg(test)]
mod tests;
