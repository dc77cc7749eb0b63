use super::*;
use crate::fake_api::FakeApi;
use crate::readiness::Readiness;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;

const POLICIES: &str = "/apis/active-passive.dev/v1alpha1/activepassivepolicies";

/// The creation of a Deployment that takes part.
fn review(kind: &str, replicas: u32) -> Review {
    let template = json!({
        "metadata": {"annotations": {"active-passive.dev/inject": "true"}},
        "spec": {"containers": [{"name": "app"}]},
    });
    let group = if kind == "Deployment" { "apps" } else { "" };
    let body = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u1",
            "kind": {"group": group, "version": "v1", "kind": kind},
            "namespace": "shop",
            "operation": "CREATE",
            "object": {
                "metadata": {"name": "web"},
                "spec": {"replicas": replicas, "template": template},
            },
        },
    });
    Review::parse(body.to_string().as_bytes(), Resource::Workload).unwrap()
}

async fn known(api: &FakeApi, enforcement: &str, constraints: Value) -> Arc<Known> {
    let spec = json!({"enforcement": enforcement, "constraints": constraints});
    api.put(
        &format!("{POLICIES}/rules"),
        json!({"metadata": {"generation": 1}, "spec": spec}),
    );
    api.put("/api/v1/namespaces/shop", json!({"metadata": {}}));
    let known = Arc::new(Known::new(Vec::new()));
    tokio::spawn(
        known
            .clone()
            .follow(api.client(), Arc::new(Readiness::default())),
    );
    let mut policies = known.policies();
    policies
        .wait_for(|it| it.in_force.len() == 1)
        .await
        .unwrap();
    known
}

#[tokio::test(start_paused = true)]
async fn a_policy_speaks_for_itself_and_about_what_violates_it() {
    let api = FakeApi::new();
    let client = api.client();
    let known = known(&api, "Enforce", json!({"minReplicas": 2})).await;
    let said = async |policy: &str, replicas| {
        let said = violations(&known, &client, policy, &review("Deployment", replicas)).await;
        said.unwrap()
            .map(|(enforcement, reasons)| (enforcement, reasons.to_string()))
    };
    let (enforcement, message) = said("rules", 1).await.unwrap();
    assert_eq!(enforcement, Enforcement::Enforce);
    assert!(
        message.starts_with("policy rules: spec.replicas is 1"),
        "{message}"
    );
    assert_eq!(said("rules", 2).await, None);
    assert_eq!(
        said("gone", 1).await,
        None,
        "an entry may outlive its policy by a moment"
    );
}

#[tokio::test(start_paused = true)]
async fn services_are_looked_for_where_a_policy_asks_for_one() {
    let api = FakeApi::new();
    let client = api.client();
    let known = known(&api, "Warn", json!({"requireRoutedService": true})).await;
    let review = review("Deployment", 2);
    let (enforcement, _) = violations(&known, &client, "rules", &review)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(enforcement, Enforcement::Warn);
    let annotations = json!({"active-passive.dev/group": "web"});
    api.put(
        "/api/v1/namespaces/shop/services/web",
        json!({"metadata": {"annotations": annotations}}),
    );
    assert!(
        violations(&known, &client, "rules", &review)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn a_namespace_with_too_many_services_is_not_judged_by_them() {
    let api = FakeApi::new();
    let client = api.client();
    let known = known(&api, "Enforce", json!({"requireRoutedService": true})).await;
    let review = review("Deployment", 2);
    let add = |name: &str| {
        let path = format!("/api/v1/namespaces/shop/services/{name}");
        api.put(&path, json!({"metadata": {}}));
    };
    (0..200).for_each(|index| add(&format!("s{index}")));
    let said = violations(&known, &client, "rules", &review).await;
    assert!(said.unwrap().is_some(), "all are known, and none serves it");
    add("one-more");
    let said = violations(&known, &client, "rules", &review).await;
    assert_eq!(said.unwrap(), None, "one that is not known may serve it");
}

#[tokio::test(start_paused = true)]
async fn one_review_at_a_time_has_few_services_in_memory() {
    let api = FakeApi::new();
    let known = known(&api, "Enforce", json!({"requireRoutedService": true})).await;
    for index in 0..9 {
        let path = format!("/api/v1/namespaces/shop/services/s{index}");
        api.put(&path, json!({"metadata": {}}));
    }
    let (client, counts) = api.counted();
    let review = review("Deployment", 2);
    let one = |_| violations(&known, &client, "rules", &review);
    for said in join_all((0..10).map(one)).await {
        assert!(said.unwrap().is_some());
    }
    assert_eq!(counts.most(), 1);
    assert_eq!(counts.all(), 10 * 3, "pages of four");
}

#[test]
fn only_workloads_are_judged() {
    let body = |kind: &str| {
        json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {"uid": "u1", "kind": {"group": "", "version": "v1", "kind": kind}, "object": {}},
        })
    };
    let refused =
        Review::parse(body("Pod").to_string().as_bytes(), Resource::Workload).unwrap_err();
    assert!(
        refused
            .to_string()
            .ends_with("this path answers for workloads of apps/v1 and batch/v1")
    );
}
