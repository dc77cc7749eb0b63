//! An administrator takes the active pod out of its group: attempts on it, by itself and by others.

use serde_json::{Value, json};

use crate::fencing_attempts::Act::{Patch, Role};
use crate::fencing_attempts::End::{Done, Refused};
use crate::fencing_attempts::{Attempt, OTHER_GROUP, annotations, attempt, labels};
use crate::fencing_cast::Who::{Admin, Developer, One, Outsider, Two};
use crate::fencing_trespass::THREE_KEYS;

const NOTHING_ELSE: &str = "takes its role off, and nothing else";
const ONE: &str = "pods/one";
const STATUS: &str = "pods/one/status";

fn group(group: &Value) -> Value {
    labels(json!({"active-passive.dev/group": group}))
}

pub(crate) fn taken_out() -> Vec<Attempt> {
    vec![
        attempt(
            "the leader labels itself in its raised term",
            One,
            Role("one", "active", "901"),
            Done,
        ),
        attempt(
            "a sidecar leaves its group",
            One,
            Patch(STATUS, group(&Value::Null)),
            Refused(""),
        ),
        attempt(
            "a developer takes a pod out of its group",
            Developer,
            Patch(ONE, group(&Value::Null)),
            Refused(""),
        ),
        attempt(
            "an administrator takes the active pod out of its group",
            Admin,
            Patch(ONE, group(&Value::Null)),
            Done,
        ),
        attempt(
            "another pod strips it outside of the group",
            Two,
            Role("one", "passive", "901"),
            Refused(OTHER_GROUP),
        ),
        attempt(
            "another group's pod strips it",
            Outsider,
            Role("one", "passive", "901"),
            Refused(OTHER_GROUP),
        ),
        attempt(
            "it stays active in a new term",
            One,
            Role("one", "active", "902"),
            Refused(NOTHING_ELSE),
        ),
        attempt(
            "it lowers its term on the way",
            One,
            Role("one", "passive", "900"),
            Refused(NOTHING_ELSE),
        ),
        attempt(
            "it names another pod as its own",
            One,
            Patch(
                STATUS,
                labels(
                    json!({"active-passive.dev/role": "passive", "active-passive.dev/pod": "x"}),
                ),
            ),
            Refused(NOTHING_ELSE),
        ),
        attempt(
            "it goes back to its group",
            One,
            Patch(STATUS, group(&json!("web"))),
            Refused(""),
        ),
        attempt(
            "it joins another group",
            One,
            Patch(STATUS, group(&json!("web-admin"))),
            Refused(""),
        ),
        attempt(
            "it changes the key of its role on the way",
            One,
            Patch(
                STATUS,
                annotations(json!({"active-passive.dev/role-label": "foo"})),
            ),
            Refused(""),
        ),
        attempt(
            "it writes a label of the app on the way",
            One,
            Patch(
                STATUS,
                labels(json!({"active-passive.dev/role": "passive", "app": "x"})),
            ),
            Refused(THREE_KEYS),
        ),
        attempt(
            "it takes its own role off",
            One,
            Role("one", "passive", "901"),
            Done,
        ),
        attempt(
            "it puts its role on again",
            One,
            Role("one", "active", "901"),
            Refused(NOTHING_ELSE),
        ),
        attempt(
            "it strips a pod that is in no group",
            One,
            Role("plain", "passive", "901"),
            Refused(OTHER_GROUP),
        ),
        attempt(
            "an administrator puts it back",
            Admin,
            Patch(ONE, group(&json!("web"))),
            Done,
        ),
    ]
}
