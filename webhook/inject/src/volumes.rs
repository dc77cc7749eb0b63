//! The volumes that the sidecar brings along.

use crate::drain::Drain;
use crate::options::Options;
use crate::patch::{Patch, Pointer};
use crate::pod::{Pod, name};
use crate::reason::Reason;
use crate::repair::covers;
use common::contract;
use serde_json::{Map, Value, json};

/// 0644: without an fsGroup the sidecar's uid, which is arbitrary, must be able to read its token.
const TOKEN_MODE: u16 = 0o644;

/// All volumes that the sidecar needs.
pub(crate) fn wanted(options: &Options, drain: &Drain) -> Vec<Value> {
    let mut wanted = vec![token(drain.token_s())];
    if options.status_dir.is_some() {
        wanted.push(status());
    }
    wanted
}

/// The sidecar's own token. The account's automatic token would be mounted in the app as well, and
/// is off in many clusters. The name must not begin with `kube-api-access-`, which the API server
/// takes for the automatic one.
fn token(life_s: i64) -> Value {
    let namespace = json!({"apiVersion": "v1", "fieldPath": "metadata.namespace"});
    json!({
        "name": contract::TOKEN_VOLUME,
        "projected": {
            "defaultMode": TOKEN_MODE,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": life_s, "path": "token"}},
                {"configMap": {
                    "name": "kube-root-ca.crt",
                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                }},
                {"downwardAPI": {"items": [
                    {"path": "namespace", "fieldRef": namespace},
                ]}},
            ],
        },
    })
}

/// The folder of the role file. In memory: an emptyDir on disk would keep the cluster autoscaler
/// from removing the node.
fn status() -> Value {
    json!({"name": contract::STATUS_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}})
}

/// Adds the volumes that are missing, and puts right those of an earlier injection.
pub(crate) fn provide(pod: &Pod<'_>, wanted: Vec<Value>, patch: &mut Patch) {
    let at = Pointer::to(&["spec", "volumes"]);
    let mut missing = Vec::new();
    for volume in wanted {
        match existing(pod, &volume) {
            None => missing.push(volume),
            Some((_, found)) if covers(found, &volume) => {}
            Some((index, found)) => {
                let at = at.index(index);
                // A volume has one source. JSON null is as good as absent, and can be added.
                for key in found.as_object().into_iter().flat_map(Map::keys) {
                    if volume.get(key).is_none() {
                        patch.set(at.key(key), Value::Null);
                    }
                }
                for (key, value) in volume.as_object().into_iter().flatten() {
                    if key != "name" {
                        patch.set(at.key(key), value.clone());
                    }
                }
            }
        }
    }
    patch.append(&at, pod.volumes.is_some(), missing);
}

/// Volumes of the pod that have the name of one of `wanted` and are something else. With the
/// sidecar in the pod they are those of an earlier injection.
pub(crate) fn foreign(pod: &Pod<'_>, wanted: &[Value]) -> Vec<Reason> {
    if pod.sidecar().is_some() {
        return Vec::new();
    }
    wanted
        .iter()
        .filter_map(|volume| existing(pod, volume).filter(|(_, found)| !covers(found, volume)))
        .filter_map(|(_, found)| {
            Some(Reason::ForeignVolume {
                name: name(found)?.to_owned(),
            })
        })
        .collect()
}

fn existing<'a>(pod: &Pod<'a>, wanted: &Value) -> Option<(usize, &'a Value)> {
    pod.volumes?
        .iter()
        .enumerate()
        .find(|(_, found)| name(found) == name(wanted))
}
