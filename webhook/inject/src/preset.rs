//! Keys that only sidecars write, found on a pod that is about to be created: it would claim a role
//! that nobody gave it.

use crate::options::Options;
use crate::patch::{Patch, Pointer};
use crate::pod::Pod;
use crate::reason::Reason;
use common::contract;

/// The term in which nothing was ever written.
const NO_TERM: &str = "0";

/// Labels that a controller's template must not carry. Its selector may name what its template
/// carries, and once the role changes such a label, the pod has left its controller, which makes
/// another one, without end.
pub(crate) fn refused(pod: &Pod<'_>, options: &Options) -> Vec<Reason> {
    let role_key = options.role_label.as_str();
    let controlled = pod.controller().is_some();
    let keys = [role_key, contract::POD].into_iter();
    let preset = keys.filter_map(|key| Some((key.to_owned(), pod.label(key)?.to_owned())));
    preset
        .filter_map(|(key, value)| {
            let ours = [contract::ROLE, contract::POD].contains(&key.as_str());
            let role = value == options.passive_value || value == options.active_value;
            match (controlled, ours || role) {
                (true, _) => Some(Reason::LabelPreset { key, value }),
                (false, false) => Some(Reason::RoleLabelTaken { key, value }),
                (false, true) => None,
            }
        })
        .collect()
}

/// Overwrites such keys where no selector can hang on them, on annotations and on pods without
/// controller (the copy of a pod, or one from a backup), and says so.
pub(crate) fn overwrite(pod: &Pod<'_>, options: &Options, patch: &mut Patch) -> Vec<String> {
    let role_key = options.role_label.as_str();
    let passive = options.passive_value.as_str();
    let mut warnings = Vec::new();
    for (map, key, found, wanted) in [
        ("labels", role_key, pod.label(role_key), passive),
        ("labels", contract::POD, pod.label(contract::POD), ""),
        (
            "annotations",
            contract::TERM,
            pod.annotation(contract::TERM),
            NO_TERM,
        ),
    ] {
        let Some(found) = found.filter(|found| *found != wanted) else {
            continue;
        };
        patch.set(Pointer::to(&["metadata", map, key]), wanted);
        warnings.push(format!(
            "{key} is {found:?} on the new pod and was overwritten with {wanted:?}: only sidecars \
             write it"
        ));
    }
    warnings
}
