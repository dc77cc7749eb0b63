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
    let path = std::env::temp_dir().join(format!("{name}-{}.yaml", std::process::id()));
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
    assert!(
        missing.0.ends_with("Deployment/web: 1 changes are missing"),
        "{missing:?}"
    );
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
    let back = run("uninject", &again, &[]).unwrap();
    assert!(back.starts_with(WEB), "{back}");
}

#[test]
fn json_comes_out_as_json() {
    let path = file("json", WEB);
    let printed = run("inject", &path, &["-o", "json"]).unwrap();
    let list: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
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
    let (pod, settings) = super::as_created(pod);
    assert_eq!(settings.image, "mirror.example/sidecar:1");
    let injected = ::inject::offline::inject(&pod, "shop", &settings);
    let mut told = String::new();
    super::tell(&mut told, &injected[0]).unwrap();
    assert!(told.starts_with("Pod/web-1\n  group web\n"), "{told}");
    assert!(
        told.contains("  adds /spec/initContainers/0/restartPolicy\n"),
        "{told}"
    );
    assert!(!told.contains("/image\n"), "{told}");
}
