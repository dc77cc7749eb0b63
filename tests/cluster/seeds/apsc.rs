//! knoppiks/apsc.

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::journal::{Entries, Entry, Kind};
use super::refusals::{Refusal, end_with};
use super::stage::{SETTLED_MS, Stage, holder, label, ready_pods, text, with_our_image};
use crate::context::{Case, Context};

const MANIFEST: &str = include_str!("apsc.yaml");
const IMAGE: &str = "knoppiks/apsc";
const CONTAINER: &str = "apsc";
/// As the README's Deployment sets it.
const KEY: &str = "example.com/state";
const DEFAULT_KEY: &str = "apsc.knoppiks.de/state";
const LEASE: &str = "apsc-test-server";
/// How soon after a release the other pod is labelled, milliseconds. The seed polls: 4,400.
const MOVED_MS: u64 = 4_400;
/// How long a lease and the move after it may take, milliseconds.
const EXPIRED_MS: u64 = 25_000;
/// How soon a label that somebody has edited is put right, milliseconds.
const REPAIRED_MS: u64 = 6_000;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "seeds: apsc_1_one_active_and_the_other_without_the_key",
        run: |context| Box::pin(one_active(context)),
    },
    Case {
        name: "seeds: apsc_2_lease_named_after_two_labels",
        run: |context| Box::pin(lease_name(context)),
    },
    Case {
        name: "seeds: apsc_3_key_removed_before_release",
        run: |context| Box::pin(removed_before_release(context)),
    },
    Case {
        name: "seeds: apsc_4_other_pod_labelled_after_release",
        run: |context| Box::pin(other_labelled(context)),
    },
    Case {
        name: "seeds: apsc_5_missing_env_exits_255",
        run: |context| Box::pin(missing_env(context)),
    },
    Case {
        name: "seeds: apsc_6_default_key",
        run: |context| Box::pin(default_key(context)),
    },
    Case {
        name: "seeds: apsc_fixed_one_label_after_a_frozen_leader",
        run: |context| Box::pin(frozen_leader(context)),
    },
    Case {
        name: "seeds: apsc_fixed_edited_label_is_put_right",
        run: |context| Box::pin(edited_label(context)),
    },
];

/// The README's manifest with our image, once one of two pods is active.
async fn settled<'a>(context: &'a Context<'a>) -> Result<(Stage<'a>, String)> {
    let mut stage = Stage::open(context, &with_our_image(MANIFEST, IMAGE)?).await?;
    let active = settles(&mut stage, KEY).await?;
    Ok((stage, active))
}

async fn settles(stage: &mut Stage<'_>, key: &str) -> Result<String> {
    stage
        .until("one pod of two is active", SETTLED_MS, |entries| {
            ready_pods(entries, 2)?;
            the_active(entries, key)
        })
        .await
}

/// The pod that carries the label, if there is one and it is the holder.
fn the_active(entries: &Entries, key: &str) -> Option<String> {
    let pods = entries.now(Kind::Pod);
    let labelled = pods.iter().filter(|(_, pod)| label(pod, key).is_some());
    let labelled: Vec<&str> = labelled.map(|(name, _)| *name).collect();
    let leases = entries.now(Kind::Lease);
    let holder = leases.values().next().map(|lease| holder(lease))?;
    match labelled[..] {
        [active] if holder == active => Some(active.to_owned()),
        _ => None,
    }
}

async fn one_active(context: &Context<'_>) -> Result<()> {
    let (stage, active) = settled(context).await?;
    let entries = stage.journal.entries();
    for (name, pod) in entries.now(Kind::Pod) {
        let expected = (name == active).then_some("active");
        ensure!(label(pod, KEY) == expected, "{name}: {:?}", label(pod, KEY));
    }
    let ever = |entry: &&Entry| {
        entry
            .object
            .as_ref()
            .is_some_and(|it| label(it, KEY).is_some())
    };
    let labelled = entries.iter().filter(|entry| entry.kind == Kind::Pod);
    let others = labelled.filter(ever).filter(|entry| entry.name != active);
    ensure!(others.count() == 0, "another pod was active meanwhile");
    // What the Service selects is what answers.
    let targets = stage.led_to().await?;
    ensure!(
        targets == [active.as_str()],
        "the Service leads to {targets:?}"
    );
    Ok(())
}

async fn lease_name(context: &Context<'_>) -> Result<()> {
    let (stage, active) = settled(context).await?;
    let entries = stage.journal.entries();
    let leases = entries.now(Kind::Lease);
    let names: Vec<&str> = leases.keys().copied().collect();
    ensure!(names == [LEASE], "{names:?}");
    let lease = leases[LEASE];
    ensure!(holder(lease) == active, "{lease}");
    ensure!(lease["spec"]["leaseDurationSeconds"] == 15, "{lease}");
    // The fencing policies are on here: a Lease with their label would lock the seed's own out.
    let fenced = label(lease, "active-passive.dev/lease");
    ensure!(fenced.is_none(), "{lease}");
    for (name, pod) in entries.now(Kind::Pod) {
        let ours = pod["metadata"].to_string().contains("active-passive.dev/");
        ensure!(!ours, "{name} carries keys of ours: {}", pod["metadata"]);
    }
    Ok(())
}

/// Deletes the active pod; returns the version at which it was deleted.
async fn delete_active(stage: &mut Stage<'_>, active: &str) -> Result<u64> {
    stage.delete(active).await?;
    stage
        .until("the active pod is being deleted", MOVED_MS, |entries| {
            let deleted = |pod: &Value| text(pod, "/metadata/deletionTimestamp").is_some();
            let entry = entries.first((Kind::Pod, active), 0, deleted)?;
            Some(entry.version)
        })
        .await
}

async fn removed_before_release(context: &Context<'_>) -> Result<()> {
    let (mut stage, active) = settled(context).await?;
    let deleted = delete_active(&mut stage, &active).await?;
    let what = "the key is removed and the Lease freed";
    let (removed, freed) = stage
        .until(what, MOVED_MS, |entries| {
            let bare = |pod: &Value| label(pod, KEY).is_none();
            let removed = entries.first((Kind::Pod, &active), deleted, bare)?;
            let freed = |lease: &Value| holder(lease).is_empty();
            let freed = entries.first((Kind::Lease, LEASE), deleted, freed)?;
            Some((removed.version, freed.clone()))
        })
        .await?;
    ensure!(
        removed < freed.version,
        "removed at {removed}, freed at {}",
        freed.version
    );
    let lease = freed.object.context("the Lease is gone")?;
    ensure!(lease["spec"]["leaseDurationSeconds"] == 1, "{lease}");
    Ok(())
}

async fn other_labelled(context: &Context<'_>) -> Result<()> {
    let (mut stage, active) = settled(context).await?;
    let deleted = delete_active(&mut stage, &active).await?;
    let (freed_ms, labelled_ms) = stage
        .until("another pod is active", 2 * MOVED_MS, |entries| {
            let freed = |lease: &Value| holder(lease).is_empty();
            let freed = entries.first((Kind::Lease, LEASE), deleted, freed)?;
            let other = entries.iter().find(|entry| {
                let labelled = entry
                    .object
                    .as_ref()
                    .is_some_and(|it| label(it, KEY).is_some());
                entry.version > deleted
                    && entry.kind == Kind::Pod
                    && entry.name != active
                    && labelled
            })?;
            Some((freed.at_ms, other.at_ms))
        })
        .await?;
    let moved_ms = labelled_ms.saturating_sub(freed_ms);
    println!("apsc: labelled {moved_ms} ms after the release");
    ensure!(moved_ms <= MOVED_MS, "{moved_ms} ms");
    // Never two, at any version.
    let entries = stage.journal.entries();
    for entry in entries.iter() {
        let pods = entries.at(Kind::Pod, entry.version);
        let labelled = pods
            .values()
            .filter(|pod| label(pod, KEY).is_some())
            .count();
        ensure!(
            labelled <= 1,
            "{labelled} labelled at version {}",
            entry.version
        );
    }
    Ok(())
}

async fn missing_env(context: &Context<'_>) -> Result<()> {
    let refusals = [
        Refusal {
            pod: "no-namespace",
            env: &[("POD_NAME", "a")],
            message: "missing POD_NAMESPACE env var",
        },
        Refusal {
            pod: "no-name",
            env: &[("POD_NAMESPACE", "a")],
            message: "missing POD_NAME env var",
        },
    ];
    end_with(context, ("apsc", 255), &refusals).await
}

async fn default_key(context: &Context<'_>) -> Result<()> {
    let manifest = with_our_image(MANIFEST, IMAGE)?;
    let set = "        - name: LABEL_KEY\n          value: \"example.com/state\"\n";
    ensure!(manifest.contains(set), "the manifest does not set the key");
    // Without it nothing tells this system from others: it is named.
    let named = "        - name: ACTIVE_PASSIVE_PERSONALITY\n          value: apsc\n";
    let mut stage = Stage::open(context, &manifest.replace(set, named)).await?;
    settles(&mut stage, DEFAULT_KEY).await.map(drop)
}

/// The seed's leader that stands still keeps its label for good: two pods are active.
async fn frozen_leader(context: &Context<'_>) -> Result<()> {
    let (mut stage, active) = settled(context).await?;
    let uid = stage.uid(&active)?;
    let cluster = context.cluster;
    cluster.signal(&uid, CONTAINER, Signal::SIGSTOP).await?;
    let moved = stage
        .until(
            "the role moves, and the frozen pod loses its label",
            EXPIRED_MS,
            |entries| the_active(entries, KEY).filter(|now| *now != active),
        )
        .await;
    cluster.signal(&uid, CONTAINER, Signal::SIGCONT).await?;
    moved.map(drop)
}

/// The seed never looks at labels again.
async fn edited_label(context: &Context<'_>) -> Result<()> {
    let (mut stage, active) = settled(context).await?;
    let passive = {
        let entries = stage.journal.entries();
        let pods = ready_pods(&entries, 2).context("two pods")?;
        let passive = pods.into_iter().find(|pod| *pod != active);
        passive.context("a passive pod")?.to_owned()
    };
    let last = |entries: &Entries| entries.iter().next_back().map(|entry| entry.version);
    let before = last(&stage.journal.entries()).unwrap_or_default();
    stage.label(&active, &format!("{KEY}-")).await?;
    stage.label(&passive, &format!("{KEY}=active")).await?;
    stage
        .until("both labels are put right", REPAIRED_MS, |entries| {
            let bare = |pod: &Value| label(pod, KEY).is_none();
            entries.first((Kind::Pod, &active), before, bare)?;
            entries.first((Kind::Pod, &passive), before, |pod| !bare(pod))?;
            the_active(entries, KEY).filter(|now| *now == active)
        })
        .await
        .map(drop)
}
