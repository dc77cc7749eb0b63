//! The authority gets into every entry of ours, and stays there.

use super::*;
use crate::certificate::Origin;
use crate::certificate::bundle::Names;
use crate::certificate::issue::issue;
use crate::fake_api::FakeApi;
use crate::watch::{Scope, Whole, follow_one};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use inject::certs::Lives;
use serde_json::Value;

const PATH: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/active-passive";

fn served() -> Arc<Served> {
    let names = Names::new("hook", "ns");
    Arc::new(
        Served::read(
            issue(&names, &Lives::default(), 1_800_000_000).unwrap(),
            &names,
            &Origin::Given,
        )
        .unwrap(),
    )
}

fn configuration() -> Value {
    let entry = |name: &str, service: &str| {
        json!({
            "name": name,
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "clientConfig": {"service": {"name": service, "namespace": "ns", "path": "/inject"}},
        })
    };
    json!({"webhooks": [
        entry("inject.active-passive.dev", "hook"),
        entry("other.example.com", "other"),
        entry("route.active-passive.dev", "hook"),
    ]})
}

fn publisher(api: &FakeApi) -> (Arc<Readiness>, watch::Sender<Option<Arc<Served>>>) {
    let configurations: Api<MutatingWebhookConfiguration> = Api::all(api.client());
    let (state, states) = watch::channel(Single::Unknown);
    let scope = Scope::named("the configuration", "active-passive");
    tokio::spawn(follow_one(Whole(configurations.clone()), scope, state));
    let readiness = Arc::new(Readiness::default());
    let publisher = Publisher {
        configurations,
        name: "active-passive".to_owned(),
        service: ("hook".to_owned(), "ns".to_owned()),
        readiness: readiness.clone(),
        metrics: Arc::default(),
        published: watch::channel(None).0,
    };
    let (served, now_served) = watch::channel(None);
    tokio::spawn(publisher.publish(states, now_served));
    (readiness, served)
}

fn bundles(configuration: &Value) -> Vec<Option<String>> {
    let webhooks = configuration["webhooks"].as_array().unwrap().iter();
    webhooks
        .map(|w| w["clientConfig"]["caBundle"].as_str().map(str::to_owned))
        .collect()
}

async fn wait_for_bundle(api: &FakeApi, bundle: &str) {
    let expected = [Some(bundle.to_owned()), None, Some(bundle.to_owned())];
    api.wait_for(PATH, |found| {
        found.is_some_and(|found| bundles(found) == expected)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_entry_of_ours_has_the_authority() {
    let api = FakeApi::new();
    let (readiness, served_by_us) = publisher(&api);
    let first = served();
    served_by_us.send_replace(Some(first.clone()));
    api.put(PATH, configuration());
    let bundle = STANDARD.encode(first.ca_bundle());
    wait_for_bundle(&api, &bundle).await;

    // An upgrade that wipes it.
    api.put(PATH, configuration());
    wait_for_bundle(&api, &bundle).await;

    // Another authority.
    let second = served();
    served_by_us.send_replace(Some(second.clone()));
    wait_for_bundle(&api, &STANDARD.encode(second.ca_bundle())).await;
    while readiness
        .missing()
        .iter()
        .any(|missing| missing.contains("configuration"))
    {
        tokio::task::yield_now().await;
    }
    assert!(
        api.requests()
            .iter()
            .all(|request| request.starts_with("PATCH "))
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_configuration_nothing_is_made() {
    let api = FakeApi::new();
    let (readiness, served_by_us) = publisher(&api);
    served_by_us.send_replace(Some(served()));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(api.get(PATH), None);
    assert!(api.requests().is_empty());
    assert!(
        readiness
            .missing()
            .iter()
            .any(|missing| missing.contains("configuration"))
    );
}

#[tokio::test(start_paused = true)]
async fn another_authority_stays_for_as_long_as_it_may() {
    let api = FakeApi::new();
    let (_, served_by_us) = publisher(&api);
    let mut next = Arc::into_inner(served()).unwrap();
    next.settles_at = Some(Instant::now() + Duration::from_secs(60));
    let both = [next.ca_bundle(), b"\n", served().ca_bundle()].concat();
    let alone = STANDARD.encode(next.ca_bundle());
    let mut found = configuration();
    for index in [0, 2] {
        found["webhooks"][index]["clientConfig"]["caBundle"] = json!(STANDARD.encode(&both));
    }
    api.put(PATH, found);
    served_by_us.send_replace(Some(Arc::new(next)));
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!(api.requests().is_empty(), "another replica put it there");
    wait_for_bundle(&api, &alone).await;
}
