//! `pause` and `resume`: whether the role may move.

use crate::args::GroupArgs;
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::gather::group;
use crate::group::Group;
use crate::lease::Lease;
use common::contract;
use serde_json::{Value, json};

/// Runs either.
pub(crate) async fn run(
    cluster: &Cluster,
    args: &GroupArgs,
    pause: bool,
) -> Result<String, Failure> {
    let group = group(cluster, &args.group).await?;
    let (said, _) = set(cluster, &group, pause).await?;
    Ok(said)
}

/// Pauses the group or lets it go on. Returns what to say, and the version of the Lease that was
/// written, 0 if none was.
pub(crate) async fn set(
    cluster: &Cluster,
    group: &Group,
    pause: bool,
) -> Result<(String, u64), Failure> {
    let name = &group.name;
    let Some(lease) = &group.lease else {
        let why = format!("group {name} has no Lease yet: nobody has been active");
        return Err(Failure::Refused(why));
    };
    let active = lease.holder().unwrap_or_else(|| "nobody".to_owned());
    if lease.is_paused() == pause {
        let state = if pause {
            "paused already"
        } else {
            "not paused"
        };
        return Ok((format!("group {name} is {state}; active is {active}\n"), 0));
    }
    let value = if pause { json!("true") } else { Value::Null };
    let what = if pause {
        "pause the group"
    } else {
        "resume the group"
    };
    let version = annotate(cluster, what, lease, contract::PAUSED, &value).await?;
    let said = if pause {
        format!(
            "group {name} is paused: the role stays with {active}, also when that fails; \
             `kubectl active-passive resume {name}` ends it\n"
        )
    } else {
        format!("group {name} goes on; active is {active}\n")
    };
    Ok((said, version))
}

/// Sets an annotation of a Lease; null takes it away. Returns the version that was written.
pub(crate) async fn annotate(
    cluster: &Cluster,
    what: &str,
    lease: &Lease,
    key: &str,
    value: &Value,
) -> Result<u64, Failure> {
    let (namespace, name) = (&lease.metadata.namespace, &lease.metadata.name);
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}");
    let patch = json!({"metadata": {"annotations": {key: value}}});
    cluster.patch(what, &path, &patch).await
}
