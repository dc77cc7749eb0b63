//! Service mode on the cluster: the stage that its tests share, and how it holds against other
//! writers, the loss of its own replicas, and Services that it cannot serve. All of it under
//! `fencing.mode=Deny`, the chart's default.

use anyhow::{Context as _, Result, ensure};
use common::contract;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::clock;
use tests::cluster::images::Kind;
use tests::observe::{Routing, Signs, Watcher};
use tests::scene::{self, SYSTEM_NAMESPACE};

use crate::cli::Plugin;
use crate::context::{Case, Context, eventually};
use crate::fencing_cast::{developer, service};
use crate::routing::selector_owners;
use crate::routing_apply::{Chart, port_of};

/// Deployment, account and Lease of Service mode.
pub(crate) const NAME: &str = "active-passive-service-mode";
/// What is promised, milliseconds.
pub(crate) const DESIGNATED_MS: u64 = 1_000;
/// How long what follows from it elsewhere may take, milliseconds: endpoints, Events, a taken-up chart.
pub(crate) const FOLLOWS_MS: u64 = 10_000;
/// After so long another replica acts for one that vanished, milliseconds: its Lease, and some room.
pub(crate) const TAKEN_OVER_MS: u64 = 8_000;
/// How long replicas may take to be replaced, as kubectl takes it.
const ROLLOUT: &str = "--timeout=60s";

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "service mode: whoever applies the Service again takes nothing away",
        run: |context| Box::pin(applied_again(context)),
    },
    Case {
        name: "service mode: replicas restart and freeze, and traffic flows on",
        run: |context| Box::pin(replicas_go(context)),
    },
    Case {
        name: "service mode: what it cannot serve is explained",
        run: |context| Box::pin(declined(context)),
    },
];

/// Two pods, a Service, and somebody who watches both.
pub(crate) struct Stage<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) watcher: Watcher,
}

impl<'a> Stage<'a> {
    /// Two ready pods of an app `web`, no Service yet; `key` is the label of the designated one.
    pub(crate) async fn open(context: &'a Context<'a>, key: &str) -> Result<Self> {
        switch_on(context).await?;
        Self::without(context, key).await
    }

    /// The same, whether Service mode is on or not.
    pub(crate) async fn without(context: &'a Context<'a>, key: &str) -> Result<Self> {
        let signs = Signs {
            pods: "app=web".to_owned(),
            active: Some((key.to_owned(), "active".to_owned())),
            routing: Routing::Selector,
        };
        let client = context.cluster.client();
        let watcher = Watcher::start(&client, &context.namespace, "web", &signs, clock::now_ms);
        context.deploy_app("web", 2).await?;
        Ok(Self { context, watcher })
    }

    /// Puts an annotation on a Service, or takes it off; returns when that was sent.
    pub(crate) async fn annotate(&self, name: &str, key: &str, value: Option<&str>) -> Result<u64> {
        let at_ms = clock::now_ms();
        let patch = json!({"metadata": {"annotations": {key: value}}});
        let services = self.context.api::<Service>();
        let patch = Patch::Merge(&patch);
        services
            .patch(name, &PatchParams::default(), &patch)
            .await?;
        Ok(at_ms)
    }

    /// Waits until one pod, another than `old`, is designated for a Service: labelled and selected.
    /// Returns its uid and when it was.
    pub(crate) async fn designated(
        &mut self,
        name: &str,
        old: Option<&str>,
        timeout_ms: u64,
    ) -> Result<(String, u64)> {
        let found = self.watcher.until(timeout_ms, |timeline| {
            let uid = timeline.routed(name).filter(|uid| Some(*uid) != old)?;
            let labelled = timeline.labelled();
            let alone = labelled.len() == 1 && labelled.contains(uid);
            alone.then(|| uid.to_owned())
        });
        let found = found.await;
        let timeline = self.watcher.timeline();
        let (routed, labelled) = (timeline.routed(name), timeline.labelled());
        let uid = found.with_context(|| {
            format!("{timeout_ms} ms later {name} selects {routed:?}, labelled are {labelled:?}")
        })?;
        Ok((uid, clock::now_ms()))
    }

    /// At no resourceVersion did two pods carry the label.
    pub(crate) fn never_two(&self, from_ms: u64) -> Result<()> {
        let (_, most) = self.watcher.timeline().labelled_range(from_ms, u64::MAX);
        ensure!(most <= 1, "{most} pods were designated at once");
        Ok(())
    }

    /// Waits until exactly this pod is an endpoint of a Service.
    pub(crate) async fn is_the_endpoint(&self, name: &str, uid: &str) -> Result<()> {
        let slices = self.context.api::<EndpointSlice>();
        let list = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
        eventually("one endpoint", FOLLOWS_MS, async || {
            let slices = slices.list(&list).await?.items;
            let endpoints = slices.iter().flat_map(|slice| &slice.endpoints);
            let pods = endpoints.filter_map(|it| it.target_ref.as_ref()?.uid.clone());
            let pods: Vec<String> = pods.collect();
            Ok(if pods == [uid] {
                Ok(())
            } else {
                Err(format!("{pods:?}"))
            })
        })
        .await
    }

    /// The pod with this uid.
    pub(crate) async fn pod(&self, uid: &str) -> Result<Pod> {
        let pods = self
            .context
            .api::<Pod>()
            .list(&ListParams::default())
            .await?;
        let mut pods = pods.items.into_iter();
        let found = pods.find(|pod| pod.metadata.uid.as_deref() == Some(uid));
        found.with_context(|| format!("no pod has uid {uid}"))
    }

    /// Deletes the pod with this uid; returns when that was sent.
    pub(crate) async fn delete(&self, uid: &str) -> Result<u64> {
        let name = self.pod(uid).await?.name_any();
        let at_ms = clock::now_ms();
        let pods = self.context.api::<Pod>();
        pods.delete(&name, &DeleteParams::default()).await?;
        Ok(at_ms)
    }

    pub(crate) async fn selector(&self, name: &str) -> Result<Value> {
        let service = self.context.api::<Service>().get(name).await?;
        Ok(json!(service.spec.unwrap_or_default().selector))
    }
}

/// Installs the chart with Service mode, unless it is there.
pub(crate) async fn switch_on(context: &Context<'_>) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(context.cluster.client(), SYSTEM_NAMESPACE);
    let found = deployments.get_opt(NAME).await?;
    let available = found.and_then(|found| found.status?.available_replicas);
    if available == Some(2) {
        return Ok(());
    }
    Ok(scene::install_chart(context.cluster.kube(), &["serviceMode.enabled=true"]).await?)
}

/// Name and uid of the replica that acts.
pub(crate) async fn acting(context: &Context<'_>) -> Result<(String, String)> {
    let leases: Api<Lease> = Api::namespaced(context.cluster.client(), SYSTEM_NAMESPACE);
    let holder = leases
        .get(NAME)
        .await?
        .spec
        .and_then(|spec| spec.holder_identity);
    let holder = holder.unwrap_or_default();
    let (name, uid) = holder.split_once('_').context("nobody acts")?;
    Ok((name.to_owned(), uid.to_owned()))
}

/// A Service of the app in Service mode.
pub(crate) fn in_service_mode(name: &str) -> Value {
    let mut object = service(name, "web", None);
    object["metadata"]["annotations"] = json!({contract::MODE: "active-passive"});
    object
}

/// Applied, applied server-side, replaced and upgraded by Helm, each time with another port, and the
/// role moves in between.
async fn applied_again(context: &Context<'_>) -> Result<()> {
    let mut stage = Stage::open(context, contract::ROLE).await?;
    let developer = developer(context).await?;
    let from_ms = clock::now_ms();
    let ways: [(&[&str], &str); 3] = [
        (&["apply", "--server-side"], "kubectl"),
        (&["apply", "--force-conflicts", "--server-side"], "kubectl"),
        (&["replace"], "kubectl-replace"),
    ];
    let at = ["--namespace", &context.namespace, "-f", "-"];
    // By both annotations, so that both keys are derived.
    let mut object = in_service_mode("web");
    object["metadata"]["annotations"][contract::COMPAT_MODE] = json!("active-standby");
    let first = ["apply", "--server-side"];
    developer
        .kubectl_with_input(&[&first[..], &at].concat(), &object.to_string())
        .await?;
    let (mut active, _) = stage.designated("web", None, FOLLOWS_MS).await?;
    shown(&stage, &active).await?;
    for (port, (way, owner)) in (81..).zip(ways) {
        object["spec"]["ports"][0]["port"] = json!(port);
        developer
            .kubectl_with_input(&[way, &at].concat(), &object.to_string())
            .await?;
        let found = context.api::<Service>().get("web").await?;
        ensure!(port_of(&found) == Some(port), "{way:?} changed nothing");
        let wanted = json!({
            "app": "web",
            contract::POD: active,
            contract::COMPAT_DESIGNATION: "active",
        });
        let selector = stage.selector("web").await?;
        ensure!(
            selector == wanted,
            "after {way:?} the selector is {selector}"
        );
        let owners = selector_owners(&found);
        ensure!(
            owners == [owner],
            "after {way:?} the selector belongs to {owners:?}"
        );
        let deleted_ms = stage.delete(&active).await?;
        let (next, moved_ms) = stage
            .designated("web", Some(&active), DESIGNATED_MS)
            .await?;
        println!(
            "after {way:?}: another is active {} ms later",
            moved_ms - deleted_ms
        );
        active = next;
        context
            .kubectl(&["rollout", "status", "deployment/web", ROLLOUT])
            .await?;
    }
    shown(&stage, &active).await?;
    context.kubectl(&["delete", "service", "web"]).await?;
    stage.never_two(from_ms)?;

    let mut object = in_service_mode("shop");
    object["spec"]["ports"][0]["port"] = json!("PORT");
    let template = object.to_string().replace("\"PORT\"", "{{ .Values.port }}");
    let chart = Chart::of(&context.namespace, "port: 80\n", &template)?;
    let folder = chart.folder();
    let at = ["--namespace", &context.namespace];
    developer
        .helm(&[&["install", "shop", &folder][..], &at].concat())
        .await?;
    let (active, _) = stage.designated("shop", None, FOLLOWS_MS).await?;
    let upgrade = ["upgrade", "shop", &folder, "--set", "port=82"];
    developer.helm(&[&upgrade[..], &at].concat()).await?;
    let selector = stage.selector("shop").await?;
    ensure!(
        selector == json!({"app": "web", contract::POD: active}),
        "{selector}"
    );
    Ok(())
}

/// What the plugin's status says of Service `web`: which pod is active, and since when.
async fn shown(stage: &Stage<'_>, active: &str) -> Result<()> {
    let plugin = Plugin::new(stage.context)?;
    let name = stage.pod(active).await?.name_any();
    let text = plugin.say(&["status", "web"]).await?;
    let line = format!("Active:     {name} on ");
    ensure!(text.contains(&line), "no {line:?} in\n{text}");
    let json = plugin.say(&["status", "-o", "json"]).await?;
    let json: Value = serde_json::from_str(&json)?;
    let found = &json["service_mode"][0];
    let warned = found["warnings"].as_array().is_none_or(|it| !it.is_empty());
    ensure!(found["active"] == name.as_str() && !warned, "{json:#}");
    let since: Timestamp = found["since"].as_str().context("a time")?.parse()?;
    let age_s = Timestamp::now().as_second() - since.as_second();
    ensure!((0..=60).contains(&age_s), "since {age_s} s: {json:#}");
    plugin.end()
}

/// Restarted, frozen and woken up: the Service points where it pointed, and somebody acts.
async fn replicas_go(context: &Context<'_>) -> Result<()> {
    let mut stage = Stage::open(context, contract::ROLE).await?;
    context.apply(&in_service_mode("web")).await?;
    let (active, from_ms) = stage.designated("web", None, FOLLOWS_MS).await?;

    let (before, _) = acting(context).await?;
    let target = format!("deployment/{NAME}");
    for args in [
        &["rollout", "restart", &target][..],
        &["rollout", "status", &target, ROLLOUT],
    ] {
        let args = [&["--namespace", SYSTEM_NAMESPACE], args].concat();
        context.cluster.kubectl(&args).await?;
    }
    let timeline = stage.watcher.timeline();
    ensure!(
        timeline.moves("web", from_ms) == 0,
        "a restart of Service mode moved the role"
    );
    drop(timeline);
    let deleted_ms = stage.delete(&active).await?;
    let (active, moved_ms) = stage
        .designated("web", Some(&active), DESIGNATED_MS)
        .await?;
    let (after, frozen) = acting(context).await?;
    ensure!(after != before, "{before} is still there");
    println!(
        "after a restart, another pod is active {} ms after a deletion",
        moved_ms - deleted_ms
    );
    context
        .kubectl(&["rollout", "status", "deployment/web", ROLLOUT])
        .await?;

    context
        .cluster
        .signal(&frozen, "service-mode", Signal::SIGSTOP)
        .await?;
    let deleted_ms = stage.delete(&active).await?;
    let next = stage.designated("web", Some(&active), TAKEN_OVER_MS).await;
    context
        .cluster
        .signal(&frozen, "service-mode", Signal::SIGCONT)
        .await?;
    let (active, moved_ms) = next?;
    println!(
        "while the replica that acts is frozen: {} ms after it",
        moved_ms - deleted_ms
    );
    let (_, uid) = acting(context).await?;
    ensure!(uid != frozen, "nobody has taken over");

    // It has woken up, and does what it is told: nothing.
    context
        .kubectl(&["rollout", "status", "deployment/web", ROLLOUT])
        .await?;
    let woken_ms = clock::now_ms();
    let deleted_ms = stage.delete(&active).await?;
    let (_, moved_ms) = stage
        .designated("web", Some(&active), DESIGNATED_MS)
        .await?;
    println!(
        "after it has woken up: {} ms after it",
        moved_ms - deleted_ms
    );
    let moves = stage.watcher.timeline().moves("web", woken_ms);
    ensure!(moves == 1, "{moves} moves after one deletion");
    stage.never_two(from_ms)
}

/// One Service of each kind that is left alone, and what is said of it.
async fn declined(context: &Context<'_>) -> Result<()> {
    switch_on(context).await?;
    let pod = |name: &str, labels: Value| {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "schedulingGates": [{"name": "example.com/never"}],
                "containers": [{"name": "app", "image": Kind::ExampleApp.name()}],
            },
        })
    };
    let of = |name: &str, selector: Value| {
        let mut object = in_service_mode(name);
        object["spec"]["selector"] = selector;
        object
    };
    let mut follows = of("follows", json!({"app": "other"}));
    follows["metadata"]["annotations"][contract::GROUP] = json!("web");
    for object in [
        pod("shared", json!({"app": "one", "tier": "front"})),
        pod("grouped", json!({"app": "grouped", contract::GROUP: "web"})),
        of("older", json!({"app": "one"})),
        of("bare", Value::Null),
        of("grouped", json!({"app": "grouped"})),
        follows,
    ] {
        context.apply(&object).await?;
    }
    // A second younger: creation times have no more digits.
    let older = context.api::<Service>().get("older").await?;
    let second = older.metadata.creation_timestamp.map(|at| at.0.as_second());
    eventually("a younger Service", FOLLOWS_MS, async || {
        context
            .apply(&of("younger", json!({"tier": "front"})))
            .await?;
        let younger = context.api::<Service>().get("younger").await?;
        let at = younger
            .metadata
            .creation_timestamp
            .map(|at| at.0.as_second());
        if at > second {
            return Ok(Ok(()));
        }
        context.kubectl(&["delete", "service", "younger"]).await?;
        Ok(Err(format!("{at:?}")))
    })
    .await?;
    for (name, words) in [
        ("bare", "this Service has no selector"),
        ("grouped", "pod grouped of this Service has the sidecar"),
        ("follows", "this Service follows an election group"),
        ("younger", "shares some of its pods with Service older"),
    ] {
        told(context, name, words).await?;
        let service = context.api::<Service>().get(name).await?;
        let active = service
            .annotations()
            .get(contract::ACTIVE)
            .map(String::as_str);
        ensure!(
            [None, Some("none")].contains(&active),
            "{name} points at {active:?}"
        );
    }
    let plugin = Plugin::new(context)?;
    let text = plugin.say(&["status"]).await?;
    for (name, warning) in [
        ("bare", "NoSelector"),
        ("grouped", "HasSidecar"),
        ("follows", "FollowsGroup"),
        ("younger", "SharesPods"),
        ("older", "NoReadyPod"),
    ] {
        let mut lines = text.lines();
        let line = lines.find(|it| it.starts_with(&format!("{name} ")));
        let warned = line.is_some_and(|it| it.ends_with(warning));
        ensure!(warned, "no {warning} of {name} in\n{text}");
    }
    plugin.end()
}

/// Waits until an Event about a Service says these words.
async fn told(context: &Context<'_>, name: &str, words: &str) -> Result<()> {
    let fields = format!("involvedObject.kind=Service,involvedObject.name={name}");
    let list = ListParams::default().fields(&fields);
    eventually(&format!("an Event about {name}"), FOLLOWS_MS, async || {
        let events = context.api::<Event>().list(&list).await?;
        let notes: Vec<_> = events
            .items
            .into_iter()
            .filter_map(|it| it.message)
            .collect();
        let found = notes.iter().any(|note| note.contains(words));
        Ok(if found {
            Ok(())
        } else {
            Err(format!("{notes:?}"))
        })
    })
    .await
}
