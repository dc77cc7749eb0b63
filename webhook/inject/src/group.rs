//! Which election group a pod belongs to.

use crate::options;
use crate::pod::Pod;
use crate::reason::Reason;
use common::contract;
use common::ids::Group;
use common::owner::Owner;
use serde_json::{Map, Value};

/// The workload of the pod; none for a bare pod.
pub(crate) fn owner(pod: &Pod<'_>) -> Option<Owner> {
    let controls = |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
    let controller = pod
        .metadata
        .get("ownerReferences")?
        .as_array()?
        .iter()
        .find(controls)?;
    let text = |key: &str| controller.get(key).and_then(Value::as_str);
    Some(Owner::behind(text("kind")?, text("name")?, |key| {
        pod.label(key)
    }))
}

/// The group: as annotated, or named after the owner.
pub(crate) fn group(
    annotations: &Map<String, Value>,
    owner: Option<&Owner>,
) -> Result<Group, Reason> {
    if let Some(group) = options::group(annotations)? {
        return Ok(group);
    }
    let owner = owner.ok_or(Reason::NoGroup)?;
    Group::parse(&owner.name).map_err(|_| Reason::OwnerNameNoGroup {
        kind: owner.kind.clone(),
        name: owner.name.clone(),
    })
}

/// A template that carries the group's label with another value means something by it: nothing is
/// overwritten, since a selector may depend on it.
pub(crate) fn label_conflict(pod: &Pod<'_>, group: &Group) -> Option<Reason> {
    let label = pod
        .label(contract::GROUP)
        .filter(|label| *label != group.as_str())?;
    Some(Reason::GroupLabelDiffers {
        label: label.to_owned(),
        group: group.to_string(),
    })
}
