//! Attempts of the webhook's own account on bindings: each gives one role to the account that it is called
//! after, and can be neither emptied nor given away nor made ahead of time for another role.

use http::Method;
use serde_json::{Value, json};

use crate::webhook_attempts::End::{Done, Forbidden, Refused};
use crate::webhook_attempts::{Attempt, End, OF_GROUPS, owner};

const RBAC: &str = "rbac.authorization.k8s.io";
const SIDECAR: (&str, &str) = ("ClusterRole", "active-passive-sidecar");
const ROUTER: (&str, &str) = ("ClusterRole", "active-passive-router");
const OF_NAMESPACE: End = Refused("one account, of the namespace that its binding is in");
const OF_ACCOUNT: End = Refused("the account that its binding is called after");
const OF_ROLE: End = Refused("called after the role that it binds");
/// The account of the group whose bindings are tried.
const OWN: &str = "active-passive-group-attempt";

/// Bindings that are there: one of a group, and one that is none of the webhook's.
pub(crate) fn there(namespace: &str) -> [Value; 2] {
    let own = [account("active-passive-group-there", namespace)];
    let other = [account("default", namespace)];
    [
        binding("active-passive-group-there.sidecar", SIDECAR, &own),
        binding("somebodys", SIDECAR, &other),
    ]
}

fn account(name: &str, namespace: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
}

fn binding(name: &str, (kind, role): (&str, &str), subjects: &[Value]) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": subjects,
    })
}

/// A name as the webhook shortens it, for an account whose own has 253 bytes.
fn shortened(account: &str) -> String {
    let name = format!("{OWN}.sidecar.{account}");
    format!("{}-0123456789abcdef", &name[..236])
}

/// What a role is bound to, under which name, and how that ends.
type Try<'a> = (&'static str, &'a str, (&'a str, &'a str), Vec<Value>, End);

pub(crate) fn about_bindings(namespace: &str) -> Vec<Attempt> {
    let path = |place: &str| format!("/apis/{RBAC}/v1/namespaces/{place}/rolebindings");
    let post = |place: &str, (what, name, role, subjects, end): Try<'_>| Attempt {
        what,
        method: Method::POST,
        path: path(place),
        body: binding(name, role, &subjects),
        end,
    };
    let here = |name: &str| account(name, namespace);
    let own = || vec![here(OWN)];
    let (sidecar, router) = (format!("{OWN}.sidecar"), format!("{OWN}.router"));
    let custom = format!("{sidecar}.shop.v2");
    let long = "a".repeat(253);
    let short = shortened(&long);
    let user = json!({"kind": "User", "apiGroup": RBAC, "name": OWN});
    let admin = ("ClusterRole", "cluster-admin");
    let two = vec![here(OWN), here("default")];
    #[rustfmt::skip]
    let tries: Vec<Try<'_>> = vec![
        ("a group's binding", &sidecar, SIDECAR, own(), Done),
        ("its binding to the second role", &router, ROUTER, own(), Done),
        ("the binding of a user's account", &custom, SIDECAR, vec![here("shop.v2")], Done),
        ("a binding whose name was too long", &short, SIDECAR, vec![here(&long)], Done),
        ("another binding", "other", SIDECAR, own(), Refused(OF_GROUPS)),
        ("a binding that says no role", OWN, SIDECAR, own(), OF_ROLE),
        ("a binding of another account", &sidecar, SIDECAR, vec![here("default")], OF_ACCOUNT),
        ("the same for a user's account", &custom, SIDECAR, vec![here("v2")], OF_ACCOUNT),
        ("the same of a shortened name", &short, SIDECAR, vec![here("default")], OF_ACCOUNT),
        ("a binding of nobody", &sidecar, SIDECAR, Vec::new(), OF_NAMESPACE),
        ("a binding of two", &sidecar, SIDECAR, two, OF_NAMESPACE),
        ("a binding of an account from elsewhere", &sidecar, SIDECAR,
         vec![account(OWN, "default")], OF_NAMESPACE),
        ("a binding of a person", &sidecar, SIDECAR, vec![user], OF_NAMESPACE),
        ("the other role ahead of time", &sidecar, ROUTER, own(), OF_ROLE),
        ("the first role in the second one's place", &router, SIDECAR, own(), OF_ROLE),
        ("a binding of another role", &sidecar, admin, own(), Forbidden),
    ];
    let tries = tries.into_iter().map(|it| post(namespace, it));
    let mut attempts: Vec<Attempt> = tries.collect();
    let elsewhere = vec![account(OWN, "kube-system")];
    let what = "a binding where nothing is injected";
    let refused = (
        what,
        sidecar.as_str(),
        SIDECAR,
        elsewhere,
        Refused(OF_GROUPS),
    );
    attempts.push(post("kube-system", refused));

    let [of_group, of_somebody] = there(namespace);
    let put = |what, found: &Value, more: Value, end| {
        let mut body = found.clone();
        json_patch::merge(&mut body, &more);
        let name = found["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!("{}/{name}", path(namespace));
        let method = Method::PUT;
        Attempt {
            what,
            method,
            path,
            body,
            end,
        }
    };
    let owned = json!({"metadata": {"ownerReferences": [owner()]}});
    let given = json!({"subjects": [here("default")]});
    attempts.extend([
        put("a group's binding as it was", &of_group, json!({}), Done),
        put(
            "a group's binding without anybody",
            &of_group,
            json!({"subjects": []}),
            OF_NAMESPACE,
        ),
        put(
            "a group's binding to another account",
            &of_group,
            given,
            OF_ACCOUNT,
        ),
        put(
            "a binding of somebody else, which would be deleted",
            &of_somebody,
            owned,
            Refused(OF_GROUPS),
        ),
    ]);
    attempts
}
