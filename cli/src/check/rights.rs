//! Does each group have the account and the rights that the webhook gives it?

use crate::check::facts::{Read, Workloads};
use crate::check::finding::{Finding, page};
use crate::check::groups::named;
use crate::group::Group;
use common::contract;
use common::service::Route;
use inject::names::{self, Role};
use inject::{Account, AccountKind};
use k8s_openapi::api::rbac::v1::RoleBinding;
use std::collections::BTreeSet;

/// What is to be said.
pub(crate) fn findings(facts: &Workloads) -> Vec<Finding> {
    let mut findings = Vec::new();
    for why in [facts.accounts.unseen(), facts.bindings.unseen()] {
        findings.extend(why.map(|why| Finding::unseen("GroupRights", why)));
    }
    let mut groups = 0_usize;
    for group in &facts.groups {
        let accounts = accounts(facts, group);
        groups += usize::from(!accounts.is_empty());
        for account in &accounts {
            findings.extend(of_account(facts, group, account));
        }
    }
    if findings.is_empty() && groups > 0 {
        let text = format!("groups whose account is there and bound: {groups}");
        findings.push(Finding::ok("GroupRights", text));
    }
    findings
}

/// The accounts that the pods of a group run as.
fn accounts(facts: &Workloads, group: &Group) -> BTreeSet<String> {
    let own = |it: &&crate::check::facts::CheckedPod| {
        let meta = &it.pod.metadata;
        it.has_sidecar
            && !it.pod.is_terminating()
            && meta.namespace == group.namespace
            && meta.label(contract::GROUP) == Some(&group.name)
    };
    let pods = facts.pods.iter().filter(own);
    pods.map(|pod| pod.account.clone()).collect()
}

fn of_account(facts: &Workloads, group: &Group, name: &str) -> Vec<Finding> {
    let own = name == format!("{}{}", contract::GROUP_ACCOUNT_PREFIX, group.name);
    let kind = if own {
        AccountKind::Group
    } else {
        AccountKind::Custom
    };
    let account = Account {
        name: name.to_owned(),
        kind,
    };
    let mut findings = Vec::new();
    if let Read::Seen(accounts) = &facts.accounts {
        let there =
            |it: &common::objects::Meta| it.namespace == group.namespace && it.name == account.name;
        if !accounts.iter().any(there) {
            findings.push(without_account(group, &account));
            return findings;
        }
    }
    let Read::Seen(bindings) = &facts.bindings else {
        return findings;
    };
    let routed = group.services.iter();
    let routed = routed.filter(|it| it.route() != Route::Untouched).count() > 0;
    let sidecar = (
        Role::Sidecar,
        contract::SIDECAR_CLUSTER_ROLE,
        "its Lease and pods",
    );
    let router = (Role::Router, contract::ROUTER_CLUSTER_ROLE, "its Services");
    let needed = [Some(sidecar), routed.then_some(router)];
    for (role, cluster_role, what) in needed.into_iter().flatten() {
        let bound = |it: &RoleBinding| binds(it, &group.namespace, &account.name, cluster_role);
        if !bindings.iter().any(bound) {
            findings.push(without_binding(group, &account, role, cluster_role, what));
        }
    }
    findings
}

fn binds(binding: &RoleBinding, namespace: &str, account: &str, cluster_role: &str) -> bool {
    let role = &binding.role_ref;
    binding.metadata.namespace.as_deref() == Some(namespace)
        && role.kind == "ClusterRole"
        && role.name == cluster_role
        && binding.subjects.iter().flatten().any(|subject| {
            subject.kind == "ServiceAccount"
                && subject.name == account
                && subject.namespace.as_deref() == Some(namespace)
        })
}

fn without_account(group: &Group, account: &Account) -> Finding {
    let name = &account.name;
    let text = format!(
        "{}: its ServiceAccount {name} is gone: sidecars lose the right to renew",
        named(group)
    );
    let cure = match account.kind {
        AccountKind::Group => format!(
            "with the webhook in order, delete a standby pod: the next pod of the group has it \
             made again; then the others, since their tokens are void. By hand: `kubectl -n {} \
             create serviceaccount {name}`",
            group.namespace
        ),
        AccountKind::Custom => "make it again: it is the one that the pod template names".into(),
    };
    Finding::error("GroupRights", text)
        .cure(cure)
        .docs(page::FORBIDDEN)
}

fn without_binding(
    group: &Group,
    account: &Account,
    role: Role,
    cluster_role: &str,
    what: &str,
) -> Finding {
    let (namespace, name) = (&group.namespace, &account.name);
    let binding = names::binding(&group.name, account, role);
    let cure = format!(
        "the webhook makes it again when it runs; at once: `kubectl -n {namespace} create \
         rolebinding {binding} --clusterrole={cluster_role} --serviceaccount={namespace}:{name}`"
    );
    let text = format!(
        "{}: no RoleBinding gives ServiceAccount {name} the ClusterRole {cluster_role}",
        named(group)
    );
    let finding = match account.kind {
        AccountKind::Group => Finding::error(
            "GroupRights",
            format!("{text}: its sidecars may not write {what}"),
        ),
        AccountKind::Custom => Finding::warning(
            "GroupRights",
            format!("{text}: unless it may otherwise, its sidecars cannot write {what}"),
        ),
    };
    finding.cure(cure).docs(page::FORBIDDEN)
}
