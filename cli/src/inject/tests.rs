//! The three commands, from files to what is printed.

use crate::args::Args;
use crate::execute;
use clap::Parser;
use std::path::{Path, PathBuf};

const WEB: &str = "# The shop's web server.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web # also the group
spec:
  replicas: 3
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: app   # the only one
        image: app:1
        env:
        - {name: A, value: \"1\"}
---
apiVersion: v1
kind: Service
metadata: {name: web}
";

/// A file of its own for each test.
fn file(name: &str, text: &str) -> PathBuf {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default().replace("::", "-");
    let path = std::env::temp_dir().join(format!("{test}-{name}-{}.yaml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

fn run(command: &str, path: &Path, more: &[&str]) -> Result<String, (String, u8)> {
    let path = path.to_str().unwrap();
    let line = ["kubectl-active_passive", command, "-f", path];
    let args = Args::try_parse_from(line.iter().chain(more)).unwrap();
    let said = execute(&args).map(|said| said.text);
    said.map_err(|failure| (failure.to_string(), failure.exit_code()))
}

#[test]
fn the_annotation_is_one_change() {
    let path = file("annotate", WEB);
    let printed = run("inject", &path, &[]).unwrap();
    let added: Vec<&str> = printed.lines().filter(|line| !WEB.contains(line)).collect();
    assert!(added.len() <= 2, "{printed}");
    assert!(
        printed.contains("active-passive.dev/inject: 'true'"),
        "{printed}"
    );
    for line in WEB.lines() {
        assert!(printed.contains(line), "{line} is lost in {printed}");
    }
    let again = file("annotated", &printed);
    assert_eq!(run("inject", &again, &["--check"]), Ok(String::new()));
    assert_eq!(run("inject", &again, &[]), Ok(printed));
    assert_eq!(run("uninject", &again, &[]).unwrap(), WEB);
    let missing = run("inject", &path, &["--check"]).unwrap_err();
    let place = "is missing under spec.template.metadata.annotations";
    let lacks = format!("Deployment/web: active-passive.dev/inject: \"true\" {place}");
    assert!(missing.0.ends_with(&lacks), "{missing:?}");
    assert_eq!(missing.1, 5);
}

#[test]
fn everything_is_written_and_taken_back() {
    let path = file("full", WEB);
    let printed = run(
        "inject",
        &path,
        &[
            "--mode",
            "full",
            "--sidecar-image",
            "s:1",
            "--namespace",
            "shop",
        ],
    )
    .unwrap();
    for part in [
        "# The shop's web server.",
        "name: web # also the group",
        "- name: app   # the only one",
        "name: active-passive-group-web\n",
        "kind: RoleBinding",
        "restartPolicy: Always",
    ] {
        assert!(printed.contains(part), "no {part:?} in {printed}");
    }
    let again = file("fuller", &printed);
    assert_eq!(
        run(
            "inject",
            &again,
            &["--mode", "full", "--sidecar-image", "s:1", "--check"]
        ),
        Ok(String::new())
    );
    assert_eq!(run("uninject", &again, &[]).unwrap(), WEB);
    let twice = run(
        "inject",
        &again,
        &["--mode", "full", "--sidecar-image", "s:1"],
    );
    assert_eq!(twice, Ok(printed), "nothing is printed twice");
}

#[test]
fn full_mode_says_what_is_missing() {
    let full = ["--mode", "full", "--sidecar-image", "s:1", "--check"];
    let (missing, code) = run("inject", &file("lacks", WEB), &full).unwrap_err();
    for part in [
        "Deployment/web: active-passive.dev/inject: \"true\" is missing under spec.template.",
        "Deployment/web: label active-passive.dev/group is missing",
        "Deployment/web: spec.initContainers: active-passive is missing",
    ] {
        assert!(missing.contains(part), "no {part:?} in {missing}");
    }
    assert_eq!(code, 5);
}

/// The objects that are made for a group, of what full mode prints.
fn made(text: &str, more: &[&str]) -> Vec<serde_json::Value> {
    let path = file("made", text);
    let full = ["--mode", "full", "--sidecar-image", "s:1", "-o", "json"];
    let printed = run("inject", &path, &[&full, more].concat()).unwrap();
    let list: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let items = list["items"].as_array().unwrap().iter().cloned();
    items.filter(super::objects::is_ours).collect()
}

#[test]
fn made_objects_have_the_namespace_of_their_manifest() {
    let config = file(
        "kubeconfig",
        "{apiVersion: v1, kind: Config, current-context: c, clusters: [], users: [],\n\
         contexts: [{name: c, context: {cluster: c, user: u, namespace: of-context}}]}\n",
    );
    let config = ["--kubeconfig", config.to_str().unwrap()];
    let bare = made(WEB, &config);
    assert_eq!(bare.len(), 2, "{bare:?}");
    assert!(
        bare.iter()
            .all(|it| it["metadata"].get("namespace").is_none())
    );
    assert_eq!(bare[1]["subjects"][0]["namespace"], "of-context");
    let flag = made(WEB, &["-n", "shop", config[0], config[1]]);
    assert_eq!(flag[1]["subjects"][0]["namespace"], "shop");
    let named = WEB.replace("  name: web #", "  namespace: own\n  name: web #");
    let named = made(&named, &config);
    assert!(named.iter().all(|it| it["metadata"]["namespace"] == "own"));
    assert_eq!(named[1]["subjects"][0]["namespace"], "own");
}

#[test]
fn a_group_with_an_annotated_service_may_write_services() {
    let roles = |text: &str| {
        let made = made(text, &["-n", "shop"]);
        let roles = made.iter().filter_map(|it| it["roleRef"]["name"].as_str());
        roles.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(roles(WEB), ["active-passive-sidecar"]);
    let metadata = |more: &str| {
        let annotations = "annotations: {active-passive.dev/group: web}";
        WEB.replace(
            "metadata: {name: web}",
            &format!("metadata: {{name: web, {more}{annotations}}}"),
        )
    };
    let both = ["active-passive-sidecar", "active-passive-router"];
    assert_eq!(roles(&metadata("")), both);
    assert_eq!(roles(&metadata("namespace: shop, ")), both);
    assert_eq!(roles(&metadata("namespace: other, ")), both[..1]);
}

/// [`WEB`] whose template carries this annotation.
fn saying(value: &str) -> String {
    let says = format!("metadata:\n      annotations: {{active-passive.dev/inject: {value}}}\n");
    WEB.replace("metadata:\n      labels", &format!("{says}      labels"))
}

#[test]
fn who_wants_no_sidecar_gets_none() {
    let text = saying("\"false\"");
    let path = file("opted-out", &text);
    assert_eq!(run("inject", &path, &[]), Ok(text));
    assert_eq!(run("inject", &path, &["--check"]), Ok(String::new()));
    assert_eq!(run("uninject", &path, &[]).unwrap(), saying("\"false\""));
    let line = ["x", "inject", "--check", "-f", path.to_str().unwrap()];
    let said = execute(&Args::try_parse_from(line).unwrap()).unwrap();
    let aside = "Deployment/web: left alone, it says active-passive.dev/inject: \"false\"\n";
    assert_eq!(said.aside, aside);
}

#[test]
fn what_the_webhook_denies_is_denied_here() {
    let path = file("yes", &saying("\"yes\""));
    let line = ["x", "explain", "-f", path.to_str().unwrap()];
    let said = execute(&Args::try_parse_from(line).unwrap()).unwrap();
    assert_eq!(said.code, 5);
    let denied = "Deployment/web\n  denied (bad-value): active-passive.dev/inject: \"yes\"";
    assert!(said.text.starts_with(denied), "{}", said.text);
    let (refused, code) = run("inject", &path, &[]).unwrap_err();
    assert!(
        refused.contains("active-passive.dev/inject: \"yes\""),
        "{refused}"
    );
    assert_eq!(code, 5);
}

#[test]
fn an_annotation_in_the_wrong_place_is_pointed_at() {
    let says = "  annotations: {active-passive.dev/inject: \"true\"}\n";
    let path = file(
        "misplaced",
        &WEB.replacen("metadata:\n", &format!("metadata:\n{says}"), 1),
    );
    let hint = "active-passive.dev/inject: \"true\" is missing under \
                spec.template.metadata.annotations; it stands on the Deployment itself, where \
                nobody reads it";
    let (missing, _) = run("inject", &path, &["--check"]).unwrap_err();
    assert!(
        missing.ends_with(&format!("Deployment/web: {hint}")),
        "{missing}"
    );
    let told = run("explain", &path, &[]).unwrap();
    let asks = format!("  does not ask for the sidecar: {hint}\n  if it did:\n  group web\n");
    assert!(told.contains(&asks), "{told}");
}

#[test]
fn json_comes_out_as_json() {
    let path = file("json", WEB);
    let printed = run("inject", &path, &["-o", "json"]).unwrap();
    let list: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let full = ["-o", "json", "--mode", "full", "--sidecar-image", "s:1"];
    let full = file("full-json", &run("inject", &path, &full).unwrap());
    let read = |path: &Path, command: &str| -> serde_json::Value {
        let printed = run(command, path, &["-o", "json"]).unwrap();
        serde_json::from_str(&printed).unwrap()
    };
    assert_eq!(read(&full, "uninject"), read(&path, "uninject"));
}

#[test]
fn what_cannot_be_is_explained() {
    let bad = WEB.replace("  name: web #", "  name: web.example #");
    let path = file("bad", &bad);
    let refused = run("inject", &path, &[]).unwrap_err();
    assert!(
        refused
            .0
            .contains("Deployment/web.example: \"web.example\""),
        "{refused:?}"
    );
    let told = run("explain", &path, &[]).unwrap();
    assert!(told.contains("  denied (owner-name-no-group): "), "{told}");
    let told = run("explain", &file("good", WEB), &[]).unwrap();
    assert!(told.contains("  group web\n"), "{told}");
}

#[test]
fn a_pod_that_runs_is_looked_at_as_it_was_made() {
    let pod = serde_json::json!({
        "kind": "Pod",
        "metadata": {
            "name": "web-1",
            "labels": {"app": "web", "active-passive.dev/role": "active"},
            "annotations": {
                "active-passive.dev/inject": "true",
                "active-passive.dev/group": "web",
                "active-passive.dev/term": "7",
            },
            "ownerReferences": [{"kind": "StatefulSet", "name": "web", "controller": true}],
        },
        "spec": {
            "containers": [{"name": "app", "image": "app:1"}],
            "initContainers": [{
                "name": "active-passive",
                "image": "mirror.example/sidecar:1",
                "env": [{"name": "ACTIVE_PASSIVE_GROUP", "value": "web"}],
            }],
        },
    });
    let (pod, settings) = super::explain::as_created(pod);
    assert_eq!(settings.image, "mirror.example/sidecar:1");
    let injected = ::inject::offline::inject(&pod, "shop", &settings);
    let mut told = String::new();
    super::explain::decided(&mut told, &pod, &injected[0]).unwrap();
    assert!(told.starts_with("  group web\n"), "{told}");
    assert!(
        told.contains("  adds spec.initContainers[0].restartPolicy\n"),
        "{told}"
    );
    assert!(!told.contains(".image\n"), "{told}");
}
