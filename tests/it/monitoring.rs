//! The chart's alerts and dashboard: what they read exists, each alert is raised by what it is for and
//! by nothing else, and has its place in the runbook.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use common::metrics;
use serde_json::{Value, json};
use tests::cluster::Binaries;
use tests::monitoring::{Query, metrics_read, queries};

use crate::deploy::{helm, rendered};
use crate::tidy::root;

const DASHBOARD: &str = "charts/active-passive/dashboards/active-passive.json";
/// What raises each alert.
const CASES: &str = "tests/prometheus/alerts.yaml";
const ALERTS: usize = 15;
/// Width of Grafana's grid.
const COLUMNS: u64 = 24;

/// The rules of the chart, with all that brings some.
fn rules(values: &[&str]) -> Value {
    let all = [
        "--set=monitoring.serviceMonitor=true",
        "--set=monitoring.podMonitor=true",
        "--set=monitoring.prometheusRule=true",
        "--set=serviceMode.enabled=true",
        "--show-only=templates/alerts.yaml",
    ];
    let text = rendered(&helm(), &[&all[..], values].concat());
    let object: Value = serde_saphyr::from_str(&text).expect("the rules are YAML");
    object["spec"].clone()
}

/// Every rule, an alert or a record.
fn each_rule(rules: &Value) -> Vec<&Value> {
    let groups = rules["groups"].as_array().expect("groups");
    let rules = groups
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"));
    rules.collect()
}

fn alerts(rules: &Value) -> Vec<&str> {
    let rules = each_rule(rules).into_iter();
    rules.filter_map(|rule| rule["alert"].as_str()).collect()
}

fn dashboard() -> Value {
    let text = fs::read_to_string(root().join(DASHBOARD)).expect("it is committed");
    serde_json::from_str(&text).expect("the dashboard is JSON")
}

/// Runs promtool in a folder, and returns what it says if it fails.
fn promtool(folder: &Path, args: &[&str]) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let found = runtime.block_on(Binaries::promtool());
    let promtool = found.expect("promtool is found or built").path("promtool");
    let output = Command::new(promtool)
        .args(args)
        .current_dir(folder)
        .output()
        .expect("promtool starts");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    output.status.success().then_some(()).ok_or(said)
}

/// A folder for one test, which is removed.
struct Folder(std::path::PathBuf);

impl Folder {
    fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("there is room for a folder");
        for (file, text) in files {
            fs::write(folder.join(file), text).expect("there is room for a file");
        }
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn alerts_are_raised_by_what_they_are_for() {
    let cases = fs::read_to_string(root().join(CASES)).expect("it is committed");
    let rules = rules(&[]).to_string();
    let folder = Folder::with("alerts", &[("rules.yaml", &rules), ("alerts.yaml", &cases)]);
    for args in [
        &["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"][..],
        &["test", "rules", "alerts.yaml"],
    ] {
        promtool(&folder.0, args).unwrap_or_else(|said| panic!("promtool {args:?}: {said}"));
    }
}

/// A test of rules that never fails would say nothing.
#[test]
fn a_rule_that_asks_for_something_else_fails_its_case() {
    let cases = fs::read_to_string(root().join(CASES)).expect("it is committed");
    let rules = rules(&[]).to_string();
    let other = rules.replace("(active_passive_role) == 0", "(active_passive_role) == 2");
    assert_ne!(rules, other);
    let folder = Folder::with(
        "other-alerts",
        &[("rules.yaml", &other), ("alerts.yaml", &cases)],
    );
    let said = promtool(&folder.0, &["test", "rules", "alerts.yaml"]).expect_err("it fails");
    assert!(said.contains("ActivePassiveNobodyActive"), "{said}");
}

#[test]
fn each_alert_has_a_case_that_raises_it_and_one_that_does_not() {
    let cases = fs::read_to_string(root().join(CASES)).expect("it is committed");
    let cases: Value = serde_saphyr::from_str(&cases).expect("the cases are YAML");
    let mut seen: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    let tests = cases["tests"].as_array().expect("tests");
    let tests = tests
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_array().expect("looks"));
    for look in tests {
        let name = look["alertname"].as_str().expect("a name");
        let raised = !look["exp_alerts"].as_array().expect("alerts").is_empty();
        seen.entry(name).or_default().insert(raised);
    }
    let rules = rules(&[]);
    let known = alerts(&rules);
    assert_eq!(known.len(), ALERTS, "{known:?}");
    for alert in &known {
        let looks = seen.remove(alert).unwrap_or_default();
        assert_eq!(looks.len(), 2, "{alert}: raised or not, {looks:?} only");
    }
    assert!(seen.is_empty(), "cases of alerts that are not: {seen:?}");
}

#[test]
fn each_alert_has_its_place_in_the_runbook() {
    let page = fs::read_to_string(root().join("docs/operations.md")).expect("it is committed");
    let runbooks = "https://runbooks.example/operations";
    let rules = rules(&[&format!("--set=monitoring.runbooks={runbooks}")]);
    let known = alerts(&rules);
    for rule in each_rule(&rules) {
        let Some(alert) = rule["alert"].as_str() else {
            continue;
        };
        let heading = format!("\n### {alert}\n");
        assert!(page.contains(&heading), "operations.md: no {alert}");
        let url = format!("{runbooks}#{}", alert.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], url.as_str(), "{alert}");
        let severity = rule["labels"]["severity"].as_str();
        assert!(matches!(severity, Some("warning" | "critical")), "{alert}");
    }
    // Nor does it explain what is no alert any more.
    for line in page.lines() {
        if let Some(alert) = line.strip_prefix("### ActivePassive") {
            let alert = format!("ActivePassive{alert}");
            assert!(known.contains(&alert.as_str()), "{alert} is no alert");
        }
    }
}

#[test]
fn alerts_of_what_is_not_scraped_are_left_out() {
    let without = |value: &str| rules(&[value]).to_string();
    let sidecars = without("--set=monitoring.podMonitor=false");
    assert!(sidecars.contains("ActivePassiveWebhookAbsent"));
    assert!(!sidecars.contains("active_passive_role"), "{sidecars}");
    let webhook = without("--set=monitoring.serviceMonitor=false");
    assert!(webhook.contains("ActivePassiveNobodyActive"));
    assert!(!webhook.contains("ActivePassiveWebhookAbsent"), "{webhook}");
    let service_mode = without("--set=serviceMode.enabled=false");
    assert!(!service_mode.contains("service_mode"), "{service_mode}");
}

/// Whoever may make annotated pods decides what is scraped at their ports.
#[test]
fn what_tells_of_the_webhook_comes_from_its_namespace_alone() {
    let ours = "{namespace=\"active-passive-system\"";
    for rule in each_rule(&rules(&[])) {
        let expr = rule["expr"].as_str().expect("an expression");
        for program in ["active_passive_webhook_", "active_passive_service_mode_"] {
            for read in expr.split(program).skip(1) {
                let labels = read.trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '_');
                assert!(labels.starts_with(ours), "{expr}");
            }
        }
    }
    let monitors = rendered(
        &helm(),
        &[
            "--set=monitoring.podMonitor=true",
            "--show-only=templates/monitors.yaml",
        ],
    );
    let monitor: Value = serde_saphyr::from_str(&monitors).expect("one monitor");
    assert_eq!(monitor["spec"]["sampleLimit"], 500);
    let drops = &monitor["spec"]["podMetricsEndpoints"][0]["metricRelabelings"][0];
    assert_eq!(
        (&drops["action"], &drops["regex"]),
        (
            &json!("drop"),
            &json!("active_passive_(webhook|service_mode)_.*")
        )
    );
}

#[test]
fn what_alerts_and_dashboard_read_is_measured() {
    let rules = rules(&[]);
    let known: BTreeSet<String> = metrics::all()
        .map(|metric| metric.name.to_owned())
        .chain(each_rule(&rules).into_iter().filter_map(|rule| {
            let record = rule["record"].as_str()?;
            Some(record.to_owned())
        }))
        .collect();
    let of_rules = each_rule(&rules).into_iter().map(|rule| Query {
        panel: "a rule".to_owned(),
        expr: rule["expr"].as_str().expect("an expression").to_owned(),
    });
    let mut read = BTreeSet::new();
    for query in of_rules.chain(queries(&dashboard())) {
        let names = metrics_read(&query.expr);
        assert!(!names.is_empty(), "{query:?} reads nothing of ours");
        for name in names {
            assert!(
                known.contains(&name),
                "{name}, which {query:?} reads, is not"
            );
            read.insert(name);
        }
    }
    let unread: Vec<&String> = known.difference(&read).collect();
    assert!(unread.is_empty(), "nobody looks at {unread:?}");
}

#[test]
fn panels_lie_beside_each_other_and_say_what_they_show() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    let mut taken: BTreeSet<(u64, u64)> = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].as_u64()), "{title}: its id twice");
        let described = panel["type"] == "row" || panel["description"].is_string();
        assert!(described, "{title}: no description");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|it| panel["gridPos"][it].as_u64());
        let [Some(x), Some(y), Some(w), Some(h)] = [x, y, w, h] else {
            panic!("{title}: no place");
        };
        assert!(x + w <= COLUMNS, "{title} sticks out");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{title} lies on another panel");
        }
    }
    let alerts = rules(&[]);
    let known = self::alerts(&alerts);
    for word in dashboard
        .to_string()
        .split(|c: char| !c.is_ascii_alphanumeric())
    {
        let alert = word.starts_with("ActivePassive");
        assert!(!alert || known.contains(&word), "{word} is no alert");
    }
}

#[test]
fn the_dashboard_is_there_when_it_is_asked_for() {
    let helm = helm();
    assert!(!rendered(&helm, &[]).contains("grafana_dashboard"));
    let asked = [
        "--set=monitoring.grafanaDashboard=true",
        "--show-only=templates/dashboard.yaml",
    ];
    let object: Value = serde_saphyr::from_str(&rendered(&helm, &asked)).expect("YAML");
    assert_eq!(object["metadata"]["labels"]["grafana_dashboard"], "1");
    let data = object["data"]["active-passive.json"]
        .as_str()
        .expect("data");
    let rendered: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(rendered, dashboard());
}
