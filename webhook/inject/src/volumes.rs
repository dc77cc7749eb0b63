//! The volumes that the sidecar brings along.

use crate::drain::Drain;
use crate::json::Json;
use crate::options::Options;
use crate::patch::{Patch, Pointer};
use crate::pod::{Pod, name};
use crate::reason::Reason;
use crate::repair::covers;
use crate::shapes::{EmptyDir, FieldFile, FieldRef, KeyFile, Projected, Projection, Volume};
use common::contract;
use serde_json::{Map, Value};

/// 0644: without an fsGroup the sidecar's uid, which is arbitrary, must be able to read its token.
const TOKEN_MODE: u16 = 0o644;

/// All volumes that the sidecar needs.
pub(crate) fn wanted(options: &Options, drain: &Drain) -> Vec<Volume> {
    let mut wanted = vec![token(drain.token_s())];
    if options.status_dir.is_some() {
        wanted.push(status());
    }
    wanted
}

/// The sidecar's own token. The account's automatic token would be mounted in the app as well, and
/// is off in many clusters. The name must not begin with `kube-api-access-`, which the API server
/// takes for the automatic one.
fn token(life_s: i64) -> Volume {
    let token = Projection::ServiceAccountToken {
        expiration_seconds: life_s,
        path: "token",
    };
    let authority = Projection::ConfigMap {
        name: "kube-root-ca.crt",
        items: [KeyFile {
            key: "ca.crt",
            path: "ca.crt",
        }],
    };
    let namespace = Projection::DownwardApi {
        items: [FieldFile {
            path: "namespace",
            field_ref: FieldRef::to("metadata.namespace"),
        }],
    };
    Volume {
        name: contract::TOKEN_VOLUME,
        empty_dir: None,
        projected: Some(Projected {
            default_mode: TOKEN_MODE,
            sources: [token, authority, namespace],
        }),
    }
}

/// The folder of the role file. In memory: an emptyDir on disk would keep the cluster autoscaler
/// from removing the node.
fn status() -> Volume {
    Volume {
        name: contract::STATUS_VOLUME,
        empty_dir: Some(EmptyDir {
            medium: "Memory",
            size_limit: "1Mi",
        }),
        projected: None,
    }
}

/// Adds the volumes that are missing, and puts right those of an earlier injection.
pub(crate) fn provide(pod: &Pod<'_>, wanted: Vec<Volume>, patch: &mut Patch) {
    let at = Pointer::to(&["spec", "volumes"]);
    let mut missing = Vec::new();
    for volume in wanted {
        let Some((index, found)) = existing(pod, &volume) else {
            missing.push(volume);
            continue;
        };
        let volume = Json::of(&volume).value();
        if covers(found, &volume) {
            continue;
        }
        let at = at.index(index);
        // A volume has one source. JSON null is as good as absent, and can be added.
        for key in found.as_object().into_iter().flat_map(Map::keys) {
            if volume.get(key).is_none() {
                patch.set(at.key(key), &Value::Null);
            }
        }
        for (key, value) in volume.as_object().into_iter().flatten() {
            if key != "name" {
                patch.set(at.key(key), value);
            }
        }
    }
    patch.append(&at, pod.volumes.is_some(), &missing);
}

/// Volumes of the pod that have the name of one of `wanted` and are something else. With the
/// sidecar in the pod they are those of an earlier injection.
pub(crate) fn foreign(pod: &Pod<'_>, wanted: &[Volume]) -> Vec<Reason> {
    if pod.sidecar().is_some() {
        return Vec::new();
    }
    let foreign = wanted.iter().filter(|volume| {
        existing(pod, volume).is_some_and(|(_, found)| !covers(found, &Json::of(volume).value()))
    });
    foreign
        .map(|volume| Reason::ForeignVolume {
            name: volume.name.to_owned(),
        })
        .collect()
}

fn existing<'a>(pod: &Pod<'a>, wanted: &Volume) -> Option<(usize, &'a Value)> {
    pod.volumes?
        .iter()
        .enumerate()
        .find(|(_, found)| name(found) == Some(wanted.name))
}
