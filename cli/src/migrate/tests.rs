//! The command, from files to what is printed and written.

use crate::args::Args;
use crate::execute;
use clap::Parser;
use std::fs;
use std::path::{Path, PathBuf};

/// The systems' own manifests, and ones that are harder.
const CASES: [(&str, &str); 7] = [
    ("apsc", "../tests/cluster/seeds/apsc.yaml"),
    (
        "service_leader_election",
        "../tests/cluster/seeds/service_leader_election.yaml",
    ),
    (
        "leader_labeler",
        "../tests/cluster/seeds/leader_labeler.yaml",
    ),
    (
        "leader_elector",
        "../tests/cluster/seeds/leader_elector.yaml",
    ),
    (
        "leader_labeler_v0_3",
        "testdata/migrate/leader_labeler_v0_3.yaml",
    ),
    (
        "leader_elector_shared",
        "testdata/migrate/leader_elector_shared.yaml",
    ),
    (
        "active_standby_controller",
        "testdata/migrate/active_standby_controller.yaml",
    ),
];

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A folder of its own for each test, with one file.
fn folder(name: &str, text: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("migrate-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("app.yaml"), text).unwrap();
    folder
}

fn run(folder: &Path, more: &[&str]) -> Result<String, (String, u8)> {
    let path = folder.to_str().unwrap();
    let line = [
        "kubectl-active_passive",
        "migrate",
        "-n",
        "files",
        "-f",
        path,
    ];
    let args = Args::try_parse_from(line.iter().chain(more)).unwrap();
    let said = execute(&args).map(|said| said.text.replace(&format!("{path}/"), ""));
    said.map_err(|failure| (failure.to_string(), failure.exit_code()))
}

#[test]
fn what_changes_is_shown_and_why() {
    let mut differing = Vec::new();
    for (case, manifest) in CASES {
        let folder = folder(case, &fs::read_to_string(here(manifest)).unwrap());
        let said = run(&folder, &[]).unwrap_or_else(|(why, _)| why);
        let kept = here(&format!("testdata/migrate/{case}.txt"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&kept, &said).unwrap();
        } else if fs::read_to_string(&kept).unwrap_or_default() != said {
            differing.push(format!("{case}:\n{said}"));
        }
        fs::remove_dir_all(&folder).unwrap();
    }
    assert!(
        differing.is_empty(),
        "UPDATE=1 keeps this, if it is right:\n{}",
        differing.join("\n")
    );
}

#[test]
fn what_is_written_is_what_was_shown_and_a_second_run_changes_nothing() {
    for (case, manifest) in CASES {
        let folder = folder(
            &format!("write-{case}"),
            &fs::read_to_string(here(manifest)).unwrap(),
        );
        let before = fs::read_to_string(folder.join("app.yaml")).unwrap();
        let shown = run(&folder, &[]).unwrap();
        assert_eq!(fs::read_to_string(folder.join("app.yaml")).unwrap(), before);
        let written = run(&folder, &["--write"]).unwrap();
        assert!(written.starts_with("wrote app.yaml\n"), "{written}");
        let after = fs::read_to_string(folder.join("app.yaml")).unwrap();
        for (sign, text, other) in [('+', &after, &before), ('-', &before, &after)] {
            for line in text.lines().filter(|line| !other.contains(line)) {
                assert!(
                    shown.contains(&format!("{sign}{line}\n")),
                    "{line}\n{shown}"
                );
            }
        }
        let again = run(&folder, &["--write"]).unwrap();
        assert!(!again.contains("wrote"), "{case}: {again}");
        assert!(!again.contains("dropped"), "{case}: {again}");
        assert_eq!(fs::read_to_string(folder.join("app.yaml")).unwrap(), after);
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            1,
            "no file is left over"
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}

/// A Deployment with one elector beside its app.
fn deployment(elector: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  template:\n    \
         metadata: {{labels: {{app: web}}}}\n    spec:\n      containers:\n      - name: app\n        \
         image: app:1\n        readinessProbe: {{httpGet: {{path: /ready, port: 28086}}}}\n      \
         - {elector}\n"
    )
}

#[test]
fn what_has_no_annotation_is_a_problem_and_nothing_is_written() {
    let labeler = |args: &str| format!("{{name: l, image: leader-labeler, args: [{args}]}}");
    let elector = |env: &str| {
        format!(
            "{{name: e, image: leader-elector, env: [{{name: LEASE_NAME, value: web}}, {env}]}}"
        )
    };
    for (case, (container, why)) in [
        (
            labeler("--election-name=web, --verbose"),
            "flag provided but not defined: -verbose",
        ),
        (labeler("--pod-name=x"), "it has no --election-name"),
        (
            labeler("--election-name=$(NAME)"),
            "election-name is \"$(NAME)\"",
        ),
        (
            labeler("--election-name=web, --namespace=else"),
            "in another namespace than its pods",
        ),
        (
            labeler("--election-name=web, --retry-interval=1s, --lease-name=web"),
            "under the profile leader-labeler-v0.3 the Lease is web-lock",
        ),
        (
            labeler("--election-name=web, --lease-duration=1s"),
            "lease-duration",
        ),
        (
            elector("{name: NAMESPACE, valueFrom: {configMapKeyRef: {name: c, key: n}}}"),
            "variable NAMESPACE has its value elsewhere",
        ),
        (
            elector("{name: STATUS_FILE, value: /s/leader}"),
            "set STATUS_DIR instead",
        ),
        (
            "{name: s, image: service-leader-election, args: [-patch-service=false]}".to_owned(),
            "there the leader alone is ready",
        ),
        (
            "{name: s, image: service-leader-election}".to_owned(),
            "the readinessProbe of container app asks the elector",
        ),
        (
            "{name: a, image: apsc, envFrom: [{configMapRef: {name: c}}]}".to_owned(),
            "variable POD_NAMESPACE may come from envFrom",
        ),
        ("{name: a, image: apsc}".to_owned(), "Deployment/web: "),
    ]
    .into_iter()
    .enumerate()
    {
        let text = deployment(&container);
        let folder = folder(&format!("problem-{case}"), &text);
        let (message, code) = run(&folder, &["--write"]).unwrap_err();
        assert!(message.contains(why), "{container}: {message}");
        assert_eq!(code, 5);
        assert_eq!(fs::read_to_string(folder.join("app.yaml")).unwrap(), text);
        fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn accounts_and_rights_that_others_use_stay() {
    let manifest = fs::read_to_string(here(CASES[0].1)).unwrap();
    let other = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: other}\nspec:\n  \
                 template:\n    spec:\n      serviceAccountName: apsc-test\n      containers:\n      \
                 - {name: app, image: app:1}\n";
    let folder = folder("others", &format!("{manifest}{other}"));
    run(&folder, &["--write"]).unwrap();
    let after = fs::read_to_string(folder.join("app.yaml")).unwrap();
    for kept in [
        "kind: Role\n",
        "kind: RoleBinding\n",
        "kind: ServiceAccount\n",
    ] {
        assert!(after.contains(kept), "{kept}{after}");
    }
    assert_eq!(after.matches("serviceAccountName: apsc-test").count(), 2);
    assert!(!after.contains("image: knoppiks/apsc"), "{after}");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn json_stays_json() {
    let text = r#"{
  "kind": "Deployment",
  "metadata": {"name": "web"},
  "spec": {"template": {
    "spec": {"containers": [
      {"name": "app", "image": "app:1"},
      {"name": "l", "image": "leader-labeler", "args": ["--election-name=web"]}
    ]}
  }}
}
"#;
    let folder = folder("json", text);
    run(&folder, &["--write"]).unwrap();
    let after = fs::read_to_string(folder.join("app.yaml")).unwrap();
    let object: serde_json::Value = serde_json::from_str(&after).unwrap();
    let template = &object["spec"]["template"];
    let asked = &template["metadata"]["annotations"]["active-passive.dev/inject"];
    assert_eq!(asked, "true", "{after}");
    assert_eq!(template["spec"]["containers"].as_array().unwrap().len(), 1);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_is_no_file_cannot_be_written() {
    let line = ["kubectl-active_passive", "migrate", "-f", "-", "--write"];
    let args = Args::try_parse_from(line).unwrap();
    let failure = execute(&args).unwrap_err().to_string();
    assert!(
        failure.contains("it cannot be written in place"),
        "{failure}"
    );
}
