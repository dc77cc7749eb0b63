//! Which election group a pod belongs to.

use crate::options;
use crate::pod::Pod;
use crate::reason::Reason;
use common::contract;
use common::ids::Group;
use common::owner::Owner;
use serde_json::Value;

/// The workload of the pod; none for a bare pod.
pub(crate) fn owner(pod: &Pod<'_>) -> Option<Owner> {
    let controller = pod.controller()?;
    let text = |key: &str| controller.get(key).and_then(Value::as_str);
    Some(Owner::behind(text("kind")?, text("name")?, |key| {
        pod.label(key)
    }))
}

/// The group: as annotated, or named after the owner. A pod without either may be the copy of one
/// that was injected, from a backup for instance: its label names the group.
pub(crate) fn group(pod: &Pod<'_>, owner: Option<&Owner>) -> Result<Group, Reason> {
    if let Some(group) = pod.annotations.map(options::group).transpose()?.flatten() {
        return Ok(group);
    }
    let Some(owner) = owner else {
        let label = pod.label(contract::GROUP);
        let group = label.and_then(|label| Group::parse(label).ok());
        return group.ok_or(Reason::NoGroup);
    };
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
