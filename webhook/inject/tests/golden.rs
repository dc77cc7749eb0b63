//! Each folder of `testdata/` holds a pod and what becomes of it. `UPDATE=1 cargo test -p inject`
//! writes the expectations anew; read the diff before committing it.
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(
    clippy::disallowed_methods,
    reason = "reads files and UPDATE; the library does not"
)]

mod common;

use common::{apply, decided, kept};
use inject::Decision;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn golden() {
    let update = std::env::var("UPDATE").is_ok();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut cases: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 60, "testdata is gone");
    let mut wrong = Vec::new();
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let yaml = std::fs::read_to_string(case.join("pod.yaml")).unwrap();
        let pod: Value = serde_saphyr::from_str(&yaml).unwrap();
        let found = describe(&name, &pod);
        let file = case.join("expect.json");
        let text = format!("{}\n", serde_json::to_string_pretty(&found).unwrap());
        if update {
            std::fs::write(&file, text).unwrap();
        } else if std::fs::read_to_string(&file).unwrap_or_default() != text {
            wrong.push(format!("{name}: found\n{text}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nUPDATE=1 writes these",
        wrong.join("\n")
    );
}

/// What becomes of `pod`; on the way, what must hold for every pod.
fn describe(name: &str, pod: &Value) -> Value {
    let decision = decided(pod);
    let mut found = json!({"decision": decision.code()});
    match &decision {
        Decision::Skip(reason) => {
            found["reason"] = json!({"code": reason.code(), "message": reason.to_string()});
        }
        Decision::Deny { reasons, warnings } => {
            found["reasons"] = reasons
                .0
                .iter()
                .map(|reason| json!({"code": reason.code(), "message": reason.to_string()}))
                .collect();
            found["warnings"] = json!(warnings);
        }
        Decision::Patch(injection) => {
            found["group"] = json!(injection.group.as_str());
            found["account"] = json!({
                "name": injection.account.name,
                "kind": format!("{:?}", injection.account.kind),
            });
            found["warnings"] = json!(injection.warnings);
            found["patch"] = serde_json::to_value(&injection.ops).unwrap();

            let patched = apply(pod, injection);
            kept(pod, &patched, "").unwrap_or_else(|lost| panic!("{name} lost {lost}"));
            let again = decided(&patched);
            assert_eq!(
                again.code(),
                "unchanged",
                "{name}, a second time: {again:?}"
            );
        }
    }
    found
}
