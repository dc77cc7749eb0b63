//! What the app containers get: a hook that holds their SIGTERM, and the folder of the role file.

use crate::container::drain_hook;
use crate::json::Json;
use crate::patch::{Patch, Pointer};
use crate::pod::{Pod, name};
use crate::port;
use crate::reason::Reason;
use crate::shapes::Mount;
use common::contract::{self, path};
use serde_json::{Value, json};

/// Gives each app container without a preStop hook the sidecar's, so that its SIGTERM waits until
/// traffic has moved. Returns warnings about those that have one of their own.
pub(crate) fn hold(pod: &Pod<'_>, port: u16, patch: &mut Patch) -> Vec<String> {
    let mut warnings = Vec::new();
    let earlier = port::injected(pod);
    let wanted = Json::of(&drain_hook(port)).value();
    for (index, container) in pod.containers.iter().enumerate() {
        let at = Pointer::to(&["spec", "containers"])
            .index(index)
            .key("lifecycle");
        let lifecycle = container.get("lifecycle").and_then(Value::as_object);
        let hook = lifecycle.and_then(|lifecycle| lifecycle.get("preStop"));
        match hook.filter(|hook| !hook.is_null()) {
            None => {
                patch.merge(&at, lifecycle, &[("preStop", wanted.clone())]);
            }
            Some(hook) if is_drain(hook, port) => {}
            Some(hook) if earlier.is_some_and(|earlier| is_drain(hook, earlier)) => {
                patch.set(at.key("preStop"), &wanted);
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

/// Takes away the hooks of an earlier injection: this one needs none.
pub(crate) fn release(pod: &Pod<'_>, patch: &mut Patch) {
    let Some(earlier) = port::injected(pod) else {
        return;
    };
    for (index, container) in pod.containers.iter().enumerate() {
        let hook = container.pointer("/lifecycle/preStop");
        if hook.is_some_and(|hook| is_drain(hook, earlier)) {
            let at = Pointer::to(&["spec", "containers"]).index(index);
            // JSON null is as good as absent, and can be added.
            patch.set(at.key("lifecycle").key("preStop"), &Value::Null);
        }
    }
}

/// Mounts the folder of the role file in each app container, to read.
pub(crate) fn mount_status(pod: &Pod<'_>, dir: &str, patch: &mut Patch) -> Vec<Reason> {
    let mut taken = Vec::new();
    for (index, container) in pod.containers.iter().enumerate() {
        let mounts = container.get("volumeMounts").and_then(Value::as_array);
        let in_the_way = |mount: &&Value| conflict(pod, mount, dir);
        if let Some(other) = mounts.into_iter().flatten().find(in_the_way) {
            taken.push(Reason::StatusDirTaken {
                container: name(container).unwrap_or_default().to_owned(),
                dir: dir.to_owned(),
                mount: mount_path(other).to_owned(),
            });
            continue;
        }
        let here = |mount: &Value| mount_path(mount) == dir;
        if !mounts.into_iter().flatten().any(here) {
            let at = Pointer::to(&["spec", "containers"])
                .index(index)
                .key("volumeMounts");
            let mount = Mount {
                name: contract::STATUS_VOLUME,
                mount_path: dir,
                read_only: Some(true),
            };
            patch.append(&at, mounts.is_some(), &[mount]);
        }
    }
    taken
}

/// Whether `mount` and one at `dir` cannot both be: another at the same place; one within `dir`,
/// where no folder can be made for it, since `dir` is mounted to read; or `dir` within one that is
/// mounted to read.
fn conflict(pod: &Pod<'_>, mount: &Value, dir: &str) -> bool {
    let path = mount_path(mount);
    let within = |inner: &str, outer: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    if path == dir {
        return name(mount) != Some(contract::STATUS_VOLUME);
    }
    within(path, dir) || (within(dir, path) && is_read_only(pod, mount))
}

fn is_read_only(pod: &Pod<'_>, mount: &Value) -> bool {
    const WRITTEN_BY_THE_KUBELET: [&str; 4] = ["configMap", "downwardAPI", "projected", "secret"];
    let volume = pod
        .volumes
        .into_iter()
        .flatten()
        .find(|volume| name(volume) == name(mount));
    mount.get("readOnly") == Some(&Value::Bool(true))
        || volume.is_some_and(|volume| {
            let holds = |source: &str| volume.get(source).is_some_and(Value::is_object);
            WRITTEN_BY_THE_KUBELET.into_iter().any(holds)
        })
}

fn mount_path(mount: &Value) -> &str {
    let path = mount.get("mountPath").and_then(Value::as_str);
    path.unwrap_or_default().trim_end_matches('/')
}

/// Whether a hook is the sidecar's on this port.
pub(crate) fn is_drain(hook: &Value, port: u16) -> bool {
    let get = hook.get("httpGet");
    let is = |key: &str, wanted: Value| get.and_then(|get| get.get(key)) == Some(&wanted);
    is("path", json!(path::DRAIN)) && is("port", json!(port))
}
