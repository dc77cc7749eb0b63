//! What Prometheus and Grafana get to see: the chart's monitors find every program, every documented
//! metric is scraped with the labels that are documented, and whatever rules and panels ask for is there.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use common::metrics::{self, Kind, Metric};
use serde_json::{Value, json};
use tests::monitoring::{Query, queries};
use tests::project_root;
use tests::scene::{SYSTEM_NAMESPACE, Scene};

use crate::context::{Case, Context, eventually};
use crate::prometheus::Prometheus;
use crate::service_mode::switch_on;

const GROUP: &str = "web";
const REPLICAS: usize = 3;
/// Targets: the group's sidecars, the webhook's replicas, those of Service mode.
const TARGETS: usize = REPLICAS + 2 + 2;
/// How long targets may take to be found and scraped, milliseconds.
const SCRAPED_MS: u64 = 20_000;
/// How long the role may take to move, milliseconds.
const MOVED_MS: u64 = 10_000;
/// Rates are asked for over a time that all of the test fits into, so that what happened once is in it.
const RATE: &str = "3m";
/// What is compared with before is compared with so long ago.
const RANGE: &str = "8s";
/// How long it may take until what is asked for is there, milliseconds.
const ASKED_MS: u64 = 30_000;
/// What Prometheus adds to the labels of a series.
const ADDED: [&str; 6] = ["__name__", "group", "instance", "job", "namespace", "pod"];
/// Labels whose values in rules are there in a sound cluster too.
const SOUND: [&str; 4] = ["kind", "le", "namespace", "path"];
/// What Prometheus keeps of a histogram.
const PARTS: [&str; 3] = ["_bucket", "_count", "_sum"];

pub(crate) const CASES: &[Case] = &[Case {
    name: "monitoring: Prometheus finds every program, and all that alerts and dashboard ask for",
    run: |context| Box::pin(scraped(context)),
}];

async fn scraped(context: &Context<'_>) -> Result<()> {
    switch_on(context).await?;
    let (cluster, namespace) = (context.cluster, &context.namespace);
    let manifest = Scene::example()?;
    let mut scene = Scene::open(cluster, namespace, GROUP, &manifest, REPLICAS).await?;
    let chart = Chart::render(context).await?;
    let watched = [namespace.as_str(), SYSTEM_NAMESPACE];
    let kube = cluster.kube();
    let prometheus = Prometheus::start(kube, &chart.monitors, &chart.rules, &watched).await?;
    all_up(&prometheus).await?;

    // Something to tell of: a pod is denied, and the role moves as planned.
    denied(context).await?;
    let active = scene.settled().await?;
    scene.delete(&active.name).await?;
    scene.moved_from(&active, MOVED_MS).await?;

    let board = project_root().join("charts/active-passive/dashboards/active-passive.json");
    let board: Value = serde_json::from_str(&std::fs::read_to_string(board)?)?;
    let panels = queries(&board);
    ensure!(panels.len() > 20, "only {} queries", panels.len());
    for query in panels {
        answered(&prometheus, &query).await?;
    }
    for rule in chart.each_rule() {
        let expr = rule["expr"].as_str().context("an expression")?;
        let tree = prometheus.parse(expr).await?;
        for selector in selectors(&tree)? {
            let panel = format!("rule {}", rule["alert"]);
            let query = Query {
                panel,
                expr: selector,
            };
            answered(&prometheus, &query).await?;
        }
    }
    documented(&prometheus).await?;
    let alerts = prometheus.alerts().await?;
    let firing: Vec<&Value> = alerts.iter().filter(|it| it["state"] == "firing").collect();
    ensure!(firing.is_empty(), "alerts of a sound cluster: {firing:#?}");
    Ok(())
}

/// What the chart has for the Prometheus operator.
struct Chart {
    monitors: Vec<Value>,
    rules: Value,
}

impl Chart {
    async fn render(context: &Context<'_>) -> Result<Self> {
        let chart = project_root().join("charts/active-passive");
        let chart = chart.to_string_lossy();
        let mut args = vec!["template", "active-passive", &chart];
        args.extend(["--namespace", SYSTEM_NAMESPACE]);
        for value in [
            "webhook.image.repository=webhook",
            "sidecar.image.repository=sidecar",
            "monitoring.serviceMonitor=true",
            "monitoring.podMonitor=true",
            "monitoring.prometheusRule=true",
            "serviceMode.enabled=true",
        ] {
            args.extend(["--set", value]);
        }
        let mut text = String::new();
        for template in ["monitors", "alerts"] {
            let only = format!("--show-only=templates/{template}.yaml");
            let args = [&args[..], &[only.as_str()]].concat();
            text.push_str(&context.cluster.kube().helm(&args).await?);
        }
        let documents = text.split("\n---\n").filter(|it| it.contains("kind:"));
        let objects = documents.map(|it| Ok(serde_saphyr::from_str::<Value>(it)?));
        let objects = objects.collect::<Result<Vec<_>>>()?;
        let (rules, monitors): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .partition(|it| it["kind"] == "PrometheusRule");
        ensure!(monitors.len() == 3, "{} monitors", monitors.len());
        let rules = rules.first().context("rules")?["spec"].clone();
        Ok(Self { monitors, rules })
    }

    fn each_rule(&self) -> impl Iterator<Item = &Value> {
        let groups = self.rules["groups"].as_array().into_iter().flatten();
        groups.flat_map(|group| group["rules"].as_array().into_iter().flatten())
    }
}

async fn all_up(prometheus: &Prometheus) -> Result<()> {
    eventually("every target is scraped", SCRAPED_MS, async || {
        let up = prometheus.query("up").await?;
        let working = up.iter().filter(|it| it["value"][1] == "1").count();
        Ok(if working == TARGETS && up.len() == TARGETS {
            Ok(())
        } else {
            Err(format!("{up:#?}"))
        })
    })
    .await
}

/// A pod whose annotation says nonsense.
async fn denied(context: &Context<'_>) -> Result<()> {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "nonsense", "annotations": {
            "active-passive.dev/inject": "true",
            "active-passive.dev/group": "nonsense",
            "active-passive.dev/lease-duration": "soon",
        }},
        "spec": {"containers": [{"name": "app", "image": "example.invalid/app"}]},
    });
    let apply = ["create", "-f", "-"];
    let answer = context.kubectl_answer(&apply, &pod.to_string()).await?;
    ensure!(!answer.succeeded, "the pod was taken");
    Ok(())
}

/// Waits until a query gives something.
async fn answered(prometheus: &Prometheus, query: &Query) -> Result<()> {
    let expr = query.over(RATE, RANGE);
    let what = format!("series for {}: {expr}", query.panel);
    eventually(&what, ASKED_MS, async || {
        let samples = prometheus.query(&expr).await?;
        // A quantile of nothing is no number.
        let told = samples.iter().any(|it| it["value"][1] != "NaN");
        Ok(if told {
            Ok(())
        } else {
            Err(format!("{samples:?}"))
        })
    })
    .await
}

/// A selector for each one of an expression: of the same metric, with some value of the labels that the
/// expression compares and groups by. What alerts wait for is not there in a sound cluster.
fn selectors(tree: &Value) -> Result<Vec<String>> {
    let mut found = Vec::new();
    collect(tree, &BTreeSet::new(), &mut found)?;
    ensure!(!found.is_empty(), "no selector in {tree}");
    Ok(found)
}

fn collect(node: &Value, outer: &BTreeSet<String>, found: &mut Vec<String>) -> Result<()> {
    let names = |value: &Value| -> Vec<String> {
        let names = value.as_array().into_iter().flatten();
        names
            .filter_map(|it| it.as_str().map(str::to_owned))
            .collect()
    };
    let mut labels = outer.clone();
    match node["type"].as_str() {
        Some("vectorSelector" | "matrixSelector") => {
            let name = node["name"].as_str().context("a name")?;
            let mut matchers = Vec::new();
            for matcher in node["matchers"].as_array().context("matchers")? {
                let label = matcher["name"].as_str().context("a label")?;
                if SOUND.contains(&label) {
                    let (how, value) = (&matcher["type"], &matcher["value"]);
                    let how = how.as_str().context("how it matches")?;
                    matchers.push(format!("{label}{how}{value}"));
                } else if label != "__name__" {
                    labels.insert(label.to_owned());
                }
            }
            matchers.extend(labels.iter().map(|it| format!("{it}!=\"\"")));
            found.push(format!("{name}{{{}}}", matchers.join(",")));
            return Ok(());
        }
        Some("aggregation") => labels.extend(names(&node["grouping"])),
        Some("binaryExpr") => {
            let matched = names(&node["matching"]["labels"]);
            if matches!(node["op"].as_str(), Some("and" | "unless")) {
                // Of the second part nothing is left over but what the first one is compared with.
                collect(&node["rhs"], &matched.iter().cloned().collect(), found)?;
                labels.extend(matched);
                return collect(&node["lhs"], &labels, found);
            }
            labels.extend(matched);
        }
        _ => {}
    }
    for part in ["expr", "lhs", "rhs", "param"] {
        if node[part].is_object() {
            collect(&node[part], &labels, found)?;
        }
    }
    for argument in node["args"].as_array().into_iter().flatten() {
        collect(argument, &labels, found)?;
    }
    Ok(())
}

/// Every documented metric is scraped, with the type and labels that are documented, and no other.
async fn documented(prometheus: &Prometheus) -> Result<()> {
    let known: BTreeMap<&str, &Metric> = metrics::all().map(|it| (it.name, it)).collect();
    let types = prometheus.metadata().await?;
    let mut seen = BTreeSet::new();
    for series in prometheus
        .series("{__name__=~\"active_passive_.+\"}")
        .await?
    {
        let name = series["__name__"].as_str().context("a name")?;
        let part = PARTS.iter().find_map(|end| name.strip_suffix(end));
        let metric = known.get(name).or_else(|| known.get(part?));
        let metric = metric.with_context(|| format!("{name} is not documented"))?;
        let of_histogram = metric.kind == Kind::Histogram;
        let labels = series.as_object().context("labels")?.keys();
        let own: BTreeSet<&str> = labels
            .map(String::as_str)
            .filter(|it| !ADDED.contains(it) && (*it != "le" || !of_histogram))
            .collect();
        let told: BTreeSet<&str> = metric.labels.iter().map(|it| it.name).collect();
        ensure!(
            own == told,
            "{name} has labels {own:?}, documented {told:?}"
        );
        seen.insert(metric.name);
    }
    for (name, metric) in &known {
        ensure!(seen.contains(name), "{name} is documented, and not there");
        // The format of the webhook's library has counters without their end.
        let plain = name.trim_end_matches("_total");
        let told = [name, plain].map(|it| &types[it][0]["type"]);
        let kind = metric.kind.as_str();
        ensure!(told.iter().any(|it| **it == kind), "{name} is {told:?}");
    }
    Ok(())
}
