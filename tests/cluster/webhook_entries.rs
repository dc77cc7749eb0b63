//! Attempts of the webhook's own account on the two webhook configurations.

use http::Method;
use serde_json::{Value, json};
use tests::scene::SYSTEM_NAMESPACE;

use crate::webhook_attempts::End::{Done, Forbidden, Refused};
use crate::webhook_attempts::{ACCOUNT, Attempt, End, HANDS, MUTATING, owner};

const OF_THE_CHART: &str =
    "of the entries that the chart installs, the webhook writes the authority";
const ASKS_ITSELF: &str = "an entry for a policy ignores failures, and asks the webhook itself";
const VALIDATING: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/active-passive";

/// An entry as the webhook makes it for a policy.
fn entry(path: &str, (group, resource): (&str, &str), operations: &[&str]) -> Value {
    let excluded = [
        "kube-system",
        "kube-node-lease",
        "kube-public",
        SYSTEM_NAMESPACE,
    ];
    json!({
        "name": "attempt.policy.active-passive.dev",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {
            "name": ACCOUNT, "namespace": SYSTEM_NAMESPACE, "path": path, "port": 443,
        }},
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "namespaceSelector": {"matchExpressions": [{
            "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": excluded,
        }]},
        "rules": [{
            "apiGroups": [group], "apiVersions": ["v1"], "operations": operations,
            "resources": [resource], "scope": "Namespaced",
        }],
    })
}

fn patch(what: &'static str, path: &str, body: Value, end: End) -> Attempt {
    Attempt {
        what,
        method: Method::PATCH,
        path: path.to_owned(),
        body,
        end,
    }
}

/// Variants of an object, each as a patch of `webhooks` together with those that stay.
fn with(stay: &[Value], entry: &Value, change: impl Fn(&mut Value)) -> Value {
    let mut entry = entry.clone();
    change(&mut entry);
    let mut all = stay.to_vec();
    all.push(entry);
    json!({"webhooks": all})
}

pub(crate) fn about_pods(found: &Value) -> Vec<Attempt> {
    let all = found["webhooks"].as_array().cloned().unwrap_or_default();
    let (chart, others) = (all[0].clone(), &all[1..]);
    let charts = |change: &dyn Fn(&mut Value)| {
        let mut chart = chart.clone();
        change(&mut chart);
        let mut all = vec![chart];
        all.extend(others.iter().cloned());
        json!({"webhooks": all})
    };
    let entry = entry("/inject", ("", "pods"), &["CREATE"]);
    let policys = |change: &dyn Fn(&mut Value)| with(&all, &entry, change);
    let of = |what, body, end| patch(what, MUTATING, body, end);
    let ca = chart["clientConfig"]["caBundle"].clone();
    vec![
        of(
            "the authority of the chart's entry",
            charts(&|it| it["clientConfig"]["caBundle"] = json!("Cg==")),
            Done,
        ),
        of(
            "the same once more",
            charts(&|it| it["clientConfig"]["caBundle"] = ca.clone()),
            Done,
        ),
        of(
            "what the chart's entry is about",
            charts(&|it| it["rules"][0]["resources"] = json!(["secrets"])),
            Refused(OF_THE_CHART),
        ),
        of(
            "where the chart's entry looks",
            charts(&|it| it["namespaceSelector"] = json!({})),
            Refused(OF_THE_CHART),
        ),
        of(
            "which pods the chart's entry is about",
            charts(&|it| it["matchConditions"] = Value::Null),
            Refused(OF_THE_CHART),
        ),
        of(
            "whom the chart's entry asks",
            charts(&|it| it["clientConfig"]["service"]["name"] = json!("other")),
            Refused(OF_THE_CHART),
        ),
        of(
            "what a failure comes to",
            charts(&|it| it["failurePolicy"] = json!("Ignore")),
            Refused(OF_THE_CHART),
        ),
        of(
            "no entry at all",
            json!({"webhooks": []}),
            Refused(OF_THE_CHART),
        ),
        of(
            "an owner, by which it would be deleted",
            json!({"metadata": {"ownerReferences": [owner()]}}),
            Refused(HANDS),
        ),
        of(
            "a label",
            json!({"metadata": {"labels": {"a": "b"}}}),
            Refused(HANDS),
        ),
        of("an entry for a policy", policys(&|_| ()), Done),
        of(
            "an entry that no policy has",
            policys(&|it| it["name"] = json!("other.active-passive.dev")),
            Refused(OF_THE_CHART),
        ),
        of(
            "an entry about Secrets",
            policys(&|it| it["rules"][0]["resources"] = json!(["secrets"])),
            Refused("is about pods that are created, and nothing else"),
        ),
        of(
            "an entry about pods that are there",
            policys(&|it| it["rules"][0]["operations"] = json!(["CREATE", "UPDATE"])),
            Refused("is about pods that are created, and nothing else"),
        ),
        of(
            "an entry that asks another path",
            policys(&|it| it["clientConfig"]["service"]["path"] = json!("/other")),
            Refused("asks for /inject"),
        ),
        of(
            "an entry that others wait for",
            policys(&|it| it["failurePolicy"] = json!("Fail")),
            Refused(ASKS_ITSELF),
        ),
        of(
            "an entry that asks somebody else",
            policys(&|it| it["clientConfig"]["service"]["namespace"] = json!("default")),
            Refused(ASKS_ITSELF),
        ),
        of(
            "an entry that asks somebody outside",
            policys(&|it| it["clientConfig"] = json!({"url": "https://192.0.2.1/inject"})),
            Refused(""),
        ),
        of(
            "an entry about all namespaces",
            policys(&|it| it["namespaceSelector"] = json!({})),
            Refused("leaves out the namespaces in which nothing is injected"),
        ),
        patch(
            "another configuration",
            &MUTATING.replace("/active-passive", "/other"),
            json!({"webhooks": []}),
            Forbidden,
        ),
    ]
}

pub(crate) fn about_workloads() -> Vec<Attempt> {
    let entry = entry(
        "/policy/attempt",
        ("apps", "deployments"),
        &["CREATE", "UPDATE"],
    );
    let policys = |change: &dyn Fn(&mut Value)| with(&[], &entry, change);
    let of = |what, body, end| patch(what, VALIDATING, body, end);
    vec![
        of("an entry for a policy that judges", policys(&|_| ()), Done),
        of(
            "another entry that judges",
            policys(&|it| it["name"] = json!("other.active-passive.dev")),
            Refused("the webhook makes entries for policies, and no others"),
        ),
        of(
            "an entry that judges Secrets",
            policys(&|it| {
                it["rules"][0]["apiGroups"] = json!([""]);
                it["rules"][0]["resources"] = json!(["secrets"]);
            }),
            Refused("is about workloads, and nothing else"),
        ),
        of(
            "an entry that judges deletions",
            policys(&|it| it["rules"][0]["operations"] = json!(["DELETE"])),
            Refused("is about workloads, and nothing else"),
        ),
        of(
            "an entry that judges and that others wait for",
            policys(&|it| it["failurePolicy"] = json!("Fail")),
            Refused(ASKS_ITSELF),
        ),
        of(
            "an entry that judges on another path",
            policys(&|it| it["clientConfig"]["service"]["path"] = json!("/inject")),
            Refused("asks for /policy/"),
        ),
    ]
}
