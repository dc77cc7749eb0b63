//! Keys that only sidecars write, found in a template: each pod made from it would claim a role
//! that nobody gave it.

use crate::options::Options;
use crate::patch::{Patch, Pointer};
use crate::pod::Pod;
use crate::reason::Reason;
use common::contract;
use serde_json::json;

/// The term in which nothing was ever written.
const NO_TERM: &str = "0";

/// Overwrites such keys, and says so. A role label with a strange value, under a key that is not
/// ours, is somebody's own: overwriting it could take the pod out of its controller's selector, and
/// the controller would make pods without end.
pub(crate) fn overwrite(
    pod: &Pod<'_>,
    options: &Options,
    patch: &mut Patch,
) -> Result<Vec<String>, Reason> {
    let role_key = options.role_label.as_str();
    let role = pod.label(role_key).unwrap_or(&options.passive_value);
    if role_key != contract::ROLE && role != options.passive_value && role != options.active_value {
        let (key, value) = (role_key.to_owned(), role.to_owned());
        return Err(Reason::RoleLabelTaken { key, value });
    }
    let term = pod.annotation(contract::TERM).unwrap_or(NO_TERM);
    let uid = pod.label(contract::POD).unwrap_or_default();
    let mut warnings = Vec::new();
    for (map, key, found, wanted) in [
        ("labels", role_key, role, options.passive_value.as_str()),
        ("labels", contract::POD, uid, ""),
        ("annotations", contract::TERM, term, NO_TERM),
    ] {
        if found != wanted {
            patch.set(Pointer::to(&["metadata", map, key]), json!(wanted));
            warnings.push(format!(
                "{key} is {found:?} in the template and was overwritten with {wanted:?}: only \
                 sidecars write it"
            ));
        }
    }
    Ok(warnings)
}
