//! The kind ActivePassivePolicy, as the chart brings it, says what this crate reads.
#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(
    clippy::disallowed_methods,
    reason = "reads what the chart renders; the library does not"
)]

use common::contract::{self, PROFILES, TEMPLATE_ANNOTATIONS};
use inject::policy::{ActivePassivePolicySpec, Constraints, WorkloadKind};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

fn kind() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/install.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let mut documents = text.split("\n---\n");
    let document = documents.find(|it| it.contains("\nkind: CustomResourceDefinition\n"));
    serde_saphyr::from_str(document.unwrap()).unwrap()
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_schema_has_the_fields_that_are_read_and_no_others() {
    let kind = kind();
    assert_eq!(kind["spec"]["group"], contract::POLICY_GROUP);
    assert_eq!(kind["spec"]["names"]["kind"], contract::POLICY_KIND);
    assert_eq!(kind["spec"]["names"]["plural"], contract::POLICY_PLURAL);
    let version = &kind["spec"]["versions"][0];
    assert_eq!(version["name"], contract::POLICY_VERSION);
    let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    let read = serde_json::to_value(ActivePassivePolicySpec::default()).unwrap();
    assert_eq!(keys(spec), keys(&read));
    let constraints = &spec["constraints"]["properties"];
    let read = serde_json::to_value(Constraints::default()).unwrap();
    assert_eq!(keys(constraints), keys(&read));

    let kinds = WorkloadKind::ALL.map(WorkloadKind::as_str);
    assert_eq!(spec["kinds"]["items"]["enum"], json!(kinds));
    let usual = WorkloadKind::USUAL.map(WorkloadKind::as_str);
    assert_eq!(spec["kinds"]["default"], json!(usual));
    assert_eq!(
        constraints["allowedProfiles"]["items"]["enum"],
        json!(PROFILES)
    );
}

#[test]
fn every_annotation_of_a_template_can_have_a_default_but_two() {
    let kind = kind();
    let schema = &kind["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let rules = &schema["properties"]["spec"]["properties"]["defaults"]["x-kubernetes-validations"];
    let rules = rules
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["rule"].as_str().unwrap());
    let of_keys = rules.filter(|rule| rule.contains("self.all(key"));
    let named: BTreeSet<&str> = of_keys
        .flat_map(|rule| rule.split('\'').skip(1).step_by(2))
        .collect();
    // These two have rules, and so messages, of their own.
    let known: BTreeSet<&str> = TEMPLATE_ANNOTATIONS.iter().map(|key| key.key).collect();
    assert_eq!(named, known);
    assert!(known.contains(contract::INJECT) && known.contains(contract::GROUP));
}
