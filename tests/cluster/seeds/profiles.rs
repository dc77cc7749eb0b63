//! Injected sidecars with the names of other systems, beside the fencing policies.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tests::cluster::AuditEvent;
use tests::cluster::images;

use super::journal::{Entries, Kind};
use super::stage::{SETTLED_MS, Stage, holder, label, ready_pods};
use crate::context::{Case, Context};

/// How soon after a deletion another pod is active, milliseconds.
const MOVED_MS: u64 = 10_000;
/// How long two renewals may take, milliseconds.
const RENEWED_MS: u64 = 15_000;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "seeds: profile_apsc_beside_fencing",
        run: |context| {
            Box::pin(profile(
                context,
                &Profile {
                    name: "apsc",
                    lease: "shop-server",
                    key: "apsc.knoppiks.de/state",
                    active: "active",
                    passive: None,
                },
            ))
        },
    },
    Case {
        name: "seeds: profile_service_leader_election_beside_fencing",
        run: |context| {
            Box::pin(profile(
                context,
                &Profile {
                    name: "service-leader-election",
                    lease: "web",
                    key: "active-passive.dev/role",
                    active: "active",
                    passive: Some("passive"),
                },
            ))
        },
    },
    Case {
        name: "seeds: profile_leader_labeler_beside_fencing",
        run: |context| {
            Box::pin(profile(
                context,
                &Profile {
                    name: "leader-labeler",
                    lease: "web",
                    key: "web/is-leader",
                    active: "true",
                    passive: Some("false"),
                },
            ))
        },
    },
    Case {
        name: "seeds: profile_leader_labeler_v0_3_beside_fencing",
        run: |context| {
            Box::pin(profile(
                context,
                &Profile {
                    name: "leader-labeler-v0.3",
                    lease: "web-lock",
                    key: "web/is-leader",
                    active: "true",
                    passive: Some("false"),
                },
            ))
        },
    },
    Case {
        name: "seeds: profile_leader_elector_beside_fencing",
        run: |context| {
            Box::pin(profile(
                context,
                &Profile {
                    name: "leader-elector",
                    lease: "web",
                    key: "role",
                    active: "leader",
                    passive: Some("follower"),
                },
            ))
        },
    },
];

/// What a profile is expected to make of Deployment `web`.
struct Profile {
    name: &'static str,
    lease: &'static str,
    key: &'static str,
    active: &'static str,
    passive: Option<&'static str>,
}

impl Profile {
    fn manifest(&self) -> Value {
        let labels = json!({
            "app.kubernetes.io/name": "shop", "app.kubernetes.io/component": "server",
        });
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {
                        "labels": labels,
                        "annotations": {
                            "active-passive.dev/inject": "true",
                            "active-passive.dev/profile": self.name,
                        },
                    },
                    "spec": {"containers": [{
                        "name": "app",
                        "image": images::Kind::ExampleApp.name(),
                        "env": [{
                            "name": "POD_NAME",
                            "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                        }],
                        "readinessProbe": {
                            "httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1,
                        },
                    }]},
                },
            },
        })
    }

    /// The active pod, once all is as it should be.
    fn active(&self, entries: &Entries) -> Option<String> {
        let leases = entries.now(Kind::Lease);
        let active = holder(leases.get(self.lease)?);
        let pods = entries.now(Kind::Pod);
        let right = |(name, pod): (&&str, &&Value)| {
            let expected = if *name == active {
                Some(self.active)
            } else {
                self.passive
            };
            label(pod, self.key) == expected
        };
        (pods.contains_key(active) && pods.iter().all(right)).then(|| active.to_owned())
    }
}

async fn profile(context: &Context<'_>, profile: &Profile) -> Result<()> {
    let mut stage = Stage::open(context, &profile.manifest().to_string()).await?;
    let old = stage
        .until("one pod of two is active", SETTLED_MS, |entries| {
            ready_pods(entries, 2)?;
            profile.active(entries)
        })
        .await?;
    let entries = stage.journal.entries();
    let leases = entries.now(Kind::Lease);
    let names: Vec<&str> = leases.keys().copied().collect();
    ensure!(names == [profile.lease], "{names:?}");
    let fenced = label(leases[profile.lease], "active-passive.dev/lease");
    ensure!(fenced == Some("false"), "{}", leases[profile.lease]);
    nobody_polls(&mut stage).await?;
    stage.delete(&old).await?;
    stage
        .until("another pod is active", MOVED_MS, |entries| {
            let leases = entries.now(Kind::Lease);
            let now = holder(leases.get(profile.lease)?);
            let pods = entries.now(Kind::Pod);
            (now != old && label(pods.get(now)?, profile.key) == Some(profile.active)).then_some(())
        })
        .await
}

/// A group without an annotated Service may not list Services, and asks every 30 s whether it may.
fn is_look_for_services(event: &AuditEvent) -> bool {
    let object = event.object_ref.as_ref();
    let status = event.response_status.as_ref();
    object.is_some_and(|it| it.resource == "services") && status.is_some_and(|it| it.code == 403)
}

/// From one renewal to the one after the next, nothing else is written, and nothing is read.
async fn nobody_polls(stage: &mut Stage<'_>) -> Result<()> {
    let versions = |entries: &Entries| {
        let leases = entries.iter().filter(|entry| entry.kind == Kind::Lease);
        leases.count()
    };
    let settled = versions(&stage.journal.entries());
    let renewed = |times: usize| {
        move |entries: &Entries| (versions(entries) >= settled + times).then_some(())
    };
    // Watches that have just begun are behind it then.
    stage.until("a renewal", RENEWED_MS, renewed(1)).await?;
    let mut audit = stage.context.cluster.audit();
    audit.skip()?;
    stage.until("two more", RENEWED_MS, renewed(3)).await?;
    let namespace = &stage.context.namespace;
    let accounts = format!("system:serviceaccount:{namespace}:active-passive-group-");
    let events = audit.read()?.into_iter();
    let asked: Vec<AuditEvent> = events
        .filter(|event| event.user.username.starts_with(&accounts))
        .filter(|event| !["update", "watch"].contains(&event.verb.as_str()))
        .filter(|event| !is_look_for_services(event))
        .collect();
    ensure!(asked.is_empty(), "asked at rest: {asked:#?}");
    Ok(())
}
