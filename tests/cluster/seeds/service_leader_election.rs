//! maksim-paskal/service-leader-election.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Request;
use k8s_openapi::jiff::Timestamp;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use tokio::time::sleep;

use super::journal::{Entries, Kind};
use super::stage::{SETTLED_MS, Stage, holder, label, ready_pods, with_our_image};
use crate::context::{Case, Context, eventually};

const MANIFEST: &str = include_str!("service_leader_election.yaml");
const IMAGE: &str = "paskalmaksim/service-leader-election:latest";
const KEY: &str = "service-leader-election";
const SERVICE: &str = "servicename";
const LEASE: &str = "lockname";
const PORT: u16 = 28_086;
/// How soon after a deletion the Service selects another pod, milliseconds.
const MOVED_MS: u64 = 10_000;
/// How soon an answer follows what is, milliseconds.
const ANSWERED_MS: u64 = 8_000;
/// How long a lease and the move after it may take, milliseconds: a standby polls.
const EXPIRED_MS: u64 = 25_000;
/// How long requests of waiting sidecars are counted, milliseconds.
const COUNTED_MS: u64 = 5_000;
/// Most of them, of two sidecars that ask twice a second. The seed's ask 25 times each, which is what
/// client-go lets them.
const ASKED_MAX: usize = 30;
/// Longest value of a label.
const LABEL_CHARS_MAX: usize = 63;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "seeds: service_leader_election_1_each_pod_carries_its_name_first",
        run: |context| Box::pin(own_name(context)),
    },
    Case {
        name: "seeds: service_leader_election_2_selector_leads_to_the_leader",
        run: |context| Box::pin(selector(context)),
    },
    Case {
        name: "seeds: service_leader_election_3_ready_on_the_leader_only",
        run: |context| Box::pin(ready(context)),
    },
    Case {
        name: "seeds: service_leader_election_4_healthz_follows_the_container",
        run: |context| Box::pin(healthz(context)),
    },
    Case {
        name: "seeds: service_leader_election_5_debug_is_the_hostname",
        run: |context| Box::pin(debug(context)),
    },
    Case {
        name: "seeds: service_leader_election_6_selector_moves_with_the_leader",
        run: |context| Box::pin(moves(context)),
    },
    Case {
        name: "seeds: service_leader_election_7_other_keys_stay",
        run: |context| Box::pin(other_keys(context)),
    },
    Case {
        name: "seeds: service_leader_election_8_long_pod_names",
        run: |context| Box::pin(long_names(context)),
    },
    Case {
        name: "seeds: service_leader_election_fixed_standby_again_after_a_lost_lease",
        run: |context| Box::pin(standby_again(context)),
    },
    Case {
        name: "seeds: service_leader_election_fixed_waits_without_a_flood",
        run: |context| Box::pin(waits(context)),
    },
    Case {
        name: "seeds: service_leader_election_fixed_dropped_key_is_put_back",
        run: |context| Box::pin(dropped_key(context)),
    },
    Case {
        name: "seeds: service_leader_election_with_the_sidecar_first_as_in_the_readme",
        run: |context| Box::pin(sidecar_first(context)),
    },
];

/// The README's manifest: two pods, the first of which the Service selects.
async fn settled<'a>(context: &'a Context<'a>) -> Result<(Stage<'a>, [String; 2])> {
    settles(context, &with_our_image(MANIFEST, IMAGE)?).await
}

async fn settles<'a>(context: &'a Context<'a>, manifest: &str) -> Result<(Stage<'a>, [String; 2])> {
    let mut stage = Stage::open(context, manifest).await?;
    let pods = stage
        .until("the Service selects the holder", SETTLED_MS, |entries| {
            let pods = ready_pods(entries, 2)?;
            let leader = selected(entries)?;
            let leases = entries.now(Kind::Lease);
            let other = pods.iter().find(|pod| **pod != leader)?;
            let agreed = holder(leases.get(LEASE)?) == leader;
            agreed.then(|| [leader.clone(), (*other).to_owned()])
        })
        .await?;
    Ok((stage, pods))
}

fn key_of(service: &Value) -> Option<&str> {
    service.pointer("/spec/selector")?.get(KEY)?.as_str()
}

/// The pod that the Service selects by its key.
fn selected(entries: &Entries) -> Option<String> {
    let services = entries.now(Kind::Service);
    let value = key_of(services.get(SERVICE)?)?;
    let pods = entries.now(Kind::Pod);
    let mut carries = pods
        .iter()
        .filter(|(_, pod)| label(pod, KEY) == Some(value));
    carries.next().map(|(name, _)| (*name).to_owned())
}

/// What a pod answers; `Err`: that of an answer that is no success.
async fn get(context: &Context<'_>, pod: &str, path: &str) -> std::result::Result<String, String> {
    let namespace = &context.namespace;
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{PORT}/proxy{path}");
    let request = Request::get(path).body(Vec::new());
    let request = request.map_err(|error| error.to_string())?;
    // kubectl keeps the answer of a server that is not available to itself.
    let answer = context.cluster.client().request_text(request).await;
    answer.map_err(|error| format!("{error:?}"))
}

async fn own_name(context: &Context<'_>) -> Result<()> {
    let (mut stage, _) = settled(context).await?;
    // A pod may be ready before its sidecar has labelled it.
    stage
        .until("each pod carries its name", SETTLED_MS, |entries| {
            let pods = entries.now(Kind::Pod);
            let own = |(name, pod): (&&str, &&Value)| label(pod, KEY) == Some(*name);
            pods.iter().all(own).then_some(())
        })
        .await?;
    let entries = stage.journal.entries();
    let first = entries.iter().find(|entry| entry.kind == Kind::Lease);
    let elected = first.context("there is no Lease")?.version;
    let labelled = |name: &str| {
        let own = |pod: &Value| label(pod, KEY) == Some(name);
        let entry = entries.first((Kind::Pod, name), 0, own);
        entry.map(|entry| entry.version)
    };
    for (name, pod) in entries.now(Kind::Pod) {
        let version = labelled(name).with_context(|| format!("{name} carries {pod}"))?;
        let takes_part = entries.first((Kind::Lease, LEASE), 0, |lease| holder(lease) == name);
        let before = takes_part.is_none_or(|entry| version < entry.version);
        ensure!(
            before,
            "{name} was labelled at {version}, and elected at {elected}"
        );
    }
    Ok(())
}

async fn selector(context: &Context<'_>) -> Result<()> {
    let (stage, [leader, _]) = settled(context).await?;
    eventually(
        "the Service leads to the leader alone",
        ANSWERED_MS,
        async || {
            let names = stage.led_to().await?;
            let right = names == [leader.as_str()];
            Ok(if right {
                Ok(())
            } else {
                Err(format!("{names:?}"))
            })
        },
    )
    .await
}

/// Waits until a pod answers in these words. A standby that has just started listens a moment later.
async fn answers(context: &Context<'_>, pod: &str, path: &str, words: &str) -> Result<()> {
    eventually("the answer", ANSWERED_MS, async || {
        let found = format!("{:?}", get(context, pod, path).await);
        Ok(if found.contains(words) {
            Ok(())
        } else {
            Err(found)
        })
    })
    .await
}

async fn ready(context: &Context<'_>) -> Result<()> {
    let (_stage, [leader, other]) = settled(context).await?;
    answers(context, &leader, "/ready", "Ok(\"is master\")").await?;
    answers(context, &other, "/ready", "wait for master").await
}

async fn healthz(context: &Context<'_>) -> Result<()> {
    let (stage, [leader, _]) = settled(context).await?;
    let says = async |text: &str| answers(context, &leader, "/healthz", text).await;
    says("live").await?;
    let uid = stage.uid(&leader)?;
    context.cluster.signal(&uid, "app", Signal::SIGSTOP).await?;
    let unready = says("primary container is not ready").await;
    context.cluster.signal(&uid, "app", Signal::SIGCONT).await?;
    unready
}

async fn debug(context: &Context<'_>) -> Result<()> {
    let (_stage, pods) = settled(context).await?;
    for pod in &pods {
        answers(context, pod, "/debug", &format!("Ok({pod:?})")).await?;
    }
    Ok(())
}

async fn moves(context: &Context<'_>) -> Result<()> {
    let (mut stage, [leader, _]) = settled(context).await?;
    stage.delete(&leader).await?;
    let moved = |entries: &Entries| selected(entries).filter(|now| *now != leader);
    let next = stage.until("the selector moves", MOVED_MS, moved).await?;
    let answer = get(context, &next, "/ready").await;
    ensure!(answer.as_deref() == Ok("is master"), "{answer:?}");
    Ok(())
}

async fn other_keys(context: &Context<'_>) -> Result<()> {
    let (mut stage, [leader, _]) = settled(context).await?;
    stage.delete(&leader).await?;
    let moved = |entries: &Entries| selected(entries).filter(|now| *now != leader);
    stage.until("the selector moves", MOVED_MS, moved).await?;
    let entries = stage.journal.entries();
    let services = entries.iter().filter(|entry| entry.name == SERVICE);
    for service in services.filter_map(|entry| entry.object.as_ref()) {
        let selector = &service["spec"]["selector"];
        let kept = selector["app"] == "app" && selector["tier"] == "front";
        ensure!(kept, "{selector}");
    }
    Ok(())
}

/// Whoever replaces the Service drops the key, and with the seed all pods serve from then on.
async fn dropped_key(context: &Context<'_>) -> Result<()> {
    let (mut stage, [leader, _]) = settled(context).await?;
    let last = |entries: &Entries| entries.iter().next_back().map(|entry| entry.version);
    let before = last(&stage.journal.entries()).unwrap_or_default();
    let drop = json!([{"op": "remove", "path": format!("/spec/selector/{KEY}")}]).to_string();
    let patch = ["patch", "service", SERVICE, "--type=json", "-p", &drop];
    context.kubectl(&patch).await?;
    stage
        .until("the key is put back", ANSWERED_MS, |entries| {
            let bare = |service: &Value| key_of(service).is_none();
            let dropped = entries.first((Kind::Service, SERVICE), before, bare)?;
            let back = |service: &Value| key_of(service) == Some(leader.as_str());
            let back = entries.first((Kind::Service, SERVICE), dropped.version, back)?;
            Some(back.at_ms.saturating_sub(dropped.at_ms))
        })
        .await
        .map(|ms| println!("service-leader-election: put back {ms} ms after"))
}

/// The manifest as the objects before its Deployment, and the Deployment.
fn cut() -> Result<(String, Value)> {
    let manifest = with_our_image(MANIFEST, IMAGE)?;
    let (others, deployment) = manifest.rsplit_once("---\n").context("no Deployment")?;
    Ok((others.to_owned(), serde_saphyr::from_str(deployment)?))
}

/// Its own readiness is then the one that counts, and it has it as soon as it runs.
async fn sidecar_first(context: &Context<'_>) -> Result<()> {
    let (others, mut deployment) = cut()?;
    let containers = &mut deployment["spec"]["template"]["spec"]["containers"];
    let containers = containers.as_array_mut().context("no containers")?;
    containers.reverse();
    ensure!(containers[0]["name"] == KEY, "{}", containers[0]);
    let manifest = format!("{others}---\n{deployment}\n");
    let (_stage, [leader, other]) = settles(context, &manifest).await?;
    answers(context, &leader, "/ready", "Ok(\"is master\")").await?;
    answers(context, &leader, "/healthz", "live").await?;
    answers(context, &other, "/ready", "wait for master").await
}

/// Pods of a Deployment never have such names: two pods of their own do.
fn with_long_names() -> Result<String> {
    let (others, deployment) = cut()?;
    let template = &deployment["spec"]["template"];
    let pods = ["one", "two"].map(|end| {
        let name =
            format!("app-with-a-name-that-is-too-long-for-it-to-be-the-value-of-a-label-{end}");
        let metadata = json!({"name": name, "labels": template["metadata"]["labels"]});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    });
    Ok(format!("{others}---\n{}\n---\n{}\n", pods[0], pods[1]))
}

async fn long_names(context: &Context<'_>) -> Result<()> {
    let (stage, [leader, _]) = settles(context, &with_long_names()?).await?;
    ensure!(leader.len() > LABEL_CHARS_MAX, "{leader} is no long name");
    let entries = stage.journal.entries();
    let services = entries.now(Kind::Service);
    let value = key_of(services[SERVICE]).context("no key")?;
    ensure!(value.len() <= LABEL_CHARS_MAX, "{value}");
    Ok(())
}

/// The seed's sidecar that has lost its Lease lives on and never takes part again.
async fn standby_again(context: &Context<'_>) -> Result<()> {
    let (mut stage, [first, second]) = settled(context).await?;
    for (from, to) in [(&first, &second), (&second, &first)] {
        let uid = stage.uid(from)?;
        let cluster = context.cluster;
        cluster.signal(&uid, KEY, Signal::SIGSTOP).await?;
        let moved = |entries: &Entries| selected(entries).filter(|now| now == to);
        let moved = stage.until("the selector moves", EXPIRED_MS, moved).await;
        cluster.signal(&uid, KEY, Signal::SIGCONT).await?;
        moved?;
    }
    Ok(())
}

/// The seed's sidecar asks without a pause whether its container is ready.
async fn waits(context: &Context<'_>) -> Result<()> {
    let manifest = with_our_image(MANIFEST, IMAGE)?;
    let ready = "            path: /healthz\n            port: 8080\n";
    ensure!(manifest.contains(ready), "the app has no probe");
    let never = manifest.replace(ready, "            path: /never\n            port: 1\n");
    let mut stage = Stage::open(context, &never).await?;
    let waiting = |entries: &Entries| {
        let pods = entries.now(Kind::Pod);
        let labelled = pods.values().filter(|pod| label(pod, KEY).is_some());
        (labelled.count() == 2).then_some(())
    };
    stage
        .until("both sidecars wait", SETTLED_MS, waiting)
        .await?;
    let mut audit = context.cluster.audit();
    audit.skip()?;
    let begins = Timestamp::now();
    // What is counted is what happens in a time; the log may be behind.
    sleep(Duration::from_millis(COUNTED_MS)).await;
    let account = format!("system:serviceaccount:{}:{KEY}", context.namespace);
    let asked = audit.read()?.into_iter();
    let asked: Vec<String> = asked
        .filter(|event| event.user.username == account)
        .filter(|event| event.request_received_timestamp >= begins)
        .map(|event| format!("{} {}", event.verb, event.request_uri))
        .collect();
    let count = asked.len();
    println!("service-leader-election: {count} requests in {COUNTED_MS} ms of waiting");
    ensure!(
        (1..=ASKED_MAX).contains(&count),
        "{count} requests in {COUNTED_MS} ms: {asked:#?}"
    );
    let leases = stage.journal.entries();
    ensure!(
        leases.now(Kind::Lease).is_empty(),
        "one that is not ready takes part"
    );
    Ok(())
}
