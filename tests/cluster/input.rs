//! What a user is told who writes something that cannot work: word for word, as kubectl prints it
//! and as the ReplicaSet's event says.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};
use tests::cluster::images::Kind;
use tokio::time::{Duration, Instant, sleep};

use crate::context::{Case, Context};

/// What kubectl puts before the webhook's own words.
const DENIED: &str = "admission webhook \"inject.active-passive.dev\" denied the request: ";
const EVENT_DEADLINE_MS: u64 = 15_000;
const EVENT_POLL_MS: u64 = 100;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "input: bad pods are denied with the cure",
        run: |context| Box::pin(denied(context)),
    },
    Case {
        name: "input: doubtful pods are taken with a warning",
        run: |context| Box::pin(warned(context)),
    },
    Case {
        name: "input: the event on the ReplicaSet says what is wrong with its pods",
        run: |context| Box::pin(event_on_replica_set(context)),
    },
];

/// A bare pod that asks for the sidecar, with more annotations and other containers.
fn pod(name: &str, annotations: &[(&str, &str)], more: &Value) -> Value {
    let mut all = serde_json::Map::new();
    all.insert("active-passive.dev/inject".to_owned(), json!("true"));
    for (key, value) in annotations {
        all.insert(format!("active-passive.dev/{key}"), json!(value));
    }
    let app = json!({"name": "app", "image": Kind::ExampleApp.name()});
    let mut containers = vec![app];
    containers.extend(more["containers"].as_array().cloned().unwrap_or_default());
    let mut spec = json!({"containers": containers});
    if let Some(grace_s) = more.get("graceS") {
        spec["terminationGracePeriodSeconds"] = grace_s.clone();
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": all},
        "spec": spec,
    })
}

async fn denied(context: &Context<'_>) -> Result<()> {
    let taken = json!({"containers": [{"name": "active-passive", "image": "mine:1"}]});
    let cases = [
        (
            pod(
                "inject-value",
                &[("inject", "yes"), ("group", "a")],
                &Value::Null,
            ),
            "active-passive.dev/inject: \"yes\" is not allowed: write \"true\" or \"false\"",
        ),
        (
            pod(
                "values",
                &[
                    ("group", "a"),
                    ("lease-duration", "5"),
                    ("handover", "quick"),
                ],
                &Value::Null,
            ),
            "active-passive.dev/lease-duration: \"5\" is no duration: write it like 15s, 1m30s or \
             500ms; active-passive.dev/handover: \"quick\" is not allowed: write \"seamless\" or \
             \"exclusive\"",
        ),
        (
            pod("nobody", &[], &Value::Null),
            "this pod has no controller to name its election group after: add the annotation \
             active-passive.dev/group: <name>",
        ),
        (
            pod("taken", &[("group", "a")], &taken),
            "container \"active-passive\" is not the sidecar, which needs this name: rename it",
        ),
    ];
    for (object, expected) in cases {
        let name = object["metadata"]["name"].clone();
        let answer = context
            .kubectl_answer(&["apply", "-f", "-"], &object.to_string())
            .await?;
        ensure!(!answer.succeeded, "{name} was admitted");
        let told = answer
            .stderr
            .split_once(DENIED)
            .map(|(_, words)| words.trim());
        ensure!(
            told == Some(expected),
            "{name}: kubectl printed {:?}",
            answer.stderr
        );
    }
    Ok(())
}

async fn warned(context: &Context<'_>) -> Result<()> {
    let cases = [
        (
            pod(
                "unknown-key",
                &[("group", "b"), ("lease-duraton", "5s")],
                &Value::Null,
            ),
            "Warning: active-passive.dev/lease-duraton is unknown and ignored: did you mean \
             active-passive.dev/lease-duration?",
        ),
        (
            pod("no-grace", &[("group", "b")], &json!({"graceS": 0})),
            "Warning: terminationGracePeriodSeconds is 0: it stays, and leaves no time to drain; a \
             planned move of the role may lose requests",
        ),
    ];
    for (object, expected) in cases {
        let answer = context
            .kubectl_answer(&["apply", "-f", "-"], &object.to_string())
            .await?;
        ensure!(answer.succeeded, "{}", answer.stderr);
        ensure!(
            answer.stderr.trim() == expected,
            "kubectl printed {:?}",
            answer.stderr
        );
    }
    Ok(())
}

async fn event_on_replica_set(context: &Context<'_>) -> Result<()> {
    let labels = json!({"app": "bad"});
    let mut template = pod("unused", &[("priority", "high")], &Value::Null);
    template["metadata"] = json!({
        "labels": labels,
        "annotations": template["metadata"]["annotations"],
    });
    context
        .apply(&json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "bad"},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": template["metadata"], "spec": template["spec"]},
            },
        }))
        .await?;
    let expected = format!(
        "{DENIED}active-passive.dev/priority: \"high\" is no whole number: write it like 0, 10 or -1"
    );
    let events = ListParams::default().fields("reason=FailedCreate");
    let start = Instant::now();
    loop {
        let found = context.api::<Event>().list(&events).await?;
        let messages: Vec<String> = found
            .items
            .into_iter()
            .filter(|event| event.involved_object.kind.as_deref() == Some("ReplicaSet"))
            .filter_map(|event| event.message)
            .collect();
        if messages.iter().any(|message| message.ends_with(&expected)) {
            return Ok(());
        }
        let waited = start.elapsed() > Duration::from_millis(EVENT_DEADLINE_MS);
        ensure!(!waited, "the events say {messages:#?}");
        sleep(Duration::from_millis(EVENT_POLL_MS)).await;
    }
}
