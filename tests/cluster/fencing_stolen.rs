//! What would outlast a stolen token of a group: attempts on its Lease, and with values that look
//! like none.

use common::contract;
use serde_json::{Value, json};

use crate::fencing_attempts::Act::{Delete, Lease, MergedLease, NewLease, Patch, Role, Route};
use crate::fencing_attempts::End::{Done, Points, Refused};
use crate::fencing_attempts::{Attempt, OTHER_GROUP, annotations, attempt, labels, term};
use crate::fencing_cast::Who::{Admin, Developer, GitOps, One, Outsider, Two, Unbound};
use crate::fencing_trespass::{NOTHING_ELSE, THREE_KEYS};

const INSIDE: &str = "inside a pod";
const OWNERS: &str = "a sidecar never writes finalizers or owners of a Lease";
const OTHER_KEYS: &str = "a sidecar pauses no group, and writes no label or annotation of others";
const DURATION_S_MAX: u64 = contract::default::LEASE_DURATION_MS_MAX / 1_000;

/// An owner that nobody has: the garbage collector would delete what it owns.
fn owner() -> Value {
    let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "x"});
    json!({"metadata": {"ownerReferences": [owner]}})
}

fn finalizer() -> Value {
    json!({"metadata": {"finalizers": ["example.com/kept"]}})
}

fn paused(value: &Value) -> Value {
    annotations(json!({"active-passive.dev/paused": value}))
}

/// A Lease that names nobody.
fn unheld(term: u64) -> Value {
    json!({"spec": {"holderIdentity": contract::NO_POD, "leaseTransitions": term}})
}

pub(crate) fn before_the_lease() -> Vec<Attempt> {
    let new = |name, patch, words| attempt(name, One, NewLease("one", patch), Refused(words));
    let bare = labels(json!({"active-passive.dev/lease": null}));
    let lasts = json!({"spec": {"leaseDurationSeconds": DURATION_S_MAX + 1}});
    let nobody = json!({"spec": {"holderIdentity": "x_none"}});
    vec![
        new(
            "the Lease is made without its label",
            bare,
            "is made with its label",
        ),
        new("the Lease is made with an owner", owner(), OWNERS),
        new("the Lease is made with a finalizer", finalizer(), OWNERS),
        new(
            "the Lease is made paused",
            paused(&json!("true")),
            OTHER_KEYS,
        ),
        new(
            "the Lease is made for longer than an hour",
            lasts,
            "is an hour",
        ),
        attempt(
            "a token outside a pod makes the Lease",
            Unbound,
            NewLease("x", nobody),
            Refused(INSIDE),
        ),
    ]
}

/// "" is not the same as nothing: a selector tells the two apart.
pub(crate) fn empty_values() -> Vec<Attempt> {
    let (one, web) = ("pods/one/status", "services/web");
    let empty = || json!({"x": ""});
    let selector = json!({"spec": {"selector": empty()}});
    let tried = |name, path, patch, words| attempt(name, One, Patch(path, patch), Refused(words));
    vec![
        tried(
            "an empty label is written",
            one,
            labels(empty()),
            THREE_KEYS,
        ),
        tried(
            "an empty annotation is written",
            one,
            annotations(empty()),
            THREE_KEYS,
        ),
        attempt(
            "an administrator writes an empty label",
            Admin,
            Patch("pods/one", labels(json!({"y": ""}))),
            Done,
        ),
        tried(
            "an empty label is taken away",
            one,
            labels(json!({"y": null})),
            THREE_KEYS,
        ),
        tried(
            "a Service gets an empty annotation",
            web,
            annotations(empty()),
            NOTHING_ELSE,
        ),
        tried(
            "a selector gets an empty value",
            web,
            selector,
            NOTHING_ELSE,
        ),
    ]
}

/// An empty key of the role label would hide the role from whoever judges it.
pub(crate) fn empty_keys() -> Vec<Attempt> {
    let two = "pods/two";
    let key = || annotations(json!({"active-passive.dev/role-label": ""}));
    let value = annotations(json!({"active-passive.dev/active-value": ""}));
    let defaults = annotations(json!({
        "active-passive.dev/role-label": null,
        "active-passive.dev/active-value": null,
    }));
    let its_life = || Refused("of a pod do not change during its life");
    let labelled = Refused("active-passive.dev/pod is written by the pod itself");
    let label = labels(json!({"active-passive.dev/pod": ""}));
    vec![
        attempt(
            "an administrator leaves key and value of the role to their defaults",
            Admin,
            Patch(two, defaults),
            Done,
        ),
        attempt(
            "a developer empties the key of the role label",
            Developer,
            Patch(two, key()),
            Refused(INSIDE),
        ),
        attempt(
            "a GitOps controller empties the key of the role label",
            GitOps,
            Patch(two, key()),
            its_life(),
        ),
        attempt(
            "a GitOps controller empties the active value",
            GitOps,
            Patch(two, value),
            its_life(),
        ),
        attempt(
            "a GitOps controller writes an empty pod label",
            GitOps,
            Patch(two, label),
            labelled,
        ),
    ]
}

/// The leader's token, in its first term.
pub(crate) fn the_lease() -> Vec<Attempt> {
    let merged = |name, patch, end| attempt(name, One, MergedLease(patch), end);
    let nobody = || json!({"spec": {"holderIdentity": "x_none", "leaseTransitions": 2}});
    let lasts = |s: u64| json!({"spec": {"leaseDurationSeconds": s}});
    let history = annotations(json!({"active-passive.dev/history": "[]"}));
    let terms = json!({"spec": {"leaseTransitions": 1_000_000_000}});
    let foreign = labels(json!({"x": ""}));
    let tracked = annotations(json!({"x": "y"}));
    vec![
        attempt(
            "a token outside a pod takes the Lease for a pod that is none",
            Unbound,
            MergedLease(nobody()),
            Refused(INSIDE),
        ),
        attempt(
            "a developer takes the Lease for a pod that is none",
            Developer,
            MergedLease(nobody()),
            Refused(INSIDE),
        ),
        merged(
            "the Lease shall last longer than an hour",
            lasts(DURATION_S_MAX + 1),
            Refused("is an hour"),
        ),
        merged("the Lease shall last an hour", lasts(DURATION_S_MAX), Done),
        merged(
            "the term leaves what an annotation holds",
            terms,
            Refused("999999999 at most"),
        ),
        merged(
            "a sidecar pauses its group",
            paused(&json!("true")),
            Refused(OTHER_KEYS),
        ),
        merged(
            "a finalizer is put on the Lease",
            finalizer(),
            Refused(OWNERS),
        ),
        merged(
            "an empty label is put on the Lease",
            foreign,
            Refused(OTHER_KEYS),
        ),
        merged(
            "an annotation of others is put on the Lease",
            tracked,
            Refused(OTHER_KEYS),
        ),
        merged("the leader writes the history", history, Done),
    ]
}

/// After people have paused the group and made Services.
pub(crate) fn what_people_wrote() -> Vec<Attempt> {
    let active = annotations(json!({"active-passive.dev/active": ""}));
    vec![
        attempt(
            "a sidecar goes on with a group that was paused",
            One,
            MergedLease(paused(&Value::Null)),
            Refused(OTHER_KEYS),
        ),
        attempt(
            "the leader renews while paused",
            One,
            Lease("one", 901),
            Done,
        ),
        attempt(
            "a GitOps controller names an empty active pod",
            GitOps,
            Patch("services/bare", active),
            Refused("at its own pod only"),
        ),
        attempt(
            "a GitOps controller writes an empty term",
            GitOps,
            Patch("services/bare", term("")),
            Refused(""),
        ),
    ]
}

/// A stolen token can use up the terms: nothing but an administrator makes them start anew, as
/// SECURITY.md describes.
pub(crate) fn last_term() -> Vec<Attempt> {
    let anew =
        annotations(json!({"active-passive.dev/active": "none", "active-passive.dev/term": "0"}));
    let (one, two) = ("pods/one", "pods/two");
    vec![
        attempt(
            "a stolen token uses up the terms",
            One,
            Lease("one", 999_999_999),
            Done,
        ),
        attempt(
            "nobody can take the Lease any more",
            Two,
            Lease("two", 999_999_999),
            Refused("the term never falls, and rises with every acquisition"),
        ),
        attempt(
            "an administrator deletes the Lease",
            Admin,
            Delete("leases/web"),
            Done,
        ),
        attempt(
            "an administrator lets the Service begin anew",
            Admin,
            Patch("services/web", anew),
            Points("none"),
        ),
        attempt(
            "an administrator takes a pod's term away",
            Admin,
            Patch(one, term("0")),
            Done,
        ),
        attempt(
            "an administrator takes the other's away",
            Admin,
            Patch(two, term("0")),
            Done,
        ),
        attempt(
            "a Lease that nobody holds is made in a term",
            Two,
            NewLease("one", unheld(1)),
            Refused("make one that nobody holds"),
        ),
        attempt(
            "another group makes a Lease that nobody holds",
            Outsider,
            NewLease("one", unheld(0)),
            Refused(OTHER_GROUP),
        ),
        attempt(
            "the Lease is made again in nobody's name",
            Two,
            NewLease("one", unheld(0)),
            Done,
        ),
        attempt("the leader takes it", One, Lease("one", 1), Done),
        attempt(
            "the new leader labels itself",
            One,
            Role("one", "active", "1"),
            Done,
        ),
        attempt(
            "the new leader takes the Service",
            One,
            Route("one", "1"),
            Points("one"),
        ),
        attempt(
            "the garbage collector is to delete the Lease",
            One,
            MergedLease(owner()),
            Refused(OWNERS),
        ),
    ]
}
