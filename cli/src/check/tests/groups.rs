//! Groups in order, broken in one place at a time.

use super::{bad, codes, read};
use crate::check::facts::{Read, Workloads};
use crate::check::finding::Level;
use crate::check::groups;
use crate::group::{Seen, groups as put_together};
use crate::tests::{now, objects, of};
use common::contract;
use common::service::Service;
use serde_json::{Value, json};

const ACCOUNT: &str = "active-passive-group-web";

/// The settled case, with what the checks look at beside it.
pub(super) fn settled() -> Vec<Value> {
    let mut all = objects("settled");
    for pod in all.iter_mut().filter(|it| it["kind"] == "Pod") {
        pod["spec"]["serviceAccountName"] = json!(ACCOUNT);
        pod["spec"]["initContainers"] = json!([{"name": contract::CONTAINER}]);
        pod["metadata"]["annotations"][contract::INJECT] = json!("true");
    }
    let binding = |role: &str| {
        json!({
            "kind": "RoleBinding",
            "metadata": {"name": role, "namespace": "shop"},
            "roleRef": {"apiGroup": "", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "shop"}],
        })
    };
    all.push(binding(contract::SIDECAR_CLUSTER_ROLE));
    all.push(binding(contract::ROUTER_CLUSTER_ROLE));
    all.push(json!({
        "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT, "namespace": "shop"},
    }));
    all
}

pub(super) fn workloads(all: &[Value]) -> Workloads {
    let meta = |it: &Value| read(it["metadata"].clone());
    let accounts = all.iter().filter(|it| it["kind"] == "ServiceAccount");
    let services: Vec<Service> = of(all, "Service").unwrap();
    let (followed, by_role) = services
        .into_iter()
        .partition(|service| service.group().is_some());
    let seen = Seen {
        leases: of(all, "Lease"),
        pods: of(all, "Pod"),
        services: Some(followed),
    };
    Workloads {
        namespace: Some("shop".to_owned()),
        groups: put_together(seen),
        unseen: Vec::new(),
        pods: of(all, "Pod").unwrap(),
        role_services: by_role,
        asking: Vec::new(),
        service_mode_off: false,
        accounts: Read::Seen(accounts.map(meta).collect()),
        bindings: Read::Seen(of(all, "RoleBinding").unwrap()),
        excluded: vec!["kube-system".to_owned()],
        version: Some("0.1.0".to_owned()),
    }
}

#[test]
fn groups_in_order_are_all_ok() {
    let findings = groups::findings(&workloads(&settled()), now());
    assert_eq!(bad(findings.clone()), []);
    assert_eq!(findings.len(), 2, "{findings:?}");
}

fn find<'a>(all: &'a mut [Value], kind: &str, name: &str) -> &'a mut Value {
    let mut found = all
        .iter_mut()
        .filter(|it| it["kind"] == kind && it["metadata"]["name"] == name);
    found.next().unwrap()
}

/// One break of what runs: check, a part of its text or cure, and how it is broken.
type GroupBreak = (Level, &'static str, &'static str, fn(&mut Vec<Value>));

const GROUP_BREAKS: &[GroupBreak] = &[
    (Level::Error, "NoLeader", "logs POD", |all| {
        find(all, "Lease", "web")["spec"]["renewTime"] = json!("2026-02-03T03:09:57.000000Z");
    }),
    (Level::Warning, "Paused", "resume web", |all| {
        find(all, "Lease", "web")["metadata"]["annotations"][contract::PAUSED] = json!("true");
    }),
    (
        Level::Error,
        "GroupRights",
        "rolebinding active-passive-group-web.sidecar",
        |all| {
            all.retain(|it| it["metadata"]["name"] != contract::SIDECAR_CLUSTER_ROLE);
        },
    ),
    (Level::Error, "GroupRights", "its Lease and pods", |all| {
        let binding = find(all, "RoleBinding", contract::SIDECAR_CLUSTER_ROLE);
        binding["subjects"][0]["name"] = json!("another");
    }),
    (Level::Error, "GroupRights", "its Services", |all| {
        all.retain(|it| it["metadata"]["name"] != contract::ROUTER_CLUSTER_ROLE);
    }),
    (
        Level::Error,
        "GroupRights",
        "ServiceAccount active-passive-group-web is gone",
        |all| {
            all.retain(|it| it["kind"] != "ServiceAccount");
        },
    ),
    (
        Level::Error,
        "SelectorMatchesNoPod",
        "serves nobody",
        |all| {
            find(all, "Service", "web")["spec"]["selector"]["app"] = json!("other");
        },
    ),
    (
        Level::Error,
        "Misrouted",
        "sends traffic to nobody",
        |all| {
            find(all, "Service", "web")["spec"]["selector"][contract::POD] = json!("none");
        },
    ),
    (
        Level::Error,
        "SelectorMatchesNoPod",
        "selects by the role",
        |all| {
            all.push(json!({
                "kind": "Service",
                "metadata": {"name": "old", "namespace": "shop"},
                "spec": {"selector": {"app": "wbe", contract::ROLE: "active"}},
            }));
        },
    ),
    (
        Level::Error,
        "ServiceWithoutGroup",
        "follows group wbe",
        |all| {
            all.push(json!({
                "kind": "Service",
                "metadata": {
                    "name": "typo", "namespace": "shop", "annotations": {contract::GROUP: "wbe"},
                },
                "spec": {"selector": {"app": "web"}},
            }));
        },
    ),
    (
        Level::Warning,
        "LeaseWithoutPods",
        "delete lease left",
        |all| {
            let mut lease = find(all, "Lease", "web").clone();
            lease["metadata"]["name"] = json!("left");
            all.push(lease);
        },
    ),
    (
        Level::Error,
        "TwoOwners",
        "Deployment/other and Deployment/web",
        |all| {
            let pod = find(all, "Pod", "web-2");
            pod["metadata"]["ownerReferences"][0]["name"] = json!("other-7f9");
        },
    ),
    (
        Level::Warning,
        "Sidecars",
        "rollout restart deployment/web",
        |all| {
            let pod = find(all, "Pod", "web-1");
            pod["metadata"]["annotations"][contract::INJECTED] = json!("0.0.9+00");
        },
    ),
    (
        Level::Error,
        "PodsWithoutSidecar",
        "Deployment/late",
        |all| {
            all.push(json!({
            "kind": "Pod",
            "metadata": {
                "name": "late", "namespace": "shop", "uid": "u-9",
                "labels": {"pod-template-hash": "1"},
                "annotations": {contract::INJECT: "true"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "late-1", "controller": true}],
            },
            "spec": {"containers": [{"name": "app"}]},
        }));
        },
    ),
];

#[test]
fn each_break_of_what_runs_is_found() {
    for (level, check, part, break_it) in GROUP_BREAKS {
        let mut all = settled();
        break_it(&mut all);
        let found = bad(groups::findings(&workloads(&all), now()));
        assert_eq!(codes(&found), [(*level, *check)], "{part}: {found:?}");
        let said = format!("{} {:?}", found[0].text, found[0].cure);
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// Whoever finds it wants to know whom to ask.
#[test]
fn a_pause_says_whose_it_is() {
    let mut all = settled();
    let meta = &mut find(&mut all, "Lease", "web")["metadata"];
    meta["annotations"][contract::PAUSED] = json!("true");
    meta["managedFields"] = json!([{
        "manager": "kubectl-annotate",
        "time": "2026-01-31T04:10:00Z",
        "fieldsV1": {"f:metadata": {"f:annotations": {"f:active-passive.dev/paused": {}}}},
    }]);
    let found = bad(groups::findings(&workloads(&all), now()));
    let told = "(paused by kubectl-annotate, 3d ago)";
    assert!(found[0].text.contains(told), "{found:?}");
}

/// A pause that nobody ended, over a leader that is gone: the way out is the pause.
#[test]
fn a_forgotten_pause_is_an_error() {
    let mut all = settled();
    let lease = find(&mut all, "Lease", "web");
    lease["metadata"]["annotations"][contract::PAUSED] = json!("true");
    lease["spec"]["renewTime"] = json!("2026-02-03T03:09:57.000000Z");
    let found = bad(groups::findings(&workloads(&all), now()));
    let expected = [(Level::Error, "NoLeader"), (Level::Error, "Paused")];
    assert_eq!(codes(&found), expected);
    for finding in found {
        assert!(finding.cure.unwrap().contains("resume web"));
    }
}

/// Another account may have its rights otherwise.
#[test]
fn a_custom_account_without_binding_is_a_warning() {
    let mut all = settled();
    for pod in all.iter_mut().filter(|it| it["kind"] == "Pod") {
        pod["spec"]["serviceAccountName"] = json!("mine");
    }
    find(&mut all, "ServiceAccount", ACCOUNT)["metadata"]["name"] = json!("mine");
    let found = bad(groups::findings(&workloads(&all), now()));
    let expected = [(Level::Warning, "GroupRights"); 2];
    assert_eq!(codes(&found), expected, "{found:?}");
}
