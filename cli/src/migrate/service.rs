//! Services whose traffic followed another elector.

use super::object::{Object, text};
use super::plan::{Edit, What};
use super::workload::Migrated;
use ::inject::{Add, Json};
use common::contract;
use common::seeds::SERVICE_LEADER_ELECTION;
use serde_json::{Value, json};

/// Before a first leader such a Service served all pods, as it did with the elector.
const BEFORE_LEADER: &str = "all";

/// What becomes of a Service.
pub(super) struct Routed {
    pub(super) edits: Vec<Edit>,
    pub(super) line: String,
}

/// The Service that an elector pointed at its pod: our leader does so by an annotation.
///
/// # Errors
/// If it belongs to another group.
pub(super) fn pointed(service: &Object<'_>, key: &str, group: &str) -> Result<Routed, String> {
    if let Some(other) = service
        .annotation(contract::GROUP)
        .filter(|it| *it != group)
    {
        return Err(format!(
            "it belongs to group {other} already, and would to {group}"
        ));
    }
    let at = &service.place.at;
    let edit = |what: What| Edit {
        place: service.place.clone(),
        what,
    };
    let add = |path: String, value: Value| {
        let value = Json::of(&value);
        edit(What::Add(Add { path, value }))
    };
    let annotations = [
        (contract::GROUP, group),
        (contract::BEFORE_LEADER, BEFORE_LEADER),
    ];
    let path = format!("{at}/metadata/annotations");
    let mut edits = Vec::new();
    if service
        .value
        .pointer("/metadata/annotations")
        .is_some_and(Value::is_object)
    {
        for (key, value) in annotations {
            edits.push(add(
                format!("{path}/{}", key.replace('/', "~1")),
                json!(value),
            ));
        }
    } else {
        let map: Value = annotations
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .into_iter()
            .collect();
        edits.push(add(path, map));
    }
    let selector = service.value.pointer("/spec/selector");
    if selector.is_some_and(|it| it.get(key).is_some()) {
        let path = format!("{at}/spec/selector/{}", key.replace('/', "~1"));
        edits.push(edit(What::Remove(path)));
    }
    let line = format!(
        "added {}: {group:?}: the leader points it at itself, and all pods are served before there \
         is one",
        contract::GROUP
    );
    Ok(Routed { edits, line })
}

/// What is said about a Service that selects by the role label of a migrated group.
pub(super) fn selecting(service: &Object<'_>, migrated: &Migrated) -> Option<String> {
    let role = migrated.role.as_ref()?;
    let selector = service.value.pointer("/spec/selector")?;
    (text(selector, &role.key)? == role.active).then(|| {
        format!(
            "kept: it selects by the label {}, which moves as before. When all pods are new, take \
             that key out and add the annotation {}: {:?}: then traffic moves in one write",
            role.key,
            contract::GROUP,
            migrated.group
        )
    })
}

/// What is said about a Service of active-standby-controller.
pub(super) fn compatible(service: &Object<'_>) -> Option<String> {
    let mode = service.annotation(contract::COMPAT_MODE)?;
    (!mode.is_empty()).then(|| {
        format!(
            "kept: Service mode understands {}, and takes it over as it is",
            contract::COMPAT_MODE
        )
    })
}

/// What to do about a Service that is not among the manifests.
pub(super) fn absent(name: &str, namespace: &str, group: &str) -> String {
    format!(
        "Service {name} is not among the manifests; let it follow the group:\n     \
         kubectl annotate -n {namespace} service {name} {}={group} {}={BEFORE_LEADER}",
        contract::GROUP,
        contract::BEFORE_LEADER
    )
}

/// The key that the elector has written into the selector in the cluster stays there until somebody
/// takes it out, and by then no pod has it.
pub(super) fn freeing(name: &str, namespace: &str, key: &str) -> String {
    let key = key.replace('~', "~0").replace('/', "~1");
    let active = contract::ACTIVE.replace('.', "\\.");
    format!(
        "Take the selector's old key out as soon as a new pod is active; until then the Service \
         has the pod of {} only, and none once that is gone:\n     \
         kubectl wait -n {namespace} service/{name} --timeout=10m \
         --for='jsonpath={{.metadata.annotations.{active}}}' && \\\n     \
         kubectl patch -n {namespace} service {name} --type=json \
         -p '[{{\"op\":\"remove\",\"path\":\"/spec/selector/{key}\"}}]'",
        SERVICE_LEADER_ELECTION.name
    )
}
