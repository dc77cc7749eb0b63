//! What is tried on the objects of a group under fencing, in this order, and how each must end.
//!
//! The story of two pods, `one` and `two`: the first leads in term 1, hands over, wakes up in a term
//! that is over, and comes back in a later one. Between its chapters everybody tries what is not
//! theirs.

use serde_json::{Value, json};

use crate::fencing_cast::Who::{self, Admin, One, Outsider, Two};
use crate::{fencing_outside as outside, fencing_stolen as stolen, fencing_trespass as trespass};

/// One attempt.
pub(crate) struct Attempt {
    /// What is tried.
    pub(crate) name: &'static str,
    /// By whom.
    pub(crate) by: Who,
    /// The request.
    pub(crate) act: Act,
    /// How it must end.
    pub(crate) end: End,
}

/// A request. Pods are named; where their uid is needed, it is put in.
pub(crate) enum Act {
    /// Writes role and term of a pod, as a sidecar does.
    Role(&'static str, &'static str, &'static str),
    /// Labels a pod with its own uid, as its sidecar does.
    OwnLabel(&'static str),
    /// Writes the active pod and the term of Service `web`.
    Route(&'static str, &'static str),
    /// Makes the Lease with this holder, in term 1, and with this merged into it.
    NewLease(&'static str, Value),
    /// Reads the Lease and writes it with this holder and term.
    Lease(&'static str, u64),
    /// Reads the Lease and writes it with this merged into it: accounts of groups may not patch it.
    MergedLease(Value),
    /// Writes Service `web` as it is without all that is ours, as `kubectl replace` does.
    Replace,
    /// A merge patch of what is at this path.
    Patch(&'static str, Value),
    /// Makes an object in the list at this path.
    Create(&'static str, Value),
    /// Deletes what is at this path.
    Delete(&'static str),
}

/// How an attempt ends.
pub(crate) enum End {
    /// It is done.
    Done,
    /// It is done, and the Service points there; "" for a selector without our key, or none.
    Points(&'static str),
    /// A policy refuses it, in these words; "" where more than one does.
    Refused(&'static str),
    /// The account has no right to try.
    Forbidden,
}

use Act::{Lease, MergedLease, NewLease, OwnLabel, Patch, Role, Route};
use End::{Done, Points, Refused};

/// Part of what several policies say.
pub(crate) const OTHER_GROUP: &str = "election group";

/// All of them, in the order in which they are made.
pub(crate) fn attempts() -> Vec<Attempt> {
    let chapters = [
        stolen::before_the_lease(),
        first_term(),
        trespass::pods_of_others(),
        trespass::what_a_pod_is(),
        trespass::services(),
        trespass::more_of_services(),
        stolen::empty_values(),
        stolen::empty_keys(),
        stolen::the_lease(),
        handover(),
        woken_leader(),
        strange_terms(),
        outside::taken_out(),
        trespass::rights(),
        trespass::everybody_else(),
        trespass::new_services(),
        stolen::what_people_wrote(),
        trespass::neighbour(),
        stolen::last_term(),
    ];
    chapters.into_iter().flatten().collect()
}

pub(crate) fn attempt(name: &'static str, by: Who, act: Act, end: End) -> Attempt {
    Attempt { name, by, act, end }
}

pub(crate) fn annotations(annotations: Value) -> Value {
    json!({"metadata": {"annotations": annotations}})
}

pub(crate) fn labels(labels: Value) -> Value {
    json!({"metadata": {"labels": labels}})
}

pub(crate) fn term(term: &str) -> Value {
    annotations(json!({"active-passive.dev/term": term}))
}

fn first_term() -> Vec<Attempt> {
    let itself = Refused("a pod may write itself into the Lease");
    vec![
        attempt(
            "an outsider makes the Lease",
            Outsider,
            NewLease("outsider", json!({})),
            Refused(OTHER_GROUP),
        ),
        attempt(
            "a pod makes the Lease for another",
            One,
            NewLease("two", json!({})),
            itself,
        ),
        attempt(
            "a pod makes the Lease for itself",
            One,
            NewLease("one", json!({})),
            Done,
        ),
        attempt(
            "the leader labels itself",
            One,
            Role("one", "active", "1"),
            Done,
        ),
        attempt(
            "the leader stamps the other pod",
            One,
            Role("two", "passive", "1"),
            Done,
        ),
        attempt(
            "the leader points the Service",
            One,
            Route("one", "1"),
            Points("one"),
        ),
        attempt("a pod writes its own pod label", One, OwnLabel("one"), Done),
    ]
}

fn handover() -> Vec<Attempt> {
    let itself = || Refused("a pod may write itself into the Lease");
    let rises = || Refused("the term never falls, and rises with every acquisition");
    vec![
        attempt("the leader renews", One, Lease("one", 1), Done),
        attempt("the leader lowers the term", One, Lease("one", 0), rises()),
        attempt(
            "a standby writes an outsider into the Lease",
            Two,
            Lease("outsider", 2),
            itself(),
        ),
        attempt(
            "an outsider takes the Lease",
            Outsider,
            Lease("outsider", 2),
            Refused(OTHER_GROUP),
        ),
        attempt(
            "a standby takes the Lease in the same term",
            Two,
            Lease("two", 1),
            rises(),
        ),
        attempt(
            "the leader hands the Lease over",
            One,
            Lease("two", 2),
            Done,
        ),
        attempt(
            "the successor labels itself",
            Two,
            Role("two", "active", "2"),
            Done,
        ),
        attempt(
            "the successor stamps the old leader",
            Two,
            Role("one", "passive", "2"),
            Done,
        ),
        attempt(
            "the successor takes the Service",
            Two,
            Route("two", "2"),
            Points("two"),
        ),
    ]
}

fn woken_leader() -> Vec<Attempt> {
    let over = || Refused("term 1 is over");
    let rises = Refused("the term never falls, and rises with every acquisition");
    vec![
        attempt(
            "the old leader wakes up and labels itself",
            One,
            Role("one", "active", "1"),
            over(),
        ),
        attempt(
            "the old leader strips the new one",
            One,
            Role("two", "passive", "1"),
            over(),
        ),
        attempt(
            "the old leader takes the Service back",
            One,
            Route("one", "1"),
            over(),
        ),
        attempt(
            "the new leader steps down",
            Two,
            Role("two", "passive", "2"),
            Done,
        ),
        attempt(
            "the new leader points the Service at none",
            Two,
            Route("none", "2"),
            Points("none"),
        ),
        attempt(
            "the new leader points it at itself again",
            Two,
            Route("two", "2"),
            Points("two"),
        ),
        attempt(
            "the old leader points the Service at none",
            One,
            Route("none", "1"),
            over(),
        ),
        attempt(
            "a standby steals the Service in this term",
            One,
            Route("one", "2"),
            Refused("term 2 is over"),
        ),
        attempt(
            "the label is taken off the Lease",
            Two,
            MergedLease(labels(json!({"active-passive.dev/lease": null}))),
            Refused("the label of the Lease is kept"),
        ),
        attempt("the leader releases the Lease", Two, Lease("", 2), Done),
        attempt(
            "a standby takes the free Lease in the same term",
            One,
            Lease("one", 2),
            rises,
        ),
        attempt(
            "a standby takes the free Lease in a new term",
            One,
            Lease("one", 3),
            Done,
        ),
    ]
}

fn strange_terms() -> Vec<Attempt> {
    let two = "pods/two";
    vec![
        attempt(
            "an administrator writes a term that is no number",
            Admin,
            Patch(two, term("abc")),
            Done,
        ),
        attempt(
            "a pod writes its own label beside that term",
            Two,
            OwnLabel("two"),
            Done,
        ),
        attempt(
            "the leader repairs that term",
            One,
            Role("two", "passive", "3"),
            Done,
        ),
        attempt(
            "a term that is no number is written",
            One,
            Role("one", "active", "x"),
            Refused("no number"),
        ),
        attempt(
            "an administrator writes a term far ahead",
            Admin,
            Patch(two, term("900")),
            Done,
        ),
        attempt(
            "the leader writes below that term",
            One,
            Role("two", "passive", "3"),
            Refused("term 3 is over"),
        ),
        attempt(
            "the leader raises its own term",
            One,
            Lease("one", 901),
            Done,
        ),
        attempt(
            "the leader writes in its raised term",
            One,
            Role("two", "passive", "901"),
            Done,
        ),
        attempt(
            "the leader takes the Service in that term",
            One,
            Route("one", "901"),
            Points("one"),
        ),
    ]
}
