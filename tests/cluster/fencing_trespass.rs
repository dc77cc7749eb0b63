//! Attempts on what is not theirs, of sidecars and everybody else; and what everybody may do.

use serde_json::{Value, json};

use crate::fencing_attempts::Act::{Create, Delete, MergedLease, Patch, Replace, Role, Route};
use crate::fencing_attempts::End::{Done, Forbidden, Points, Refused};
use crate::fencing_attempts::{Attempt, OTHER_GROUP, annotations, attempt, labels};
use crate::fencing_cast::Who::{Admin, Developer, GitOps, Neighbour, One, Outsider, Two, Unbound};
use crate::fencing_cast::service;

pub(crate) const NOTHING_ELSE: &str =
    "a sidecar may change the active pod and the term of this Service";
pub(crate) const THREE_KEYS: &str = "a sidecar writes only the role label";

pub(crate) fn pods_of_others() -> Vec<Attempt> {
    let by_itself = Refused("a pod becomes active by itself only");
    let two = "pods/two";
    let active = labels(json!({"active-passive.dev/role": "active"}));
    vec![
        attempt(
            "the leader makes another active",
            One,
            Role("two", "active", "9"),
            by_itself,
        ),
        attempt(
            "an administrator makes another active",
            Admin,
            Patch(two, active),
            Done,
        ),
        attempt(
            "the leader repairs that in its term",
            One,
            Role("two", "passive", "1"),
            Done,
        ),
        attempt(
            "an outsider makes a pod active",
            Outsider,
            Role("two", "active", "9"),
            Refused(OTHER_GROUP),
        ),
        attempt(
            "an outsider strips the leader",
            Outsider,
            Role("one", "passive", "9"),
            Refused(OTHER_GROUP),
        ),
        attempt(
            "a pod of another group is written",
            One,
            Role("outsider", "active", "9"),
            Refused(""),
        ),
        attempt(
            "a pod outside every group is written",
            One,
            Role("plain", "active", "1"),
            Refused(OTHER_GROUP),
        ),
        attempt(
            "a token outside a pod writes a role",
            Unbound,
            Role("one", "passive", "9"),
            Refused("inside a pod"),
        ),
        attempt(
            "another's pod label is written",
            One,
            Patch(
                "pods/two/status",
                labels(json!({"active-passive.dev/pod": "x"})),
            ),
            Refused("active-passive.dev/pod is written by the pod itself"),
        ),
    ]
}

pub(crate) fn what_a_pod_is() -> Vec<Attempt> {
    let (one, two) = ("pods/one/status", "pods/two/status");
    let group = || labels(json!({"active-passive.dev/group": "x"}));
    let key = annotations(json!({"active-passive.dev/role-label": "foo"}));
    let value = annotations(json!({"active-passive.dev/active-value": "passive"}));
    let finalizers = json!({"metadata": {"finalizers": ["example.com/kept"]}});
    let never = Refused("a sidecar never writes a pod's spec, finalizers or owners");
    vec![
        attempt(
            "another's group is changed",
            One,
            Patch(two, group()),
            Refused(""),
        ),
        attempt(
            "its own group is changed",
            One,
            Patch(one, group()),
            Refused(""),
        ),
        attempt(
            "the key of the role label is changed",
            One,
            Patch(one, key),
            Refused(""),
        ),
        attempt(
            "the active value is changed",
            One,
            Patch(one, value),
            Refused(""),
        ),
        attempt(
            "a label of the app is written",
            One,
            Patch(one, labels(json!({"app": "x"}))),
            Refused(THREE_KEYS),
        ),
        attempt(
            "an annotation of others is written",
            One,
            Patch(one, annotations(json!({"x": "y"}))),
            Refused(THREE_KEYS),
        ),
        attempt(
            "a finalizer is put on a pod",
            One,
            Patch(two, finalizers),
            never,
        ),
        attempt(
            "another's status is forged",
            One,
            Patch(two, json!({"status": {"phase": "Failed"}})),
            Refused("a sidecar never writes a pod's status"),
        ),
    ]
}

pub(crate) fn services() -> Vec<Attempt> {
    let web = "services/web";
    let selector = |key: &str, value: &str| json!({"spec": {"selector": {key: value}}});
    let off = annotations(json!({"active-passive.dev/group": null}));
    let neither = json!({"active-passive.dev/active": null, "active-passive.dev/term": null});
    let neither = annotations(neither);
    let own = Refused("a sidecar may point this Service at its own pod only");
    let plain = annotations(json!({"active-passive.dev/active": "none"}));
    vec![
        attempt(
            "a standby points the Service in the leader's term",
            Two,
            Route("two", "1"),
            Refused("term 1 is over"),
        ),
        attempt(
            "the leader points the Service at an outsider",
            One,
            Route("outsider", "2"),
            own,
        ),
        attempt(
            "another key of the selector is written",
            One,
            Patch(web, selector("app", "plain")),
            Refused(NOTHING_ELSE),
        ),
        attempt(
            "the selector is written against its annotation",
            One,
            Patch(web, selector("active-passive.dev/pod", "x")),
            Points("one"),
        ),
        attempt(
            "active pod and term are taken away",
            One,
            Patch(web, neither),
            Points("one"),
        ),
        attempt(
            "the Service is taken out of its group",
            One,
            Patch(web, off),
            Refused(NOTHING_ELSE),
        ),
        attempt(
            "a Service of no group is written",
            One,
            Patch("services/plain", plain),
            Refused(OTHER_GROUP),
        ),
    ]
}

pub(crate) fn more_of_services() -> Vec<Attempt> {
    let spec = |spec: Value| Patch("services/web", json!({"spec": spec}));
    let metadata = |metadata: Value| Patch("services/web", json!({"metadata": metadata}));
    let ports = json!({"ports": [{"port": 80, "targetPort": 1}]});
    let source = json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ["0.0.0.0/0"]});
    vec![
        attempt("ports are written", One, spec(ports), Refused(NOTHING_ELSE)),
        attempt(
            "addresses of others are drawn to the Service",
            One,
            spec(json!({"externalIPs": ["172.30.0.1"]})),
            Refused(NOTHING_ELSE),
        ),
        attempt(
            "the Service is opened to everybody",
            One,
            spec(source),
            Refused(NOTHING_ELSE),
        ),
        attempt(
            "clients are tied to a pod",
            One,
            spec(json!({"sessionAffinity": "ClientIP"})),
            Refused(NOTHING_ELSE),
        ),
        attempt(
            "pods that are not ready are published",
            One,
            spec(json!({"publishNotReadyAddresses": true})),
            Refused(NOTHING_ELSE),
        ),
        attempt(
            "the Service is kept from being deleted",
            One,
            metadata(json!({"finalizers": ["example.com/kept"]})),
            Refused(NOTHING_ELSE),
        ),
        attempt(
            "a label of the Service is written",
            One,
            metadata(json!({"labels": {"x": "y"}})),
            Refused(NOTHING_ELSE),
        ),
    ]
}

fn lock(name: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name},
    })
}

pub(crate) fn rights() -> Vec<Attempt> {
    let deadline = json!({"spec": {"activeDeadlineSeconds": 1}});
    let own_lease = Refused("a sidecar writes only the Lease of its own election group");
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {"containers": [{"name": "x", "image": "x"}]},
    });
    vec![
        attempt(
            "a lock of another program is made",
            One,
            Create("leases", lock("lock-of-others")),
            own_lease,
        ),
        attempt(
            "what a pod runs is changed",
            One,
            Patch("pods/two", deadline),
            Forbidden,
        ),
        attempt("a pod is made", One, Create("pods", pod), Forbidden),
        attempt("a pod is deleted", One, Delete("pods/two"), Forbidden),
        attempt("the Lease is deleted", One, Delete("leases/web"), Forbidden),
        attempt(
            "a Service is deleted",
            One,
            Delete("services/web"),
            Forbidden,
        ),
        attempt(
            "a Service is written without a right to it",
            Outsider,
            Route("outsider", "999"),
            Forbidden,
        ),
    ]
}

pub(crate) fn everybody_else() -> Vec<Attempt> {
    let team = || labels(json!({"team": "a"}));
    let joins = labels(json!({"active-passive.dev/group": "web"}));
    let role = |value: &str| labels(json!({"active-passive.dev/role": value}));
    let edit = json!({
        "metadata": {"labels": {"team": "a"}},
        "spec": {"sessionAffinity": "ClientIP"},
    });
    let paused = annotations(json!({"active-passive.dev/paused": "true"}));
    let two = "pods/two";
    vec![
        attempt(
            "a GitOps controller edits the Service",
            GitOps,
            Patch("services/web", edit),
            Points("one"),
        ),
        attempt(
            "a GitOps controller points the Service",
            GitOps,
            Route("x", "999"),
            Refused("at its own pod only"),
        ),
        attempt(
            "a GitOps controller replaces the Service",
            GitOps,
            Replace,
            Points("one"),
        ),
        attempt(
            "a GitOps controller writes a role",
            GitOps,
            Role("two", "active", "999"),
            Refused("by itself only"),
        ),
        attempt(
            "a GitOps controller labels a pod",
            GitOps,
            Patch(two, team()),
            Done,
        ),
        attempt(
            "a GitOps controller pauses the group",
            GitOps,
            Patch("leases/web", paused),
            Done,
        ),
        attempt(
            "a developer labels a pod",
            Developer,
            Patch(two, team()),
            Done,
        ),
        attempt(
            "a developer annotates a pod",
            Developer,
            Patch(two, annotations(json!({"x": "y"}))),
            Done,
        ),
        attempt(
            "a developer writes a role",
            Developer,
            Patch(two, role("active")),
            Refused("annotate the group's Lease"),
        ),
        attempt(
            "a developer takes a term away",
            Developer,
            Patch(two, annotations(json!({"active-passive.dev/term": null}))),
            Refused(""),
        ),
        attempt(
            "a developer adds a pod to the group",
            Developer,
            Patch("pods/plain", joins),
            Refused(""),
        ),
        attempt(
            "a developer points the Service at none",
            Developer,
            Route("none", "901"),
            Refused("out of what you apply"),
        ),
        attempt(
            "an administrator writes a role",
            Admin,
            Patch(two, role("active")),
            Done,
        ),
        attempt(
            "an administrator points the Service",
            Admin,
            Route("two", "1"),
            Points("two"),
        ),
    ]
}

pub(crate) fn new_services() -> Vec<Attempt> {
    let off = annotations(json!({"active-passive.dev/group": null}));
    let mut bare = service("bare", "web", Some("web"));
    bare["spec"]["selector"] = Value::Null;
    let mut open = service("open", "web", Some("web"));
    open["metadata"]["annotations"]["active-passive.dev/before-leader"] = json!("all");
    let fresh = service("fresh", "web", Some("web"));
    vec![
        attempt(
            "a new Service of the group",
            GitOps,
            Create("services", fresh),
            Points("none"),
        ),
        attempt(
            "it is taken out of the group",
            GitOps,
            Patch("services/fresh", off),
            Points(""),
        ),
        attempt(
            "a new Service without selector",
            GitOps,
            Create("services", bare),
            Points(""),
        ),
        attempt(
            "a new Service for all until there is a leader",
            GitOps,
            Create("services", open),
            Points(""),
        ),
    ]
}

/// Whose namespace only is called like an account of a group is nobody special.
pub(crate) fn neighbour() -> Vec<Attempt> {
    let team = || labels(json!({"team": "b"}));
    let affinity = json!({"spec": {"sessionAffinity": "None"}});
    vec![
        attempt(
            "a neighbour labels a pod of the group",
            Neighbour,
            Patch("pods/two", team()),
            Done,
        ),
        attempt(
            "a neighbour labels a pod outside every group",
            Neighbour,
            Patch("pods/plain", team()),
            Done,
        ),
        attempt(
            "a neighbour edits the Service",
            Neighbour,
            Patch("services/web", affinity),
            Points("two"),
        ),
        attempt(
            "a neighbour makes a lock of its own",
            Neighbour,
            Create("leases", lock("lock-of-neighbours")),
            Done,
        ),
        attempt(
            "a neighbour takes a lock of its own",
            Neighbour,
            Patch(
                "leases/lock-of-neighbours",
                json!({"spec": {"holderIdentity": "x"}}),
            ),
            Done,
        ),
        attempt(
            "a neighbour takes active pod and term away",
            Neighbour,
            Replace,
            Points("two"),
        ),
        attempt(
            "a neighbour takes the Lease",
            Neighbour,
            MergedLease(json!({"spec": {"holderIdentity": "x_none", "leaseTransitions": 902}})),
            Refused("inside a pod"),
        ),
    ]
}
