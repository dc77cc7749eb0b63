//! Which election group a pod belongs to.

use crate::options;
use crate::pod::Pod;
use crate::reason::{BadValue, Reason};
use common::contract;
use common::ids::Group;
use common::owner::Owner;
use common::seeds::{LeaseRule, Seed};
use serde_json::Value;

/// The workload of the pod; none for a bare pod.
pub(crate) fn owner(pod: &Pod<'_>) -> Option<Owner> {
    let controller = pod.controller()?;
    let text = |key: &str| controller.get(key).and_then(Value::as_str);
    Some(Owner::behind(text("kind")?, text("name")?, |key| {
        pod.label(key)
    }))
}

/// The election: as annotated, or named after the owner. A pod without either may be the copy of one
/// that was injected, from a backup for instance: its label names the group.
fn election(pod: &Pod<'_>, owner: Option<&Owner>) -> Result<Election, Reason> {
    if let Some(group) = pod.annotations.map(options::group).transpose()?.flatten() {
        return Ok(Election::Named(group));
    }
    let Some(owner) = owner else {
        let label = pod.label(contract::GROUP);
        let group = label.and_then(|label| Group::parse(label).ok());
        return group.map(Election::Copied).ok_or(Reason::NoGroup);
    };
    let group = Group::parse(&owner.name).map_err(|_| Reason::OwnerNameNoGroup {
        kind: owner.kind.clone(),
        name: owner.name.clone(),
    });
    group.map(Election::Owned)
}

/// Where the name of an election comes from.
enum Election {
    /// The pod names it.
    Named(Group),
    /// The group of an earlier injection.
    Copied(Group),
    /// Its owner's.
    Owned(Group),
}

/// The name of the election, and the group, which is what its Lease is called: the same, unless a
/// profile has another rule.
pub(crate) fn group(
    pod: &Pod<'_>,
    owner: Option<&Owner>,
    profile: Option<&Seed>,
) -> Result<(String, Group), Reason> {
    let rule = profile.map_or(LeaseRule::Election, |seed| seed.lease);
    let (election, copied) = match (election(pod, owner), rule) {
        (Ok(Election::Named(group)), LeaseRule::Labels(..)) => {
            return Ok((group.to_string(), group));
        }
        (Ok(Election::Named(group) | Election::Owned(group)), _) => (group.to_string(), false),
        (Ok(Election::Copied(group)), _) => (group.to_string(), true),
        // Labels name it as well as anything.
        (Err(_), LeaseRule::Labels(..)) => (String::new(), false),
        (Err(reason), _) => return Err(reason),
    };
    let Some(seed) = profile.filter(|_| !copied) else {
        return Ok((election.clone(), parsed(&election)?));
    };
    let lease = seed.lease_name(&election, |key| pod.label(key));
    Ok((election, parsed(&lease)?))
}

fn parsed(group: &str) -> Result<Group, Reason> {
    Group::parse(group).map_err(|error| {
        let key = contract::PROFILE;
        let problem = format!("its rule names the Lease {group:?}, which cannot be: {error}");
        Reason::BadValue(BadValue { key, problem })
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
