//! What the sidecar asks of its node.
//!
//! Quotas and limits of the namespace are not looked up. What they demand of every container shows
//! on the others of the pod, which would not be let in without it.

use crate::pod::Pod;
use common::contract::default;
use serde_json::{Map, Value, json};

/// Where a CPU limit is needed: this one, and a request near enough to it for a LimitRange that
/// bounds the ratio.
const LIMITED_CPU: (&str, &str) = ("10m", "40m");

/// Resources of the sidecar: as the pod asks, or the defaults, fitted to the pod's other containers.
pub(crate) fn resources(pod: &Pod<'_>, asked: Option<&Value>) -> Value {
    if let Some(asked) = asked {
        return asked.clone();
    }
    let mut resources: Value = serde_json::from_str(default::RESOURCES).unwrap_or_default();
    if every_container(pod, |container| limit(container, "cpu").is_some()) {
        resources["requests"]["cpu"] = json!(LIMITED_CPU.0);
        resources["limits"]["cpu"] = json!(LIMITED_CPU.1);
    }
    // One container whose requests differ from its limits takes the class Guaranteed from the pod,
    // and with it exclusive cores and its place in the order of eviction.
    if every_container(pod, is_guaranteed) {
        resources["requests"] = resources["limits"].clone();
    }
    // The pod's own sums are checked against those of its containers: ours takes from the pod's.
    for stated in stated_for_the_pod(pod) {
        for section in ["requests", "limits"] {
            if let Some(section) = resources[section].as_object_mut() {
                section.remove(stated);
            }
        }
    }
    if let Some(sections) = resources.as_object_mut() {
        sections.retain(|_, section| section.as_object().is_some_and(|s| !s.is_empty()));
    }
    resources
}

fn every_container(pod: &Pod<'_>, holds: impl Fn(&Value) -> bool) -> bool {
    let mut containers = pod.other_containers().peekable();
    containers.peek().is_some() && containers.all(holds)
}

fn is_guaranteed(container: &Value) -> bool {
    ["cpu", "memory"].into_iter().all(|resource| {
        let limit = limit(container, resource);
        let request = quantity(container, "requests", resource);
        limit.is_some() && (request.is_none() || request == limit)
    })
}

fn limit(container: &Value, resource: &str) -> Option<String> {
    quantity(container, "limits", resource)
}

/// A quantity as text; YAML may have made a number of it.
fn quantity(container: &Value, section: &str, resource: &str) -> Option<String> {
    match container.get("resources")?.get(section)?.get(resource)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Resources that `spec.resources` names.
fn stated_for_the_pod<'a>(pod: &Pod<'a>) -> impl Iterator<Item = &'a String> {
    let resources = pod.spec.get("resources");
    ["requests", "limits"]
        .into_iter()
        .filter_map(move |section| resources?.get(section)?.as_object())
        .flat_map(Map::keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pod_level: Value, containers: Value, expected: Value) {
        let pod = json!({
            "metadata": {},
            "spec": {"containers": containers, "resources": pod_level},
        });
        let found = resources(&Pod::read(&pod).unwrap(), None);
        assert_eq!(found, expected, "{pod}");
    }

    #[test]
    fn they_fit_the_pod() {
        let usual = json!({
            "requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "32Mi"},
        });
        let limited = json!({
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "40m", "memory": "32Mi"},
        });
        let guaranteed = json!({
            "requests": {"cpu": "40m", "memory": "32Mi"},
            "limits": {"cpu": "40m", "memory": "32Mi"},
        });
        let app = |resources: Value| json!([{"name": "app", "resources": resources}]);
        check(Value::Null, json!([{"name": "app"}]), usual.clone());
        check(
            Value::Null,
            app(json!({"limits": {"memory": "1Gi"}})),
            usual.clone(),
        );
        let cpu = json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}});
        check(Value::Null, app(cpu.clone()), limited);
        check(
            Value::Null,
            json!([{"name": "app", "resources": cpu}, {"name": "free"}]),
            usual.clone(),
        );
        let equal = json!({"requests": {"cpu": 1}, "limits": {"cpu": "1", "memory": "1Gi"}});
        check(Value::Null, app(equal), guaranteed);
        check(
            json!({"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}),
            json!([{"name": "app"}]),
            json!({}),
        );
        check(
            json!({"requests": {"cpu": "1"}}),
            json!([{"name": "app"}]),
            json!({"requests": {"memory": "16Mi"}, "limits": {"memory": "32Mi"}}),
        );
        check(json!({}), json!([]), usual);
    }
}
