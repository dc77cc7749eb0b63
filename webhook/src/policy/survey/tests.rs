use super::*;
use crate::fake_api::FakeApi;
use serde_json::{Value, json};

fn deployment(api: &FakeApi, name: &str, annotations: Value) {
    let path = format!("/apis/apps/v1/namespaces/shop/deployments/{name}");
    let template = json!({
        "metadata": {"annotations": annotations},
        "spec": {"containers": [{"name": "app"}]},
    });
    let spec = json!({"replicas": 1, "template": template});
    api.put(
        &path,
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": spec}),
    );
}

fn pod(api: &FakeApi, name: &str, of: &str, more: Value) {
    let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{of}-5d9"),
        "uid": "1", "controller": true}]);
    let mut metadata = json!({"labels": {"pod-template-hash": "5d9"}, "ownerReferences": owner});
    let more = more.as_object().unwrap().clone();
    metadata.as_object_mut().unwrap().extend(more);
    api.put(
        &format!("/api/v1/namespaces/shop/pods/{name}"),
        json!({"metadata": metadata}),
    );
}

#[tokio::test(start_paused = true)]
async fn each_workload_is_in_one_column_and_may_violate_besides() {
    let api = FakeApi::new();
    let asks = json!({contract::INJECT: "true"});
    deployment(&api, "old", json!({}));
    pod(&api, "old-1", "old", json!({}));
    deployment(&api, "new", json!({}));
    pod(
        &api,
        "new-1",
        "new",
        json!({"annotations": {contract::INJECTED: "1"}}),
    );
    let ends = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
    pod(&api, "new-0", "new", ends);
    deployment(&api, "asks", asks);
    deployment(&api, "refuses", json!({contract::INJECT: "false"}));
    pod(&api, "refuses-1", "refuses", json!({}));

    let policy = |name: &str, spec: Value| {
        let object = json!({"metadata": {"name": name}, "spec": spec});
        Arc::new(Policy::read(&object).unwrap())
    };
    let policies = [
        policy(
            "all",
            json!({"inject": "Default", "constraints": {"minReplicas": 2}}),
        ),
        policy("jobs", json!({"kinds": ["Job"]})),
        policy(
            "other",
            json!({"namespaceSelector": {"matchLabels": {"team": "b"}}}),
        ),
    ];
    let namespaces = BTreeMap::from([("shop".to_owned(), Labels::new())]);
    let tallies = survey(&api.client(), &policies, &namespaces).await.unwrap();
    let all = &tallies["all"];
    assert_eq!((all.namespaces, all.matched), (1, 4));
    assert_eq!((all.injected, all.not_yet, all.opted_out), (2, 1, 1));
    let named = |named: &BTreeSet<Named>| {
        named
            .iter()
            .map(|it| format!("{}/{}/{}", it.namespace, it.kind, it.name))
            .collect::<Vec<_>>()
    };
    assert_eq!(named(&all.not_yet_named), ["shop/Deployment/old"]);
    assert_eq!(all.violating, 3);
    assert_eq!(
        named(&all.violating_named),
        [
            "shop/Deployment/asks",
            "shop/Deployment/new",
            "shop/Deployment/old"
        ]
    );
    assert_eq!(
        tallies["jobs"],
        Tally {
            namespaces: 1,
            ..Tally::default()
        }
    );
    assert_eq!(tallies["other"], Tally::default());
}

#[test]
fn the_first_ones_are_named() {
    let mut named = BTreeSet::new();
    for index in (0..50).rev() {
        let one = Named {
            namespace: "shop".to_owned(),
            kind: "Deployment",
            name: format!("app-{index:02}"),
            why: String::new(),
        };
        keep(&mut named, one);
    }
    assert_eq!(named.len(), NAMED_MAX);
    assert_eq!(named.first().unwrap().name, "app-00");
}

#[tokio::test(start_paused = true)]
async fn whose_name_is_taken_is_counted_as_without_and_named_with_the_reason() {
    let api = FakeApi::new();
    deployment(&api, "web", json!({}));
    deployment(&api, "shop", json!({}));
    let shop = api
        .get("/apis/apps/v1/namespaces/shop/deployments/shop")
        .unwrap();
    api.put("/apis/apps/v1/namespaces/shop/statefulsets/shop", shop);
    let lease = "/apis/coordination.k8s.io/v1/namespaces/shop/leases/web";
    api.put(lease, json!({"metadata": {}}));
    let object = json!({"metadata": {"name": "all"}, "spec": {"inject": "Default"}});
    let policies = [Arc::new(Policy::read(&object).unwrap())];
    let namespaces = BTreeMap::from([("shop".to_owned(), Labels::new())]);
    let tallies = survey(&api.client(), &policies, &namespaces).await.unwrap();
    let all = &tallies["all"];
    assert_eq!((all.matched, all.injected, all.not_yet), (3, 1, 2));
    let named: Vec<String> = all
        .not_yet_named
        .iter()
        .map(|it| format!("{}/{}: {}", it.kind, it.name, it.why))
        .collect();
    assert!(
        named[0].contains("Deployment/web: it cannot have the sidecar: Lease web"),
        "{named:#?}"
    );
    assert!(
        named[1].contains("StatefulSet/shop: it cannot have the sidecar: Deployment/shop has"),
        "{named:#?}"
    );
}
