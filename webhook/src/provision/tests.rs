//! Who gets an account, when, and how often the API server is asked.

use super::*;
use crate::fake_api::{FakeApi, failure};
use futures_util::future::join_all;
use serde_json::{Value, json};

const ACCOUNT: &str = "/api/v1/namespaces/shop/serviceaccounts/active-passive-group-web";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings";
const SIDECAR: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/\
                       active-passive-group-web.sidecar";
const ROUTER: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/\
                      active-passive-group-web.router";

fn bounds() -> Bounds {
    Bounds {
        excluded_namespaces: Vec::new(),
        groups_max: 2,
    }
}

fn provisioner(api: &FakeApi) -> Arc<Provisioner> {
    let roles = ClusterRoles {
        sidecar: "sidecar".to_owned(),
        router: "router".to_owned(),
    };
    Arc::new(Provisioner::new(
        api.client(),
        roles,
        bounds(),
        Arc::default(),
    ))
}

fn need(account: &str, kind: AccountKind) -> Need {
    Need {
        namespace: "shop".to_owned(),
        group: "web".to_owned(),
        account: Account {
            name: account.to_owned(),
            kind,
        },
    }
}

fn own() -> Need {
    need("active-passive-group-web", AccountKind::Group)
}

fn service(group: Option<&str>) -> Value {
    match group {
        Some(group) => json!({"metadata": {"annotations": {"active-passive.dev/group": group}}}),
        None => json!({}),
    }
}

#[tokio::test(start_paused = true)]
async fn a_groups_first_pod_gets_an_account_and_its_rights() {
    let api = FakeApi::new();
    api.put(
        "/api/v1/namespaces/shop/serviceaccounts/default",
        json!({"imagePullSecrets": [{"name": "registry"}], "automountServiceAccountToken": false}),
    );
    let provisioner = provisioner(&api);
    provisioner.ready(&own()).await.unwrap();

    let account = api.get(ACCOUNT).unwrap();
    assert_eq!(account["imagePullSecrets"], json!([{"name": "registry"}]));
    assert_eq!(account["automountServiceAccountToken"], json!(false));
    assert_eq!(
        account["metadata"]["labels"]["active-passive.dev/group"],
        "web"
    );
    let binding = api.get(SIDECAR).unwrap();
    assert_eq!(binding["roleRef"]["name"], "sidecar");
    assert_eq!(
        binding["subjects"],
        json!([{"kind": "ServiceAccount", "name": "active-passive-group-web", "namespace": "shop"}])
    );
    assert_eq!(
        api.get(ROUTER),
        None,
        "no Service, no right to write Services"
    );
}

#[tokio::test(start_paused = true)]
async fn a_swarm_of_pods_asks_once() {
    let api = FakeApi::new();
    let provisioner = provisioner(&api);
    let need = own();
    let answers = join_all((0..100).map(|_| provisioner.ready(&need))).await;
    assert!(answers.iter().all(Result::is_ok));
    let expected = [
        "GET /api/v1/namespaces/shop/serviceaccounts/default".to_owned(),
        "POST /api/v1/namespaces/shop/serviceaccounts".to_owned(),
        format!("POST {BINDINGS}"),
    ];
    assert_eq!(api.requests(), expected);
    provisioner.ready(&need).await.unwrap();
    assert_eq!(api.requests().len(), 3, "what is known is not asked again");
}

#[tokio::test(start_paused = true)]
async fn what_another_replica_made_is_taken() {
    let api = FakeApi::new();
    provisioner(&api).ready(&own()).await.unwrap();
    let other = provisioner(&api);
    other.ready(&own()).await.unwrap();
    let asked = api.requests().len();
    other.ready(&own()).await.unwrap();
    assert_eq!(api.requests().len(), asked);
}

#[tokio::test(start_paused = true)]
async fn an_account_of_somebody_elses_making_is_used_but_not_relied_upon() {
    let api = FakeApi::new();
    api.put(ACCOUNT, json!({}));
    let provisioner = provisioner(&api);
    provisioner.ready(&own()).await.unwrap();
    api.delete(ACCOUNT);
    provisioner.ready(&own()).await.unwrap();
    assert!(
        api.get(ACCOUNT).is_some(),
        "its end is noticed though no watch shows it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_custom_account_is_bound_and_not_made() {
    let api = FakeApi::new();
    let provisioner = provisioner(&api);
    provisioner
        .ready(&need("mine", AccountKind::Custom))
        .await
        .unwrap();
    assert_eq!(api.requests(), [format!("POST {BINDINGS}")]);
    let binding = api.get(&format!("{SIDECAR}.mine")).unwrap();
    assert_eq!(binding["subjects"][0]["name"], "mine");
}

#[tokio::test(start_paused = true)]
async fn an_admission_waits_for_two_seconds() {
    let api = FakeApi::new();
    api.hang("POST /api/v1/namespaces/shop/serviceaccounts");
    let began = tokio::time::Instant::now();
    let error = provisioner(&api).ready(&own()).await.unwrap_err();
    assert_eq!(error.to_string(), "not done within 2s");
    assert_eq!(began.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_named() {
    let api = FakeApi::new();
    api.refuse(&format!("POST {BINDINGS}"), failure(403, "Forbidden"));
    let error = provisioner(&api)
        .ready(&own())
        .await
        .unwrap_err()
        .to_string();
    let expected = "cannot create RoleBinding active-passive-group-web.sidecar in namespace shop: ";
    assert!(error.starts_with(expected), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_binding_of_the_wrong_account_is_mended_and_one_of_another_role_is_not() {
    let api = FakeApi::new();
    let role =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "sidecar"});
    api.put(SIDECAR, json!({"roleRef": role, "subjects": []}));
    provisioner(&api).ready(&own()).await.unwrap();
    assert_eq!(
        api.get(SIDECAR).unwrap()["subjects"][0]["name"],
        "active-passive-group-web"
    );

    let mut other = role;
    other["name"] = json!("admin");
    api.put(SIDECAR, json!({"roleRef": other, "subjects": []}));
    let error = provisioner(&api).ready(&own()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "RoleBinding active-passive-group-web.sidecar in namespace shop binds admin instead of \
         sidecar, which cannot be changed: delete it, and it is made again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_looks_and_makes_nothing() {
    let api = FakeApi::new();
    let provisioner = provisioner(&api);
    assert!(!provisioner.exists(&own()).await);
    assert_eq!(api.requests(), [format!("GET {ACCOUNT}")]);
    provisioner.ready(&own()).await.unwrap();
    assert!(provisioner.exists(&own()).await);
}

#[tokio::test(start_paused = true)]
async fn an_annotated_service_brings_the_second_role() {
    let api = FakeApi::new();
    let provisioner = provisioner(&api);
    tokio::spawn(provisioner.clone().follow());
    provisioner.ready(&own()).await.unwrap();
    let began = tokio::time::Instant::now();
    api.put(
        "/api/v1/namespaces/shop/services/other",
        service(Some("other")),
    );
    api.put("/api/v1/namespaces/shop/services/web", service(Some("web")));
    api.wait_for(ROUTER, |binding| binding.is_some()).await;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(api.get(ROUTER).unwrap()["roleRef"]["name"], "router");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_there_first_brings_it_too() {
    let api = FakeApi::new();
    api.put("/api/v1/namespaces/shop/services/web", service(Some("web")));
    api.put("/api/v1/namespaces/shop/services/plain", service(None));
    let provisioner = provisioner(&api);
    tokio::spawn(provisioner.clone().follow());
    provisioner
        .ready(&need("mine", AccountKind::Custom))
        .await
        .unwrap();
    api.wait_for(&format!("{ROUTER}.mine"), |binding| binding.is_some())
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_by_hand_is_made_again() {
    let api = FakeApi::new();
    let provisioner = provisioner(&api);
    tokio::spawn(provisioner.clone().follow());
    provisioner.ready(&own()).await.unwrap();
    // The watches must have begun, or the deletion is no event.
    tokio::time::sleep(Duration::from_secs(5)).await;
    for path in [SIDECAR, ACCOUNT] {
        api.delete(path);
        api.wait_for(path, |object| object.is_some()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_binding_that_somebody_emptied_or_gave_away_is_mended() {
    let api = FakeApi::new();
    api.put("/api/v1/namespaces/shop/services/web", service(Some("web")));
    let custom = need("mine", AccountKind::Custom);
    let started = provisioner(&api);
    tokio::spawn(started.clone().follow());
    started.ready(&own()).await.unwrap();
    started.ready(&custom).await.unwrap();
    api.wait_for(ROUTER, |binding| binding.is_some()).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let other = json!([{"kind": "ServiceAccount", "name": "default", "namespace": "shop"}]);
    for path in [SIDECAR, ROUTER, &format!("{SIDECAR}.mine")] {
        let whole = api.get(path).unwrap()["subjects"].clone();
        for subjects in [json!([]), other.clone()] {
            let mut spoilt = api.get(path).unwrap();
            spoilt["subjects"] = subjects;
            api.put(path, spoilt);
            let mended =
                |binding: Option<&Value>| binding.is_some_and(|it| it["subjects"] == whole);
            api.wait_for(path, mended).await;
        }
    }
    // One that was emptied while no webhook ran.
    let mut spoilt = api.get(SIDECAR).unwrap();
    spoilt["subjects"] = json!([]);
    let api = FakeApi::new();
    api.put(ACCOUNT, json!({}));
    api.put(SIDECAR, spoilt);
    tokio::spawn(provisioner(&api).follow());
    let mended = |binding: Option<&Value>| {
        binding.is_some_and(|it| it["subjects"][0]["name"] == "active-passive-group-web")
    };
    api.wait_for(SIDECAR, mended).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_altogether_stays_deleted() {
    let api = FakeApi::new();
    let provisioner = provisioner(&api);
    provisioner.ready(&own()).await.unwrap();
    tokio::spawn(provisioner.clone().follow());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut ending = failure(403, "Forbidden");
    ending["details"] = json!({"causes": [{"reason": "NamespaceTerminating"}]});
    api.refuse("POST ", ending);
    api.delete(SIDECAR);
    api.delete(ACCOUNT);
    let before = api.requests().len();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(api.requests().len() <= before + 2, "{:?}", api.requests());
    assert_eq!((api.get(SIDECAR), api.get(ACCOUNT)), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_repair_that_was_given_up_comes_again() {
    let api = FakeApi::new();
    let provisioner = provisioner(&api);
    tokio::spawn(provisioner.clone().follow());
    provisioner.ready(&own()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    api.refuse("POST ", failure(403, "Forbidden"));
    api.delete(SIDECAR);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let tried = api.requests().len();
    assert!(tried < 40, "a refusal is no reason to storm: {tried}");
    api.refuse_nothing();
    api.wait_for(SIDECAR, |binding| binding.is_some()).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    let after = api.requests().len();
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(
        api.requests().len(),
        after,
        "what is done is not done again"
    );
}

#[tokio::test(start_paused = true)]
async fn groups_are_bounded() {
    let api = FakeApi::new();
    let provisioner = provisioner(&api);
    let need = |group: &str| {
        let name = format!("active-passive-group-{group}");
        let group = group.to_owned();
        Need {
            group,
            ..need(&name, AccountKind::Group)
        }
    };
    provisioner.ready(&need("a")).await.unwrap();
    provisioner.ready(&need("b")).await.unwrap();
    let error = provisioner.ready(&need("c")).await.unwrap_err();
    assert!(error.is_refusal());
    let error = error.to_string();
    assert!(
        error.starts_with("there are 2 accounts of groups already"),
        "{error}"
    );
    provisioner.ready(&need("a")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_made_is_what_the_command_line_prints() {
    let api = FakeApi::new();
    let provisioner = Provisioner::new(
        api.client(),
        ClusterRoles {
            sidecar: common::contract::SIDECAR_CLUSTER_ROLE.to_owned(),
            router: common::contract::ROUTER_CLUSTER_ROLE.to_owned(),
        },
        bounds(),
        Arc::default(),
    );
    let need = own();
    provisioner.ready(&need).await.unwrap();
    let group = common::ids::Group::parse(&need.group).unwrap();
    let printed = inject::objects::of_group(&need.namespace, &group, &need.account);
    for (path, printed) in [ACCOUNT, SIDECAR].into_iter().zip(printed) {
        let mut made = api.get(path).unwrap();
        made["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("resourceVersion");
        assert_eq!(made, printed);
    }
}
