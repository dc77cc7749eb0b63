use super::*;
use crate::fake_api::FakeApi;
use inject::policy::claim;
use serde_json::{Value, json};

fn policies() -> [Arc<Policy>; 1] {
    let object = json!({"metadata": {"name": "all"}, "spec": {"inject": "Default"}});
    [Arc::new(Policy::read(&object).unwrap())]
}

fn put(api: &FakeApi, plural: &str, name: &str, created: &str) {
    let template = json!({"metadata": {}, "spec": {"containers": [{"name": "app"}]}});
    let object = json!({
        "metadata": {"creationTimestamp": created}, "spec": {"template": template},
    });
    api.put(
        &format!("/apis/apps/v1/namespaces/shop/{plural}/{name}"),
        object,
    );
}

fn lease(api: &FakeApi, name: &str, metadata: Value) {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/shop/leases/{name}");
    api.put(&path, json!({"metadata": metadata}));
}

async fn why(api: &FakeApi, kind: &str, name: &str) -> Option<String> {
    let owner = json!({"kind": kind, "name": name, "controller": true});
    let pod = json!({"metadata": {"ownerReferences": [owner]}, "spec": {}});
    let claim = claim(&pod, &policies()).unwrap();
    let place = ("shop", &Labels::new());
    let found = rivals(&api.client(), &policies(), place, name).await;
    found.unwrap().against(&claim)
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_held_against_what_is_there() {
    let api = FakeApi::new();
    put(&api, "deployments", "web", "2026-01-01T00:00:00Z");
    assert_eq!(why(&api, "Deployment", "web").await, None);
    put(&api, "statefulsets", "web", "2026-01-02T00:00:00Z");
    put(&api, "statefulsets", "other", "2025-01-02T00:00:00Z");
    assert_eq!(why(&api, "Deployment", "web").await, None);
    let said = why(&api, "StatefulSet", "web").await.unwrap();
    assert!(
        said.starts_with("Deployment/web has the group of this name"),
        "{said}"
    );
    lease(&api, "web", json!({}));
    let said = why(&api, "Deployment", "web").await.unwrap();
    assert!(said.starts_with("Lease web is another program's"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn only_names_that_occur_more_than_once_are_looked_at() {
    let api = FakeApi::new();
    for (plural, name) in [
        ("deployments", "alone"),
        ("deployments", "web"),
        ("statefulsets", "web"),
        ("daemonsets", "agent"),
        ("deployments", "ours"),
    ] {
        put(&api, plural, name, "2026-01-01T00:00:00Z");
    }
    lease(&api, "agent", json!({}));
    lease(&api, "ours", json!({"labels": {contract::LEASE: "true"}}));
    lease(&api, "nobody", json!({}));
    let namespaces = BTreeMap::from([("shop".to_owned(), Labels::new())]);
    let found = contested(&api.client(), &policies(), &namespaces)
        .await
        .unwrap();
    let names: BTreeSet<&str> = found.keys().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["agent", "web"]);
}
