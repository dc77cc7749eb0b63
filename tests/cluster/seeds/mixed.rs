//! Pods of another system and of ours in one election: a rolling update from one to the other, and back.
//!
//! The other system is `tests/peer` with apsc's rules: client-go's election, an identity that is the
//! pod's name, and the label taken off before the Lease is released.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::cluster::images::{self, Kind as Image};
use tests::scene;

use super::journal::{Entries, Entry, Kind};
use super::stage::{SETTLED_MS, Stage, holder, label, ready_pods};
use crate::context::{Case, Context};

const NAME: &str = "mixed";
const LEASE: &str = "mixed-server";
const KEY: &str = "example.com/state";
const REPLICAS: usize = 3;
/// How long a rolling update may take, as kubectl takes it.
const ROLLOUT: &str = "--timeout=120s";

pub(crate) const CASES: &[Case] = &[Case {
    name: "seeds: mixed_fleets_by_another_image_and_by_a_profile_and_back",
    run: |context| Box::pin(updates(context)),
}];

/// What all pods are, one after the other.
const FLEETS: [Fleet; 5] = [
    Fleet::Theirs,
    Fleet::Image,
    Fleet::Theirs,
    Fleet::Profile,
    Fleet::Theirs,
];

/// Of what kind all pods are.
#[derive(Debug, Clone, Copy)]
enum Fleet {
    /// The other system.
    Theirs,
    /// Ours, with the other image changed and nothing else.
    Image,
    /// Ours, injected.
    Profile,
}

impl Fleet {
    fn deployment(self) -> Value {
        let labels = json!({
            "app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "server",
        });
        let mut annotations = json!({});
        let mut containers = vec![json!({
            "name": "server",
            "image": Image::ExampleApp.name(),
            "env": [field("POD_NAME", "metadata.name")],
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
        })];
        match self {
            Self::Theirs => containers.push(elector(&Image::Peer)),
            Self::Image => containers.push(elector(&Image::Sidecar)),
            Self::Profile => {
                annotations = json!({
                    "active-passive.dev/inject": "true",
                    "active-passive.dev/profile": "apsc",
                    "active-passive.dev/role-label": KEY,
                });
            }
        }
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME},
            "spec": {
                "replicas": REPLICAS,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": annotations},
                    "spec": {"serviceAccountName": NAME, "containers": containers},
                },
            },
        })
    }
}

/// The same container for both: apsc's variables, and those by which the peer is told what it does.
fn elector(image: &Image) -> Value {
    let text = |name: &str, value: &str| json!({"name": name, "value": value});
    json!({
        "name": "apsc",
        "image": image.name(),
        "env": [
            field("POD_NAME", "metadata.name"),
            field("POD_NAMESPACE", "metadata.namespace"),
            text("LABEL_KEY", KEY),
            text("GROUP", LEASE),
            text("SELECTOR", &format!("app.kubernetes.io/name={NAME}")),
            text("ACTIVE_KEY", KEY),
            text("ACTIVE_VALUE", "active"),
            text("STRIP_OTHERS", "false"),
            text("STRIP_FIRST", "true"),
        ],
    })
}

fn field(name: &str, path: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}})
}

/// The rights of apsc's README, and the one to patch pods, which the peer needs.
fn rights() -> Vec<Value> {
    let metadata = json!({"name": NAME});
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": [
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"]},
                {"apiGroups": [""], "resources": ["pods"],
                    "verbs": ["get", "list", "update", "patch"]},
            ],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", "name": NAME}],
        }),
    ]
}

async fn updates(context: &Context<'_>) -> Result<()> {
    let cluster = context.cluster;
    scene::load_images(cluster, &images::build(&[Image::Peer]).await?).await?;
    let [first, others @ ..] = FLEETS;
    let objects = rights().into_iter().chain([first.deployment()]);
    let manifest: Vec<String> = objects.map(|object| object.to_string()).collect();
    let mut stage = Stage::open(context, &manifest.join("\n---\n")).await?;
    let mut before = settled(&mut stage, 0).await?;
    for fleet in others {
        context.apply(&fleet.deployment()).await?;
        let rollout = ["rollout", "status", &format!("deployment/{NAME}"), ROLLOUT];
        context.kubectl(&rollout).await?;
        let after = settled(&mut stage, before).await?;
        let moves = judge(&stage.journal.entries(), before, after)?;
        println!("mixed: {moves} moves while {REPLICAS} pods became {fleet:?}");
        ensure!(
            (1..=REPLICAS + 1).contains(&moves),
            "{moves} moves to {fleet:?}"
        );
        before = after;
    }
    Ok(())
}

/// The version at which so many pods are ready, none more is there, and one of them leads and is
/// labelled.
async fn settled(stage: &mut Stage<'_>, after: u64) -> Result<u64> {
    let found = |entries: &Entries| {
        let names = ready_pods(entries, REPLICAS)?;
        let pods = entries.now(Kind::Pod);
        let leases = entries.now(Kind::Lease);
        let leader = holder(leases.get(LEASE)?);
        let is_labelled = |name: &&&str| label(pods[**name], KEY).is_some();
        let labelled: Vec<&&str> = names.iter().filter(is_labelled).collect();
        let version = entries.iter().next_back()?.version;
        (labelled == [&leader] && version > after).then_some(version)
    };
    stage
        .until("one pod of three leads", SETTLED_MS, found)
        .await
}

/// How often the role moved. Nobody's Lease was taken from him, and never did two carry the label; but
/// for two injected pods: a seamless move names its successor, and labels it first.
fn judge(entries: &Entries, before: u64, after: u64) -> Result<usize> {
    let here = |entry: &&Entry| (before..=after).contains(&entry.version);
    for entry in entries.iter().filter(here) {
        let pods = entries.at(Kind::Pod, entry.version);
        let labelled = pods.iter().filter(|(_, pod)| label(pod, KEY).is_some());
        let labelled: Vec<_> = labelled.collect();
        let names: Vec<_> = labelled.iter().map(|(name, _)| name).collect();
        let is_seamless = labelled.len() == 2 && labelled.iter().all(|(_, pod)| is_injected(pod));
        ensure!(
            labelled.len() <= 1 || is_seamless,
            "{names:?} are labelled at {}",
            entry.version
        );
    }
    let mut moves = 0;
    let mut last: Option<(String, bool)> = None;
    for entry in entries
        .iter()
        .filter(|it| it.kind == Kind::Lease && it.version <= after)
    {
        let Some(lease) = &entry.object else { continue };
        ensure!(lease["metadata"]["name"] == LEASE, "another Lease: {lease}");
        let fenced = label(lease, "active-passive.dev/lease");
        ensure!(fenced != Some("true"), "{lease}");
        let now = holder(lease);
        ensure!(!now.contains('_'), "{now} is not the name of a pod");
        if now.is_empty() {
            last = last.map(|(name, _)| (name, true));
            continue;
        }
        if let Some((name, is_free)) = &last
            && name != now
        {
            let pods = entries.at(Kind::Pod, entry.version);
            let injected = |name: &str| pods.get(name).is_some_and(|pod| is_injected(pod));
            ensure!(
                *is_free || (injected(name) && injected(now)),
                "{now} took the Lease that {name} held at {}",
                entry.version
            );
            moves += usize::from(entry.version > before);
        }
        last = Some((now.to_owned(), false));
    }
    Ok(moves)
}

fn is_injected(pod: &Value) -> bool {
    pod.pointer("/spec/initContainers/0/name") == Some(&json!("active-passive"))
}
