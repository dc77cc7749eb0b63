//! active-standby-controller: what its users rely on, and what its open bugs were.

use anyhow::{Context as _, Result, ensure};
use common::contract;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use kube::api::ListParams;
use nix::sys::signal::Signal;
use serde_json::json;
use tests::clock;
use tests::observe::is_ready;
use tests::scene;

use crate::context::{Case, Context, eventually};
use crate::fencing_cast::service;
use crate::seeds::migrate;
use crate::service_mode::{DESIGNATED_MS, FOLLOWS_MS, Stage, switch_on};

/// How long a pod may take to be seen as not ready, or as ready, milliseconds: three probes a second
/// apart.
const PROBED_MS: u64 = 10_000;
/// The value that its README documents.
const DOCUMENTED: &str = "active-standby";

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "seeds: active_standby_controller_1_one_ready_pod_is_designated",
        run: |context| Box::pin(one_is_designated(context)),
    },
    Case {
        name: "seeds: active_standby_controller_2_another_after_a_deletion",
        run: |context| Box::pin(another_after_a_deletion(context)),
    },
    Case {
        name: "seeds: active_standby_controller_3_headless_has_one_address",
        run: |context| Box::pin(headless(context)),
    },
    Case {
        name: "seeds: active_standby_controller_4_other_services_untouched",
        run: |context| Box::pin(untouched(context)),
    },
    Case {
        name: "seeds: active_standby_controller_5_a_pod_that_flaps_is_no_second_one",
        run: |context| Box::pin(flapping(context)),
    },
    Case {
        name: "seeds: active_standby_controller_6_selector_restored_without_annotation",
        run: |context| Box::pin(restored(context)),
    },
    Case {
        name: "seeds: migrate_active_standby_controller_goes_on",
        run: |context| Box::pin(migrated(context)),
    },
];

/// Two pods, and a Service that has designated one of them.
async fn designated<'a>(context: &'a Context<'a>) -> Result<(Stage<'a>, String, u64)> {
    let mut stage = Stage::open(context, contract::COMPAT_DESIGNATION).await?;
    context.expose_app("web").await?;
    let asked_ms = stage
        .annotate("web", contract::COMPAT_MODE, Some(DOCUMENTED))
        .await?;
    let (uid, at_ms) = stage.designated("web", None, DESIGNATED_MS).await?;
    println!("designated {} ms after the annotation", at_ms - asked_ms);
    Ok((stage, uid, asked_ms))
}

async fn one_is_designated(context: &Context<'_>) -> Result<()> {
    let (stage, uid, from_ms) = designated(context).await?;
    ensure!(
        is_ready(&stage.pod(&uid).await?),
        "a pod that is not ready was designated"
    );
    let selector = stage.selector("web").await?;
    let key = &selector[contract::COMPAT_DESIGNATION];
    ensure!(key == "active" && selector["app"] == "web", "{selector}");
    stage.is_the_endpoint("web", &uid).await?;
    stage.never_two(from_ms)
}

async fn another_after_a_deletion(context: &Context<'_>) -> Result<()> {
    let (mut stage, old, from_ms) = designated(context).await?;
    let deleted_ms = stage.delete(&old).await?;
    let (new, at_ms) = stage.designated("web", Some(&old), DESIGNATED_MS).await?;
    println!("another one {} ms after the deletion", at_ms - deleted_ms);
    stage.is_the_endpoint("web", &new).await?;
    stage.never_two(from_ms)
}

/// What the old controller leaves is taken over, with this chart installed beside it: its pod keeps label
/// and traffic through all steps that the plugin names, and then another one follows.
async fn migrated(context: &Context<'_>) -> Result<()> {
    scene::install_chart(context.cluster.kube(), &[]).await?;
    let mut stage = Stage::without(context, contract::COMPAT_DESIGNATION).await?;
    // The controller itself is in no registry here: what it writes is written by hand.
    let theirs = include_str!("../../cli/testdata/migrate/active_standby_controller.yaml");
    let manifest = theirs
        .replace("replicas: 1", "replicas: 0")
        .replace(
            "name: shop\n",
            &format!("name: web\n  namespace: {}\n", context.namespace),
        )
        .replace("{app: shop}", "{app: web}");
    let apply = ["apply", "-f", "-"];
    context
        .cluster
        .kubectl_with_input(&apply, &manifest)
        .await?;
    let pods = context.api::<Pod>().list(&ListParams::default()).await?;
    let chosen = pods.items.last().context("two pods")?;
    let (name, uid) = (chosen.name_any(), chosen.uid().context("a uid")?);
    let label = format!("{}=active", contract::COMPAT_DESIGNATION);
    context.kubectl(&["label", "pod", &name, &label]).await?;
    let key = json!({"spec": {"selector": {contract::COMPAT_DESIGNATION: "active"}}});
    let patch = ["patch", "service", "web", "--type=merge", "-p"];
    context
        .kubectl(&[&patch[..], &[&key.to_string()]].concat())
        .await?;
    stage.is_the_endpoint("web", &uid).await?;
    let from_ms = clock::now_ms();

    let commands = migrate::rewrite(context, &manifest).await?;
    migrate::shell(context, &commands).await?;
    let gone = ["get", "clusterrole,clusterrolebinding", "--output=name"];
    let left = context.kubectl(&gone).await?;
    ensure!(!left.contains("/active-standby-controller"), "{left}");
    let selector = stage.selector("web").await?;
    let kept = json!({"app": "web", contract::COMPAT_DESIGNATION: "active"});
    ensure!(selector == kept, "while neither runs: {selector}");

    switch_on(context).await?;
    let (active, _) = stage.designated("web", None, FOLLOWS_MS).await?;
    ensure!(active == uid, "{active} took the place of {uid}");
    stage.is_the_endpoint("web", &uid).await?;
    stage.delete(&uid).await?;
    let next = stage.designated("web", Some(&uid), DESIGNATED_MS).await;
    let (next, _) = next.context("after a deletion")?;
    stage.is_the_endpoint("web", &next).await?;
    stage.never_two(from_ms)
}

async fn headless(context: &Context<'_>) -> Result<()> {
    let mut stage = Stage::open(context, contract::COMPAT_DESIGNATION).await?;
    let mut object = service("web", "web", None);
    object["spec"]["clusterIP"] = json!("None");
    object["metadata"]["annotations"] = json!({contract::COMPAT_MODE: DOCUMENTED});
    context.apply(&object).await?;
    let (uid, _) = stage.designated("web", None, DESIGNATED_MS).await?;
    stage.is_the_endpoint("web", &uid).await
}

/// A Service of the same pods and one of nobody's are as they were; the value that is annotated may
/// be any.
async fn untouched(context: &Context<'_>) -> Result<()> {
    let mut stage = Stage::open(context, contract::COMPAT_DESIGNATION).await?;
    let mut versions = Vec::new();
    for (name, app) in [("beside", "web"), ("empty", "nobody")] {
        let mut object = service(name, app, None);
        object["metadata"]["annotations"] = json!({contract::COMPAT_MODE: ""});
        context.apply(&object).await?;
        versions.push(context.api::<Service>().get(name).await?.resource_version());
    }
    context.expose_app("web").await?;
    stage
        .annotate("web", contract::COMPAT_MODE, Some("anything"))
        .await?;
    let (uid, _) = stage.designated("web", None, DESIGNATED_MS).await?;
    stage.is_the_endpoint("web", &uid).await?;
    for (name, version) in ["beside", "empty"].into_iter().zip(versions) {
        let found = context.api::<Service>().get(name).await?;
        ensure!(
            found.resource_version() == version,
            "{name} was written: {found:?}"
        );
    }
    Ok(())
}

/// Its open bug: a pod that was not ready for a while stays labelled beside its successor.
async fn flapping(context: &Context<'_>) -> Result<()> {
    let (mut stage, mut active, from_ms) = designated(context).await?;
    for _ in 0..2 {
        context
            .cluster
            .signal(&active, "app", Signal::SIGSTOP)
            .await?;
        let next = stage.designated("web", Some(&active), PROBED_MS).await;
        context
            .cluster
            .signal(&active, "app", Signal::SIGCONT)
            .await?;
        let (next, _) = next?;
        let timeline = stage.watcher.timeline();
        let unready_ms = timeline
            .first_unready(&active, from_ms)
            .context("it stayed ready")?;
        let moved = timeline.first_other_route("web", &active, unready_ms);
        let moved_ms = moved.context("the Service did not move")?.0 - unready_ms;
        println!("another one {moved_ms} ms after it was not ready");
        ensure!(moved_ms <= DESIGNATED_MS, "it took {moved_ms} ms");
        drop(timeline);
        eventually("it is ready again", PROBED_MS, async || {
            let ready = is_ready(&stage.pod(&active).await?);
            Ok(if ready {
                Ok(())
            } else {
                Err("not ready".to_owned())
            })
        })
        .await?;
        stage
            .designated("web", Some(&active), DESIGNATED_MS)
            .await?;
        active = next;
    }
    stage.never_two(from_ms)
}

async fn restored(context: &Context<'_>) -> Result<()> {
    let (stage, _, _) = designated(context).await?;
    stage.annotate("web", contract::COMPAT_MODE, None).await?;
    let selector = stage.selector("web").await?;
    ensure!(
        selector == json!({"app": "web"}),
        "in the same write: {selector}"
    );
    eventually("labels are gone", FOLLOWS_MS, async || {
        let list = ListParams::default().labels("app=web");
        let pods = context.api::<Pod>().list(&list).await?;
        let keys = [contract::COMPAT_DESIGNATION, contract::POD];
        let of_pod = |pod: &Pod| {
            let labelled = keys.iter().any(|key| pod.labels().contains_key(*key));
            labelled || pod.annotations().contains_key(contract::MODE)
        };
        let left: Vec<_> = pods
            .iter()
            .filter(|pod| of_pod(pod))
            .map(Pod::name_any)
            .collect();
        Ok(if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        })
    })
    .await?;
    let service = context.api::<Service>().get("web").await?;
    let left = service
        .annotations()
        .keys()
        .filter(|key| key.starts_with(contract::PREFIX));
    ensure!(left.count() == 0, "{:?}", service.annotations());
    Ok(())
}
