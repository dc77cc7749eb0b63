//! The objects that the provisioner makes.

use crate::provision::Need;
use common::contract;
use inject::names::{self, MANAGED_BY, Role};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use kube::api::ObjectMeta;

const RBAC: &str = "rbac.authorization.k8s.io";
/// Whether an object carries our label.
pub(super) fn is_ours(metadata: &ObjectMeta) -> bool {
    let labels = metadata.labels.as_ref();
    labels
        .and_then(|labels| labels.get(MANAGED_BY.0))
        .is_some_and(|value| value == MANAGED_BY.1)
}

/// The group's account. `model` is the namespace's default one.
pub(super) fn account(need: &Need, model: Option<&ServiceAccount>) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(need, &need.account.name),
        image_pull_secrets: model.and_then(|model| model.image_pull_secrets.clone()),
        automount_service_account_token: model.and_then(|m| m.automount_service_account_token),
        ..ServiceAccount::default()
    }
}

/// The binding of an account to a role.
pub(super) fn binding(need: &Need, role: Role, cluster_role: &str) -> RoleBinding {
    RoleBinding {
        metadata: metadata(need, &names::binding(&need.group, &need.account, role)),
        role_ref: RoleRef {
            api_group: RBAC.to_owned(),
            kind: "ClusterRole".to_owned(),
            name: cluster_role.to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: need.account.name.clone(),
            namespace: Some(need.namespace.clone()),
            api_group: None,
        }]),
    }
}

/// `found` with the subject and labels of `wanted`; none if it has them.
pub(super) fn mended(found: &RoleBinding, wanted: &RoleBinding) -> Option<RoleBinding> {
    let mut mended = found.clone();
    mended.subjects.clone_from(&wanted.subjects);
    let labels = wanted.metadata.labels.clone().unwrap_or_default();
    mended
        .metadata
        .labels
        .get_or_insert_default()
        .extend(labels);
    (mended != *found).then_some(mended)
}

fn metadata(need: &Need, name: &str) -> ObjectMeta {
    let labels = [MANAGED_BY, (contract::GROUP, need.group.as_str())];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(need.namespace.clone()),
        labels: Some(labels.into()),
        ..ObjectMeta::default()
    }
}
