//! By which rule a pod that runs has the sidecar, or why it has none.
//!
//! A policy writes the annotation in a pod's place, so the pod alone does not tell. The template that it
//! was made of does, and the policies of today. What may not be read is said.

use crate::check;
use crate::connect::Cluster;
use crate::failure::Failure;
use crate::gather::{list, seen};
use ::inject::policy::{Labels, Policy, claim, of_namespace};
use common::contract::{self, POLICY_GROUP, POLICY_PLURAL, POLICY_VERSION};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What there is to know besides the pod.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// What the pod was made of, as kind/name, and what its template says about the sidecar;
    /// `None`: nobody made it, or that is not known.
    pub(super) template: Option<(String, Value)>,
    /// The policies about its namespace, in the order of their names.
    pub(super) policies: Vec<Arc<Policy>>,
    /// The webhook is not asked about its namespace.
    pub(super) is_excluded: bool,
    /// What may not be read, as sentences.
    pub(super) unseen: Vec<String>,
}

/// Reads it.
pub(super) async fn facts(cluster: &Cluster, pod: &Value) -> Result<Facts, Failure> {
    let mut facts = Facts::default();
    if let Some((name, path)) = made_of(cluster, pod) {
        let holder = cluster.get::<Value>(&format!("read {name}"), &path).await;
        let holder = seen(holder.map(|it| vec![it]), &mut facts.unseen);
        // It may be gone while its pods are not.
        let holder = holder.or_else(|failure| match failure {
            Failure::NotFound { .. } => Ok(None),
            other => Err(other),
        })?;
        let holder = holder.and_then(|mut it| it.pop());
        facts.template = holder.map(|it| (name, it["spec"]["template"]["metadata"].clone()));
    }
    let excluded = check::excluded_namespaces(cluster).await?;
    facts.is_excluded = excluded.contains(&cluster.namespace);
    let path = format!("/apis/{POLICY_GROUP}/{POLICY_VERSION}/{POLICY_PLURAL}");
    let policies = match list::<Value>(cluster, "list policies", &path, "").await {
        // The kind is not installed.
        Err(Failure::NotFound { .. }) => Ok(Vec::new()),
        listed => listed,
    };
    let policies = seen(policies, &mut facts.unseen)?.unwrap_or_default();
    if policies.is_empty() {
        return Ok(facts);
    }
    let mut policies: Vec<Arc<Policy>> = policies
        .iter()
        .filter_map(|object| Policy::read(object).ok().map(Arc::new))
        .collect();
    policies.sort_by(|one, other| one.name().cmp(other.name()));
    let path = format!("/api/v1/namespaces/{}", cluster.namespace);
    let namespace = cluster.get::<Namespace>("read the namespace", &path).await;
    let namespace = seen(namespace.map(|it| vec![it]), &mut facts.unseen)?;
    if let Some(namespace) = namespace.and_then(|mut it| it.pop()) {
        facts.policies = of_namespace(&policies, &namespace.metadata.labels);
    }
    Ok(facts)
}

#[derive(Deserialize)]
struct Namespace {
    metadata: NamespaceMeta,
}

#[derive(Deserialize)]
struct NamespaceMeta {
    #[serde(default)]
    labels: Labels,
}

/// The object whose template a pod is of: its name for people, and its path.
fn made_of(cluster: &Cluster, pod: &Value) -> Option<(String, String)> {
    let owners = pod["metadata"]["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|it| it["controller"] == true)?;
    let (kind, name) = (owner["kind"].as_str()?, owner["name"].as_str()?);
    let api = match kind {
        "ReplicaSet" | "StatefulSet" | "DaemonSet" => "apps/v1",
        "Job" => "batch/v1",
        _ => return None,
    };
    let (namespace, plural) = (&cluster.namespace, format!("{}s", kind.to_lowercase()));
    Some((
        format!("{kind}/{name}"),
        format!("/apis/{api}/namespaces/{namespace}/{plural}/{name}"),
    ))
}

/// Says it, a line each.
pub(super) fn said(pod: &Value, facts: &Facts) -> String {
    let note = |key: &str| pod["metadata"]["annotations"][key].as_str();
    let mut text = match note(contract::INJECTED) {
        Some(injected) => {
            let version = injected.split('+').next().unwrap_or_default();
            format!("  has the sidecar, version {version}: {}\n", by(facts, pod))
        }
        None => format!("  has no sidecar: {}\n", why_not(facts, pod)),
    };
    for unseen in &facts.unseen {
        text.push_str(&format!("  note: {unseen}\n"));
    }
    text
}

fn asks(metadata: &Value) -> Option<&str> {
    metadata["annotations"][contract::INJECT].as_str()
}

/// Who asked for it.
fn by(facts: &Facts, pod: &Value) -> String {
    let inject = contract::INJECT;
    match &facts.template {
        Some((name, template)) if asks(template).is_some() => {
            format!("the template of {name} asks for it ({inject})")
        }
        Some((name, _)) => match policy(facts, pod) {
            Some(policy) => format!("policy {policy} asks for it, the template of {name} does not"),
            None => format!("neither the template of {name} nor a policy of today asks for it"),
        },
        None => format!("it asks for it ({inject})"),
    }
}

fn why_not(facts: &Facts, pod: &Value) -> String {
    let inject = contract::INJECT;
    let again = "delete it, and the next one gets it";
    match asks(&pod["metadata"]) {
        _ if facts.is_excluded => "the webhook is not asked about its namespace".to_owned(),
        Some("true") => format!(
            "it asks ({inject}), and was made while the webhook was away, or not asked; {again}"
        ),
        Some(_) => format!("it does not want one ({inject})"),
        None => match policy(facts, pod) {
            Some(policy) => format!(
                "policy {policy} asks for it, but it was made before, or cannot have it; events \
                 and `kubectl describe activepassivepolicy {policy}` say why"
            ),
            None => format!("neither {inject} nor a policy asks for it"),
        },
    }
}

/// The policy that asks in place of a pod whose template says nothing.
fn policy(facts: &Facts, pod: &Value) -> Option<String> {
    let mut silent = pod.clone();
    let annotations = facts.template.as_ref().map(|(_, it)| &it["annotations"]);
    silent["metadata"]["annotations"] = match annotations {
        Some(annotations) if annotations.is_object() => annotations.clone(),
        _ => json!({}),
    };
    claim(&silent, &facts.policies).map(|claim| claim.policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(annotations: Value) -> Value {
        json!({
            "kind": "Pod",
            "metadata": {
                "name": "web-7f9-1",
                "labels": {"app": "web", "pod-template-hash": "7f9"},
                "annotations": annotations,
                "ownerReferences":
                    [{"kind": "ReplicaSet", "name": "web-7f9", "controller": true}],
            },
        })
    }

    fn facts(template: Value) -> Facts {
        let spec = json!({"inject": "Default", "defaults": {"active-passive.dev/priority": "1"}});
        let policy = json!({"metadata": {"name": "all"}, "spec": spec});
        Facts {
            template: Some((
                "ReplicaSet/web-7f9".to_owned(),
                json!({"annotations": template}),
            )),
            policies: vec![Arc::new(Policy::read(&policy).unwrap())],
            ..Facts::default()
        }
    }

    #[test]
    fn who_asked_is_told_by_the_template_and_the_policies() {
        let injected = json!({contract::INJECTED: "0.1.0+00ff", contract::INJECT: "true"});
        let has = "  has the sidecar, version 0.1.0: ";
        let itself = said(
            &pod(injected.clone()),
            &facts(json!({contract::INJECT: "true"})),
        );
        let template = "the template of ReplicaSet/web-7f9 asks for it (active-passive.dev/inject)";
        assert_eq!(itself, format!("{has}{template}\n"));
        let by_policy = said(&pod(injected.clone()), &facts(json!({})));
        let policy = "policy all asks for it, the template of ReplicaSet/web-7f9 does not";
        assert_eq!(by_policy, format!("{has}{policy}\n"));
        let mut gone = facts(Value::Null);
        gone.policies.clear();
        gone.unseen.push("you may not list policies: no".to_owned());
        let nobody = said(&pod(injected), &gone);
        assert!(
            nobody.contains("nor a policy of today asks for it\n  note: you may"),
            "{nobody}"
        );
    }

    #[test]
    fn why_there_is_none_is_told() {
        let told = |annotations: Value, change: fn(&mut Facts)| {
            let mut facts = facts(json!({}));
            change(&mut facts);
            let said = said(&pod(annotations), &facts);
            said.trim_start_matches("  has no sidecar: ").to_owned()
        };
        let asks = |value: &str| json!({contract::INJECT: value});
        for (annotations, change, part) in [
            (
                asks("true"),
                (|_| {}) as fn(&mut Facts),
                "was made while the webhook was away",
            ),
            (asks("false"), |_| {}, "it does not want one"),
            (
                json!({}),
                |_| {},
                "policy all asks for it, but it was made before",
            ),
            (
                json!({}),
                |it| it.policies.clear(),
                "neither active-passive.dev/inject nor",
            ),
            (
                asks("true"),
                |it| it.is_excluded = true,
                "not asked about its namespace",
            ),
        ] {
            let told = told(annotations, change);
            assert!(told.contains(part), "no {part:?} in {told}");
        }
    }
}
