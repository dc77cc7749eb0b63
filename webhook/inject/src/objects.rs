//! The account of a group and its binding as manifests, for those who make them without a webhook.

use crate::account::{Account, AccountKind};
use crate::names::{self, MANAGED_BY, Role};
use common::contract;
use common::ids::Group;
use serde_json::{Value, json};

/// What the sidecars of a group need before the group's first pod: the account, if it is the
/// group's own, and its binding.
pub fn of_group(namespace: &str, group: &Group, account: &Account) -> Vec<Value> {
    let own = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(namespace, group, &account.name),
    });
    let own = (account.kind == AccountKind::Group).then_some(own);
    let binding = binding(namespace, group, account, Role::Sidecar);
    own.into_iter().chain([binding]).collect()
}

/// The binding that a group with an annotated Service needs too.
pub fn of_router(namespace: &str, group: &Group, account: &Account) -> Value {
    binding(namespace, group, account, Role::Router)
}

fn binding(namespace: &str, group: &Group, account: &Account, role: Role) -> Value {
    let cluster_role = match role {
        Role::Sidecar => contract::SIDECAR_CLUSTER_ROLE,
        Role::Router => contract::ROUTER_CLUSTER_ROLE,
    };
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata(namespace, group, &names::binding(group.as_str(), account, role)),
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": cluster_role,
        },
        "subjects": [{
            "kind": "ServiceAccount", "name": account.name, "namespace": namespace,
        }],
    })
}

fn metadata(namespace: &str, group: &Group, name: &str) -> Value {
    json!({
        "name": name,
        "namespace": namespace,
        "labels": {MANAGED_BY.0: MANAGED_BY.1, contract::GROUP: group.as_str()},
    })
}
