//! The account of a group and its binding as manifests, for those who make them without a webhook.

use crate::account::{Account, AccountKind};
use crate::names::{self, MANAGED_BY, Role};
use common::contract;
use common::ids::Group;
use serde_json::{Value, json};

/// What the sidecars of a group need before the group's first pod: the account, if it is the
/// group's own, and its binding.
pub fn of_group(namespace: &str, group: &Group, account: &Account) -> Vec<Value> {
    let metadata = |name: &str| {
        json!({
            "name": name,
            "namespace": namespace,
            "labels": {MANAGED_BY.0: MANAGED_BY.1, contract::GROUP: group.as_str()},
        })
    };
    let own = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(&account.name),
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata(&names::binding(group.as_str(), account, Role::Sidecar)),
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": contract::SIDECAR_CLUSTER_ROLE,
        },
        "subjects": [{
            "kind": "ServiceAccount", "name": account.name, "namespace": namespace,
        }],
    });
    let own = (account.kind == AccountKind::Group).then_some(own);
    own.into_iter().chain([binding]).collect()
}
