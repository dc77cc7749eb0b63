//! Applying a Service again, in any way that people and programs do, ends without conflict and takes
//! nothing away; and without our annotation it is theirs alone again. The same by the policy and by
//! the webhook's rule, which stands in for it on API servers before 1.36.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;
use tests::clock;
use tests::cluster::Kube;
use tests::observe::Change;
use tests::scene::{self, Active, Scene};

use crate::context::{Case, Context};
use crate::fencing_cast::{developer, service};
use crate::routing::{
    in_force, is_mutated, key, known, open, points_at, selector_owners, switch_over,
};

const ROUTED_MS: u64 = 2_000;
/// Values of `routing.rule` that must come to the same.
const RULES: [&str; 2] = ["Policy", "Webhook"];

pub(crate) const CASES: &[Case] = &[Case {
    name: "routing: applied again by any means nothing is taken away, by policy and webhook alike",
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

/// What somebody finds who looks at the Service.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// The active pod's uid is told by its name here.
    selector: Vec<(String, String)>,
    annotations: Vec<String>,
    owners: Vec<String>,
}

impl Found {
    fn of(service: &Service, active: &Active) -> Self {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone());
        let known = |(key, value): (String, String)| match value == active.uid {
            true => (key, "the active pod".to_owned()),
            false => (key, value),
        };
        Self {
            selector: selector.into_iter().flatten().map(known).collect(),
            annotations: service.annotations().keys().cloned().collect(),
            owners: selector_owners(service),
        }
    }
}

async fn applied_again(context: &Context<'_>) -> Result<()> {
    let result = by_each_rule(context).await;
    // Other tests need the default, however this one ended.
    let restored = scene::install_chart(context.cluster.kube(), &[]).await;
    result?;
    restored?;
    in_force(context, RULES[0]).await
}

async fn by_each_rule(context: &Context<'_>) -> Result<()> {
    let mut scene = open(context).await?;
    let developer = developer(context).await?;
    let mut found = Vec::new();
    for rule in known(context, &RULES).await? {
        let value = format!("routing.rule={rule}");
        scene::install_chart(context.cluster.kube(), &[&value]).await?;
        in_force(context, rule).await?;
        let mut audit = context.cluster.audit();
        audit.skip()?;
        let mut by_rule = Vec::new();
        for way in &WAYS {
            let again = again(context, &developer, &mut scene, way).await;
            by_rule.extend(again.with_context(|| format!("under {value}"))?);
        }
        let chart = Chart::write(&context.namespace)?;
        let charted = charted(context, &developer, &mut scene, &chart).await;
        by_rule.extend(charted.with_context(|| format!("under {value}"))?);
        let by_webhook = audit
            .read()?
            .iter()
            .filter(|event| is_mutated(event))
            .count();
        ensure!(
            (by_webhook > 0) == (rule == "Webhook"),
            "the webhook changed {by_webhook} writes under {value}"
        );
        found.push(by_rule);
    }
    let same = found.windows(2).all(|pair| pair[0] == pair[1]);
    ensure!(same, "by one rule after the other: {found:#?}");
    Ok(())
}

/// Applies, lets the role move, applies again as it was and with another port, lets it move once
/// more, and applies without our annotation.
async fn again(
    context: &Context<'_>,
    developer: &Kube,
    scene: &mut Scene<'_>,
    way: &Way,
) -> Result<Vec<Found>> {
    let at = ["--namespace", &context.namespace, "-f", "-"];
    let name = format!("{}{}", way.verb, way.options.concat());
    let mut object = service(&name, "web", Some("web"));
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
    points_at(scene, &name, &active.uid, ROUTED_MS).await?;
    let from_ms = clock::now_ms();
    let active = switch_over(context, scene, &[&name]).await?;
    let args = [&[way.verb], way.options, &at].concat();
    let mut all = Vec::new();
    for port in [80, 81] {
        object["spec"]["ports"][0]["port"] = port.into();
        developer
            .kubectl_with_input(&args, &object.to_string())
            .await?;
        let found = context.api::<Service>().get(&name).await?;
        all.push(as_applied(&found, &active, port).with_context(|| format!("{args:?}"))?);
        let owners = selector_owners(&found);
        ensure!(
            owners.contains(&way.owner.to_owned()),
            "{args:?}: the selector belongs to {owners:?}"
        );
    }
    let active = switch_over(context, scene, &[&name]).await?;
    never_lost(scene, &name, from_ms)?;
    let plain = service(&name, "web", None);
    developer
        .kubectl_with_input(&args, &plain.to_string())
        .await?;
    all.push(given_back(context, &name, &active).await?);
    context.kubectl(&["delete", "service", &name]).await?;
    Ok(all)
}

/// The same by Helm.
async fn charted(
    context: &Context<'_>,
    developer: &Kube,
    scene: &mut Scene<'_>,
    chart: &Chart,
) -> Result<Vec<Found>> {
    let folder = chart.folder();
    let at = ["--namespace", &context.namespace];
    let install = ["install", "shop", &folder];
    developer.helm(&[&install[..], &at].concat()).await?;
    let active = scene.settled().await?;
    points_at(scene, "shop", &active.uid, ROUTED_MS).await?;
    let from_ms = clock::now_ms();
    let active = switch_over(context, scene, &["shop"]).await?;
    let mut all = Vec::new();
    for port in [80, 81] {
        let value = format!("port={port}");
        let upgrade = ["upgrade", "shop", &folder, "--set", &value];
        developer.helm(&[&upgrade[..], &at].concat()).await?;
        let found = context.api::<Service>().get("shop").await?;
        all.push(as_applied(&found, &active, port).context(value)?);
    }
    let active = switch_over(context, scene, &["shop"]).await?;
    never_lost(scene, "shop", from_ms)?;
    let upgrade = ["upgrade", "shop", &folder, "--set", "annotated=false"];
    developer.helm(&[&upgrade[..], &at].concat()).await?;
    all.push(given_back(context, "shop", &active).await?);
    let uninstall = ["uninstall", "shop"];
    developer.helm(&[&uninstall[..], &at].concat()).await?;
    Ok(all)
}

/// A Service that was applied with this port and points where it did.
fn as_applied(service: &Service, active: &Active, port: i32) -> Result<Found> {
    let key = key(service);
    ensure!(key.as_ref() == Some(&active.uid), "the key is {key:?}");
    ensure!(port_of(service) == Some(port), "it changed nothing");
    Ok(Found::of(service, active))
}

/// A Service without our annotation has the selector of its owner.
async fn given_back(context: &Context<'_>, name: &str, active: &Active) -> Result<Found> {
    let service = context.api::<Service>().get(name).await?;
    let found = Found::of(&service, active);
    let own = [("app".to_owned(), "web".to_owned())];
    ensure!(found.selector == own, "{name} is left with {found:?}");
    Ok(found)
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

pub(crate) fn port_of(service: &Service) -> Option<i32> {
    Some(service.spec.as_ref()?.ports.as_ref()?.first()?.port)
}

/// A chart that holds a Service. Removed when dropped.
pub(crate) struct Chart(PathBuf);

impl Chart {
    fn write(namespace: &str) -> Result<Self> {
        let template = |group| {
            let mut object = service("shop", "web", group);
            object["spec"]["ports"][0]["port"] = "PORT".into();
            object.to_string().replace("\"PORT\"", "{{ .Values.port }}")
        };
        let (annotated, plain) = (template(Some("web")), template(None));
        let text =
            format!("{{{{ if .Values.annotated }}}}{annotated}{{{{ else }}}}{plain}{{{{ end }}}}");
        Self::of(namespace, "port: 80\nannotated: true\n", &text)
    }

    /// One with these values and this template.
    pub(crate) fn of(namespace: &str, values: &str, template: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("{namespace}-{}", std::process::id()));
        let chart = Self(folder);
        let write = |file: &str, text: &str| -> Result<()> {
            let path = chart.0.join(file);
            std::fs::create_dir_all(path.parent().unwrap_or_else(|| Path::new("/")))?;
            Ok(std::fs::write(path, text)?)
        };
        write("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n")?;
        write("values.yaml", values)?;
        write("templates/service.yaml", template)?;
        Ok(chart)
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

impl Drop for Chart {
    fn drop(&mut self) {
        // What is left lies in the folder for temporary files.
        std::fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}
