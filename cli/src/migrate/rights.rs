//! Accounts, roles and bindings that were there for an elector. A right goes only if an elector needs
//! it, and only from accounts that nobody else among the manifests runs as.

use super::object::{Object, list, text};
use super::workload::Pods;
use serde_json::Value;

/// API group, resource and verbs of what electors need. No verbs: all of them.
const NEEDED: [(&str, &str, &[&str]); 7] = [
    ("coordination.k8s.io", "leases", &[]),
    ("", "pods", &["get", "list", "watch", "patch", "update"]),
    ("", "pods/status", &["get", "patch", "update"]),
    ("", "services", &["get", "list", "watch", "patch", "update"]),
    ("", "events", &["create", "patch", "update"]),
    ("events.k8s.io", "events", &["create", "patch", "update"]),
    (
        "authorization.k8s.io",
        "selfsubjectaccessreviews",
        &["create"],
    ),
];

/// What becomes of rights.
#[derive(Default)]
pub(super) struct Rights<'a> {
    /// What was there for electors alone, and goes.
    pub(super) dropped: Vec<&'a Object<'a>>,
    /// What stays though an elector used it, and why.
    pub(super) kept: Vec<(&'a Object<'a>, String)>,
}

/// An account: namespace, name.
type Account<'a> = (&'a str, &'a str);

/// Looks at all rights. `pods` are all pod templates.
pub(super) fn of<'a>(objects: &'a [Object<'a>], pods: &[Pods<'a>]) -> Rights<'a> {
    let accounts = |with: bool| -> Vec<Account<'a>> {
        let pods = pods.iter().filter(|it| it.electors.is_empty() != with);
        pods.map(|it| (it.object.namespace, it.account())).collect()
    };
    let (electors, others) = (accounts(true), accounts(false));
    let is_electors =
        |account: &Account<'_>| electors.contains(account) && !others.contains(account);
    let mut rights = Rights::default();
    for binding in objects.iter().filter(|it| is_binding(it)) {
        let subjects = subjects(binding);
        if subjects.is_empty()
            || !subjects
                .iter()
                .all(|it| it.as_ref().is_some_and(is_electors))
        {
            continue;
        }
        let Some(role) = role(objects, binding) else {
            rights
                .kept
                .push((binding, "its role is not among the manifests".to_owned()));
            continue;
        };
        match surplus(role) {
            Some(more) => rights.kept.push((role, format!("it allows more: {more}"))),
            None => rights.dropped.push(binding),
        }
    }
    rights.drop_roles(objects);
    rights.drop_accounts(objects, &is_electors);
    rights
}

impl<'a> Rights<'a> {
    pub(super) fn drops(&self, object: &Object<'_>) -> bool {
        self.dropped.iter().any(|it| it.place == object.place)
    }

    /// Roles that nobody is bound to any more.
    fn drop_roles(&mut self, objects: &'a [Object<'a>]) {
        let bound = |role: &Object<'_>, binding: &&Object<'_>| {
            is_binding(binding)
                && self::role(objects, binding).is_some_and(|it| it.place == role.place)
        };
        let goes = |role: &&Object<'a>| {
            let mut bindings = objects.iter().filter(|it| bound(role, it)).peekable();
            bindings.peek().is_some() && bindings.all(|it| self.drops(it))
        };
        let roles: Vec<_> = objects.iter().filter(goes).collect();
        self.dropped.extend(roles);
    }

    /// Accounts that were there for nothing else.
    fn drop_accounts(
        &mut self,
        objects: &'a [Object<'a>],
        is_electors: &dyn Fn(&Account<'_>) -> bool,
    ) {
        let mut accounts = Vec::new();
        for account in objects.iter().filter(|it| it.kind == "ServiceAccount") {
            let own = (account.namespace, account.name);
            if !is_electors(&own) || account.name == "default" {
                continue;
            }
            let binds = |it: &&Object<'_>| is_binding(it) && subjects(it).contains(&Some(own));
            let mut bindings = objects.iter().filter(binds).peekable();
            let was_bound = bindings.peek().is_some();
            let metadata = account.value.get("metadata").unwrap_or(&Value::Null);
            let is_plain = metadata.get("annotations").is_none_or(Value::is_null)
                && list(account.value, "imagePullSecrets").is_empty()
                && list(account.value, "secrets").is_empty();
            if was_bound && bindings.all(|it| self.drops(it)) && is_plain {
                accounts.push(account);
            } else {
                let why = "it is there for more than the elector".to_owned();
                self.kept.push((account, why));
            }
        }
        self.dropped.extend(accounts);
    }
}

fn is_binding(object: &Object<'_>) -> bool {
    matches!(object.kind, "RoleBinding" | "ClusterRoleBinding")
}

/// The accounts that a binding is about; none for a subject that is no account.
fn subjects<'a>(binding: &Object<'a>) -> Vec<Option<Account<'a>>> {
    let account = |subject: &'a Value| {
        let is_account = text(subject, "kind") == Some("ServiceAccount");
        let namespace = text(subject, "namespace").unwrap_or(binding.namespace);
        is_account.then_some((namespace, text(subject, "name")?))
    };
    list(binding.value, "subjects")
        .iter()
        .map(account)
        .collect()
}

/// The role that a binding names.
fn role<'a>(objects: &'a [Object<'a>], binding: &Object<'_>) -> Option<&'a Object<'a>> {
    let named = binding.value.get("roleRef")?;
    let (kind, name) = (text(named, "kind")?, text(named, "name")?);
    let is = |it: &&Object<'_>| {
        let here = kind == "ClusterRole" || it.namespace == binding.namespace;
        it.kind == kind && it.name == name && here
    };
    objects.iter().find(is)
}

/// A right of a role that no elector needs.
fn surplus(role: &Object<'_>) -> Option<String> {
    let words = |rule: &Value, key: &str| -> Vec<String> {
        let words = list(rule, key).iter().filter_map(Value::as_str);
        words.map(str::to_owned).collect()
    };
    for rule in list(role.value, "rules") {
        if let Some(url) = words(rule, "nonResourceURLs").first() {
            return Some(url.clone());
        }
        for group in words(rule, "apiGroups") {
            for resource in words(rule, "resources") {
                for verb in words(rule, "verbs") {
                    if !is_needed(&group, &resource, &verb) {
                        return Some(format!("{verb} {resource}"));
                    }
                }
            }
        }
    }
    None
}

fn is_needed(group: &str, resource: &str, verb: &str) -> bool {
    let is = |(its_group, its_resource, verbs): &(&str, &str, &[&str])| {
        *its_group == group
            && *its_resource == resource
            && (verbs.is_empty() || verbs.contains(&verb))
    };
    NEEDED.iter().any(is)
}
