//! Applying a Service again, in any way that people and programs do, ends without conflict and takes
//! nothing away.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Service;
use tests::clock;
use tests::cluster::Kube;
use tests::observe::Change;
use tests::scene::Scene;

use crate::context::{Case, Context};
use crate::fencing_cast::{developer, service};
use crate::routing::{key, open, points_at, selector_owners, switch_over};

const ROUTED_MS: u64 = 2_000;

pub(crate) const CASES: &[Case] = &[Case {
    name: "routing: applying a Service again by any means takes nothing away",
    run: |context| Box::pin(applied_again(context)),
}];

/// One more way to apply: what kubectl is told, beside the file.
struct Way {
    verb: &'static str,
    options: &'static [&'static str],
    owner: &'static str,
}

const WAYS: [Way; 3] = [
    Way {
        verb: "apply",
        options: &[],
        owner: "kubectl-client-side-apply",
    },
    Way {
        verb: "apply",
        options: &["--server-side"],
        owner: "kubectl",
    },
    Way {
        verb: "replace",
        options: &[],
        owner: "kubectl-replace",
    },
];

async fn applied_again(context: &Context<'_>) -> Result<()> {
    let mut scene = open(context).await?;
    let developer = developer(context).await?;
    for (index, way) in WAYS.iter().enumerate() {
        let name = format!("{}-{index}", way.verb);
        again(context, &developer, &mut scene, &name, way).await?;
    }
    let chart = Chart::write(&context.namespace)?;
    charted(context, &developer, &mut scene, &chart).await
}

/// Applies, lets the role move, applies again with another port, lets it move once more.
async fn again(
    context: &Context<'_>,
    developer: &Kube,
    scene: &mut Scene<'_>,
    name: &str,
    way: &Way,
) -> Result<()> {
    let at = ["--namespace", &context.namespace, "-f", "-"];
    let mut object = service(name, "web", Some("web"));
    // There is nothing to replace yet.
    let first = if way.verb == "replace" {
        "create"
    } else {
        way.verb
    };
    let args = [&[first], way.options, &at].concat();
    developer
        .kubectl_with_input(&args, &object.to_string())
        .await?;
    let active = scene.settled().await?;
    points_at(scene, name, &active.uid, ROUTED_MS).await?;
    let from_ms = clock::now_ms();
    let active = switch_over(context, scene, &[name]).await?;
    let args = [&[way.verb], way.options, &at].concat();
    for port in [80, 81] {
        object["spec"]["ports"][0]["port"] = port.into();
        developer
            .kubectl_with_input(&args, &object.to_string())
            .await?;
        let found = context.api::<Service>().get(name).await?;
        let (key, owners) = (key(&found), selector_owners(&found));
        ensure!(
            key.as_ref() == Some(&active.uid),
            "{args:?}: the key is {key:?}"
        );
        ensure!(port_of(&found) == Some(port), "{args:?} changed nothing");
        ensure!(
            owners.contains(&way.owner.to_owned()),
            "{args:?}: the selector belongs to {owners:?}"
        );
    }
    switch_over(context, scene, &[name]).await?;
    never_lost(scene, name, from_ms)
}

/// Helm, twice: the second time with another port, and once without any change.
async fn charted(
    context: &Context<'_>,
    developer: &Kube,
    scene: &mut Scene<'_>,
    chart: &Chart,
) -> Result<()> {
    let folder = chart.0.to_string_lossy();
    let at = ["--namespace", &context.namespace];
    let install = ["install", "shop", &folder];
    developer.helm(&[&install[..], &at].concat()).await?;
    let active = scene.settled().await?;
    points_at(scene, "shop", &active.uid, ROUTED_MS).await?;
    let from_ms = clock::now_ms();
    let active = switch_over(context, scene, &["shop"]).await?;
    for port in [80, 81] {
        let value = format!("port={port}");
        let upgrade = ["upgrade", "shop", &folder, "--set", &value];
        developer.helm(&[&upgrade[..], &at].concat()).await?;
        let found = context.api::<Service>().get("shop").await?;
        let key = key(&found);
        ensure!(
            key.as_ref() == Some(&active.uid),
            "{value}: the key is {key:?}"
        );
        ensure!(port_of(&found) == Some(port), "{value} changed nothing");
    }
    switch_over(context, scene, &["shop"]).await?;
    never_lost(scene, "shop", from_ms)
}

/// At no resourceVersion did the Service point nowhere.
fn never_lost(scene: &Scene<'_>, name: &str, from_ms: u64) -> Result<()> {
    let timeline = scene.watcher.timeline();
    let mut since = timeline.since(from_ms);
    let lost = since.find(
        |event| matches!(&event.change, Change::Route { service, uid: None } if service == name),
    );
    ensure!(lost.is_none(), "{name} pointed nowhere: {lost:?}");
    Ok(())
}

fn port_of(service: &Service) -> Option<i32> {
    Some(service.spec.as_ref()?.ports.as_ref()?.first()?.port)
}

/// A chart that holds an annotated Service. Removed when dropped.
struct Chart(PathBuf);

impl Chart {
    fn write(namespace: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("{namespace}-{}", std::process::id()));
        let chart = Self(folder);
        let write = |file: &str, text: &str| -> Result<()> {
            let path = chart.0.join(file);
            std::fs::create_dir_all(path.parent().unwrap_or_else(|| Path::new("/")))?;
            Ok(std::fs::write(path, text)?)
        };
        write("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n")?;
        write("values.yaml", "port: 80\n")?;
        let mut object = service("shop", "web", Some("web"));
        object["spec"]["ports"][0]["port"] = "PORT".into();
        let text = object.to_string().replace("\"PORT\"", "{{ .Values.port }}");
        write("templates/service.yaml", &text)?;
        Ok(chart)
    }
}

impl Drop for Chart {
    fn drop(&mut self) {
        // What is left lies in the folder for temporary files.
        std::fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}
