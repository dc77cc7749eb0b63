//! middlendian/leader-labeler, as its README says, and as its release v0.3 does.

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::journal::{Entries, Kind};
use super::stage::{SETTLED_MS, Stage, holder, is_ready, label, ready_pods, text, with_our_image};
use crate::context::{Case, Context, eventually};

const MANIFEST: &str = include_str!("leader_labeler.yaml");
const IMAGE: &str = "ghcr.io/middlendian/leader-labeler:latest";
const CONTAINER: &str = "leader-labeler";
const ROLE: &str = "my-app/is-leader";
const PARTICIPANT: &str = "my-app/participant";
const LEASE: &str = "my-app";
const LOCK: &str = "my-app-lock";
/// How soon a label is put right, milliseconds. The README's leader does so every 5 s.
const RECONCILED_MS: u64 = 5_000;
/// How soon after a release another pod leads, milliseconds. The seed polls.
const MOVED_MS: u64 = 4_400;
/// How long a deletion may take to be seen everywhere, milliseconds.
const SEEN_MS: u64 = 10_000;
/// How long a leader without a peer is looked at after SIGTERM, milliseconds: two renewals.
const LINGERS_MS: u64 = 12_000;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "seeds: leader_labeler_1_default_keys",
        run: |context| Box::pin(default_keys(context)),
    },
    Case {
        name: "seeds: leader_labeler_2_unready_pod_takes_no_part",
        run: |context| Box::pin(unready(context)),
    },
    Case {
        name: "seeds: leader_labeler_3_one_true_and_the_others_false",
        run: |context| Box::pin(one_leader(context)),
    },
    Case {
        name: "seeds: leader_labeler_4_edited_label_is_put_right",
        run: |context| Box::pin(edited_label(context)),
    },
    Case {
        name: "seeds: leader_labeler_5_leader_without_peer_goes_on",
        run: |context| Box::pin(no_peer(context)),
    },
    Case {
        name: "seeds: leader_labeler_6_participant_gone_then_released_then_led",
        run: |context| Box::pin(with_peer(context)),
    },
    Case {
        name: "seeds: leader_labeler_7_old_leader_ends_as_none",
        run: |context| Box::pin(old_leader(context)),
    },
    Case {
        name: "seeds: leader_labeler_8_missing_right_is_named",
        run: |context| Box::pin(missing_right(context)),
    },
    Case {
        name: "seeds: leader_labeler_fixed_unready_participant_is_no_successor",
        run: |context| Box::pin(unready_peer(context)),
    },
];

fn manifest() -> Result<String> {
    with_our_image(MANIFEST, IMAGE)
}

/// With the flags of the release v0.3.
fn manifest_of_release() -> Result<String> {
    let (manifest, flag) = (manifest()?, "        - --election-name=my-app\n");
    ensure!(manifest.contains(flag), "the manifest has no flag");
    let more =
        format!("{flag}        - --pod-name=$(POD_NAME)\n        - --timeout-deadline=10s\n");
    Ok(manifest.replace(flag, &more))
}

async fn settled<'a>(context: &'a Context<'a>, manifest: &str) -> Result<(Stage<'a>, String)> {
    let mut stage = Stage::open(context, manifest).await?;
    let leader = stage
        .until("one pod of two leads", SETTLED_MS, |entries| {
            ready_pods(entries, 2)?;
            the_leader(entries)
        })
        .await?;
    Ok((stage, leader))
}

/// The holder, where it alone is labelled as the leader and each other pod as none.
fn the_leader(entries: &Entries) -> Option<String> {
    let leases = entries.now(Kind::Lease);
    let leader = holder(leases.values().next()?);
    let pods = entries.now(Kind::Pod);
    let as_expected = |(name, pod): (&&str, &&Value)| {
        let expected = if *name == leader { "true" } else { "false" };
        label(pod, ROLE) == Some(expected)
    };
    (pods.contains_key(leader) && pods.iter().all(as_expected)).then(|| leader.to_owned())
}

async fn default_keys(context: &Context<'_>) -> Result<()> {
    let (stage, leader) = settled(context, &manifest()?).await?;
    let entries = stage.journal.entries();
    for (name, pod) in entries.now(Kind::Pod) {
        ensure!(
            label(pod, PARTICIPANT) == Some("true"),
            "{name} takes no part"
        );
        let keys = pod["metadata"].to_string();
        ensure!(!keys.contains("active-passive.dev/"), "{name}: {keys}");
    }
    let leases = entries.now(Kind::Lease);
    let names: Vec<&str> = leases.keys().copied().collect();
    ensure!(names == [LEASE], "{names:?}");
    ensure!(holder(leases[LEASE]) == leader, "{}", leases[LEASE]);
    let fenced = label(leases[LEASE], "active-passive.dev/lease");
    ensure!(fenced.is_none(), "it would lock the seed's own out");
    Ok(())
}

async fn unready(context: &Context<'_>) -> Result<()> {
    let manifest = manifest()?;
    let probe = "            path: /healthz\n            port: 8080\n";
    ensure!(manifest.contains(probe), "the manifest has no probe");
    let closed = manifest.replace(
        probe,
        "            path: /healthz\n            port: 8081\n",
    );
    let mut stage = Stage::open(context, &closed).await?;
    let runs = |pod: &Value| text(pod, "/status/phase") == Some("Running");
    stage
        .until("both pods run", SETTLED_MS, |entries| {
            let pods = entries.now(Kind::Pod);
            (pods.len() == 2 && pods.values().all(|pod| runs(pod))).then_some(())
        })
        .await?;
    let took_part = stage.journal.until(SEEN_MS, |entries| {
        let labelled = |pod: &&Value| label(pod, PARTICIPANT).is_some();
        let pods = entries.now(Kind::Pod);
        (pods.values().any(labelled) || !entries.now(Kind::Lease).is_empty()).then_some(())
    });
    ensure!(
        took_part.await.is_none(),
        "a pod that is not ready takes part"
    );
    // As soon as they are ready, they do.
    let args = ["--namespace", &context.namespace, "apply", "-f", "-"];
    context.cluster.kubectl_with_input(&args, &manifest).await?;
    let led = |entries: &Entries| entries.now(Kind::Lease).values().next().map(|_| ());
    stage.until("one leads", SETTLED_MS, led).await
}

async fn one_leader(context: &Context<'_>) -> Result<()> {
    let (mut stage, _) = settled(context, &manifest()?).await?;
    context
        .kubectl(&["scale", "deployment/my-app", "--replicas=3"])
        .await?;
    let joined_ms = stage
        .until("a third pod takes part", SETTLED_MS, |entries| {
            let pods = ready_pods(entries, 3)?;
            let takes_part = |pod: &Value| label(pod, PARTICIPANT) == Some("true");
            let joined = |pod: &str| {
                let entry = entries.first((Kind::Pod, pod), 0, takes_part)?;
                Some(entry.at_ms)
            };
            pods.into_iter()
                .map(joined)
                .collect::<Option<Vec<_>>>()?
                .into_iter()
                .max()
        })
        .await?;
    stage
        .until("the third pod is no leader", RECONCILED_MS, |entries| {
            the_leader(entries)?;
            let last = entries.iter().next_back()?;
            (last.at_ms <= joined_ms + RECONCILED_MS).then_some(())
        })
        .await
}

async fn edited_label(context: &Context<'_>) -> Result<()> {
    let (mut stage, leader) = settled(context, &manifest()?).await?;
    let other = {
        let entries = stage.journal.entries();
        let pods = ready_pods(&entries, 2).context("two pods")?;
        let other = pods.into_iter().find(|pod| *pod != leader);
        other.context("another pod")?.to_owned()
    };
    let last = stage
        .journal
        .entries()
        .iter()
        .next_back()
        .map(|it| it.version);
    let before = last.context("an empty journal")?;
    stage.label(&leader, &format!("{ROLE}=false")).await?;
    stage.label(&other, &format!("{ROLE}=true")).await?;
    stage
        .until("both labels are put right", RECONCILED_MS, |entries| {
            let led = |pod: &Value| label(pod, ROLE) == Some("true");
            entries.first((Kind::Pod, &leader), before, |pod| !led(pod))?;
            entries.first((Kind::Pod, &other), before, led)?;
            the_leader(entries).filter(|now| *now == leader)
        })
        .await
        .map(drop)
}

async fn no_peer(context: &Context<'_>) -> Result<()> {
    let one = manifest()?.replace("replicas: 2", "replicas: 1");
    let mut stage = Stage::open(context, &one).await?;
    let leader = stage
        .until("the only pod leads", SETTLED_MS, |entries| {
            ready_pods(entries, 1)?;
            the_leader(entries)
        })
        .await?;
    // The sidecar alone is told to stop: a deleted pod is replaced, and the replacement is a peer.
    let uid = stage.uid(&leader)?;
    let cluster = context.cluster;
    cluster.signal(&uid, CONTAINER, Signal::SIGTERM).await?;
    let gone = |pod: &Value| label(pod, PARTICIPANT).is_none();
    let left = stage
        .until("it takes no part any more", SEEN_MS, |entries| {
            let before = entries.first((Kind::Pod, &leader), 0, |pod| !gone(pod))?;
            let left = entries.first((Kind::Pod, &leader), before.version, gone)?;
            Some(left.version)
        })
        .await?;
    // It goes on renewing, as the leader.
    let released = stage.journal.until(LINGERS_MS, |entries| {
        let other = |lease: &Value| holder(lease) != leader;
        let unlabelled = |pod: &Value| label(pod, ROLE) != Some("true");
        let released = entries.first((Kind::Lease, LEASE), left, other);
        let released = released.or_else(|| entries.first((Kind::Pod, &leader), left, unlabelled));
        released.map(|entry| entry.at_ms)
    });
    ensure!(
        released.await.is_none(),
        "it stopped leading though nobody follows"
    );
    let renewals = stage.journal.entries();
    let renewals = renewals.iter().filter(|entry| entry.kind == Kind::Lease);
    let renewals = renewals.filter(|entry| entry.version > left).count();
    ensure!(renewals >= 2, "only {renewals} renewals");
    // Until a peer is there.
    context
        .kubectl(&["scale", "deployment/my-app", "--replicas=2"])
        .await?;
    // Who takes it then is open: the kubelet starts the sidecar that has ended again, as a candidate.
    let freed = |entries: &Entries| {
        let other = |lease: &Value| holder(lease) != leader;
        entries.first((Kind::Lease, LEASE), left, other).map(|_| ())
    };
    stage.until("the Lease is freed", SETTLED_MS, freed).await
}

/// Deletes the leader; returns when its label of a participant went, when it was released, and who
/// led then, as versions and milliseconds.
async fn delete_leader(stage: &mut Stage<'_>, leader: &str) -> Result<[(u64, u64); 3]> {
    stage.delete(leader).await?;
    stage
        .until("another pod leads", SEEN_MS + MOVED_MS, |entries| {
            let takes_part = |pod: &Value| label(pod, PARTICIPANT).is_some();
            let joined = entries.first((Kind::Pod, leader), 0, takes_part)?;
            let left = |pod: &Value| !takes_part(pod);
            let left = entries.first((Kind::Pod, leader), joined.version, left)?;
            let freed = |lease: &Value| holder(lease).is_empty();
            let freed = entries.first((Kind::Lease, LEASE), joined.version, freed)?;
            let led = entries.iter().find(|entry| {
                let labelled = |pod: &Value| label(pod, ROLE) == Some("true");
                entry.kind == Kind::Pod
                    && entry.name != leader
                    && entry.version > freed.version
                    && entry.object.as_ref().is_some_and(labelled)
            })?;
            Some([left, freed, led].map(|entry| (entry.version, entry.at_ms)))
        })
        .await
}

async fn with_peer(context: &Context<'_>) -> Result<()> {
    let (mut stage, leader) = settled(context, &manifest()?).await?;
    let [left, freed, led] = delete_leader(&mut stage, &leader).await?;
    ensure!(left.0 < freed.0, "released at {freed:?}, left at {left:?}");
    let moved_ms = led.1.saturating_sub(freed.1);
    println!("leader-labeler: led {moved_ms} ms after the release");
    ensure!(moved_ms <= MOVED_MS, "{moved_ms} ms");
    Ok(())
}

async fn old_leader(context: &Context<'_>) -> Result<()> {
    let (mut stage, leader) = settled(context, &manifest()?).await?;
    delete_leader(&mut stage, &leader).await?;
    stage
        .until("the old leader is none any more", SEEN_MS, |entries| {
            let led = |pod: &Value| label(pod, ROLE) == Some("true");
            let was = entries.first((Kind::Pod, &leader), 0, led)?;
            entries
                .first((Kind::Pod, &leader), was.version, |pod| !led(pod))
                .map(|_| ())
        })
        .await
}

/// The seed counts any pod that carries the label of a participant, and releases to nobody.
async fn unready_peer(context: &Context<'_>) -> Result<()> {
    let (mut stage, leader) = settled(context, &manifest()?).await?;
    let entries = stage.journal.entries();
    let pods = ready_pods(&entries, 2).context("two pods")?;
    let other = pods.into_iter().find(|pod| *pod != leader);
    let other = other.context("another pod")?.to_owned();
    let uid = stage.uid(&other)?;
    let cluster = context.cluster;
    cluster.signal(&uid, "app", Signal::SIGSTOP).await?;
    let released = released_beside(&mut stage, &leader, &other).await;
    cluster.signal(&uid, "app", Signal::SIGCONT).await?;
    let (released, next) = released?;
    ensure!(next != other, "{other} follows, and is not ready");
    let entries = stage.journal.entries();
    let there = entries.at(Kind::Pod, released);
    let could_follow = |(name, pod): &(&&str, &&Value)| {
        **name != leader && is_ready(pod) && label(pod, PARTICIPANT) == Some("true")
    };
    ensure!(
        there.iter().any(|pod| could_follow(&pod)),
        "released at {released} while nobody could follow"
    );
    Ok(())
}

/// Deletes the leader once the other pod is not ready; returns the version at which the Lease was freed,
/// and who holds it next.
async fn released_beside(
    stage: &mut Stage<'_>,
    leader: &str,
    other: &str,
) -> Result<(u64, String)> {
    let unready = |entries: &Entries| {
        let pods = entries.now(Kind::Pod);
        (!is_ready(pods.get(other)?)).then_some(())
    };
    stage
        .until("the other pod is not ready", SEEN_MS, unready)
        .await?;
    stage.delete(leader).await?;
    stage
        .until("a third pod leads", SETTLED_MS, |entries| {
            let deleted = |pod: &Value| text(pod, "/metadata/deletionTimestamp").is_some();
            let deleted = entries.first((Kind::Pod, leader), 0, deleted)?;
            let freed = |lease: &Value| holder(lease).is_empty();
            let freed = entries.first((Kind::Lease, LEASE), deleted.version, freed)?;
            let held = |lease: &Value| !holder(lease).is_empty();
            let held = entries.first((Kind::Lease, LEASE), freed.version, held)?;
            Some((freed.version, holder(held.object.as_ref()?).to_owned()))
        })
        .await
}

async fn missing_right(context: &Context<'_>) -> Result<()> {
    let manifest = manifest_of_release()?;
    let verbs = "verbs: [\"get\", \"list\", \"watch\", \"patch\"]";
    ensure!(manifest.contains(verbs), "the manifest has no rights");
    let poor = manifest.replace(verbs, "verbs: [\"get\", \"list\"]");
    let mut stage = Stage::open(context, &poor).await?;
    let ended = |pod: &Value| {
        let statuses = pod.pointer("/status/containerStatuses")?.as_array()?;
        let status = statuses.iter().find(|it| it["name"] == CONTAINER)?;
        let states = [
            "/state/terminated/exitCode",
            "/lastState/terminated/exitCode",
        ];
        states
            .iter()
            .find_map(|state| status.pointer(state)?.as_i64())
    };
    let (pod, code) = stage
        .until("the sidecar ends", SETTLED_MS, |entries| {
            let pods = entries.now(Kind::Pod);
            pods.iter()
                .find_map(|(name, pod)| Some(((*name).to_owned(), ended(pod)?)))
        })
        .await?;
    ensure!(code == 1, "it exits with {code}");
    // The kubelet may have started it again meanwhile: that one says so as well, a moment later.
    eventually("the right is named", SEEN_MS, async || {
        let log = context.kubectl(&["logs", &pod, "-c", CONTAINER]).await?;
        let named = log.contains("patch pods");
        Ok(if named { Ok(()) } else { Err(log) })
    })
    .await?;
    // With the right, which needs no watch, it leads by the release's Lease; one on that Lease alone, by its
    // name, is enough. The seed asks about the Lease of before the release.
    let leases = "  verbs: [\"get\", \"create\", \"update\"]\n";
    ensure!(manifest.contains(leases), "the manifest has no rights");
    let named = format!(
        "  verbs: [\"create\"]\n- apiGroups: [\"coordination.k8s.io\"]\n  resources: [\"leases\"]\n  \
         resourceNames: [\"{LOCK}\"]\n  verbs: [\"get\", \"update\"]\n"
    );
    let without_watch = manifest
        .replace(verbs, "verbs: [\"get\", \"list\", \"patch\"]")
        .replace(leases, &named);
    let args = ["--namespace", &context.namespace, "apply", "-f", "-"];
    context
        .cluster
        .kubectl_with_input(&args, &without_watch)
        .await?;
    let led = |entries: &Entries| {
        let leases = entries.now(Kind::Lease);
        let leader = holder(leases.get(LOCK)?);
        let pods = entries.now(Kind::Pod);
        (label(pods.get(leader)?, ROLE) == Some("true")).then_some(())
    };
    stage.until("one leads", SETTLED_MS, led).await
}
