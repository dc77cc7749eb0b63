//! What the app containers get: a hook that holds their SIGTERM, and the folder of the role file.

use crate::container::{drain_hook, injected_port};
use crate::patch::{Patch, Pointer};
use crate::pod::{Pod, name};
use crate::reason::Reason;
use common::contract::{self, path};
use serde_json::{Map, Value, json};

/// Gives each app container without a preStop hook the sidecar's, so that its SIGTERM waits until
/// traffic has moved. Returns warnings about those that have one of their own.
pub(crate) fn hold(pod: &Pod<'_>, port: u16, patch: &mut Patch) -> Vec<String> {
    let mut warnings = Vec::new();
    let earlier = injected_port(pod);
    let wanted = drain_hook(port);
    for (index, container) in pod.containers.iter().enumerate() {
        let at = Pointer::to(&["spec", "containers"])
            .index(index)
            .key("lifecycle");
        let lifecycle = container.get("lifecycle").and_then(Value::as_object);
        let hook = lifecycle.and_then(|lifecycle| lifecycle.get("preStop"));
        match hook.filter(|hook| !hook.is_null()) {
            None => {
                let entries = Map::from_iter([("preStop".to_owned(), wanted.clone())]);
                patch.merge(&at, lifecycle, entries);
            }
            Some(hook) if is_drain(hook, port) => {}
            Some(hook) if earlier.is_some_and(|earlier| is_drain(hook, earlier)) => {
                patch.set(at.key("preStop"), wanted.clone());
            }
            Some(_) => warnings.push(format!(
                "container {:?} keeps its own preStop hook: its SIGTERM does not wait until \
                 traffic has moved",
                name(container).unwrap_or_default()
            )),
        }
    }
    warnings
}

/// Mounts the folder of the role file in each app container, to read.
pub(crate) fn mount_status(pod: &Pod<'_>, dir: &str, patch: &mut Patch) -> Vec<Reason> {
    let mut taken = Vec::new();
    for (index, container) in pod.containers.iter().enumerate() {
        let mounts = container.get("volumeMounts").and_then(Value::as_array);
        let here = mounts.into_iter().flatten().find(|mount| {
            let path = mount
                .get("mountPath")
                .and_then(Value::as_str)
                .unwrap_or_default();
            path.trim_end_matches('/') == dir
        });
        match here {
            None => {
                let at = Pointer::to(&["spec", "containers"])
                    .index(index)
                    .key("volumeMounts");
                let mount = json!({
                    "name": contract::STATUS_VOLUME,
                    "mountPath": dir,
                    "readOnly": true,
                });
                patch.append(&at, mounts.is_some(), vec![mount]);
            }
            Some(mount) if name(mount) == Some(contract::STATUS_VOLUME) => {}
            Some(_) => taken.push(Reason::StatusDirTaken {
                container: name(container).unwrap_or_default().to_owned(),
                path: dir.to_owned(),
            }),
        }
    }
    taken
}

fn is_drain(hook: &Value, port: u16) -> bool {
    let get = hook.get("httpGet");
    let is = |key: &str, wanted: Value| get.and_then(|get| get.get(key)) == Some(&wanted);
    is("path", json!(path::DRAIN)) && is("port", json!(port))
}
