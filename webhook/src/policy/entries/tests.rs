use super::*;
use crate::certificate::Origin;
use crate::certificate::bundle::Names;
use crate::certificate::issue::issue;
use crate::fake_api::FakeApi;
use crate::readiness::Readiness;
use crate::watch::{Scope, Whole, follow_one};
use inject::certs::Lives;

const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1";
const POLICY: &str = "/apis/active-passive.dev/v1alpha1/activepassivepolicies/web";

fn served() -> Arc<Served> {
    let names = Names::new("hook", "ns");
    let data = issue(&names, &Lives::default(), 1_800_000_000).unwrap();
    Arc::new(Served::read(data, &names, &Origin::Given).unwrap())
}

fn path(kind: &str) -> String {
    format!("{CONFIGURATIONS}/{kind}webhookconfigurations/active-passive")
}

/// Configurations as the chart makes them, and who keeps entries in them while what is returned is kept.
fn start(api: &FakeApi) -> watch::Sender<Option<Arc<Served>>> {
    let known = Arc::new(Known::new(vec!["kube-system".to_owned()]));
    let follow = known
        .clone()
        .follow(api.client(), Arc::new(Readiness::default()));
    tokio::spawn(follow);
    keep(api, known)
}

fn keep(api: &FakeApi, known: Arc<Known>) -> watch::Sender<Option<Arc<Served>>> {
    let entry = json!({
        "name": "inject.active-passive.dev",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 7,
        "clientConfig": {"service": {"name": "hook", "namespace": "ns", "path": "/inject"}},
    });
    api.put(&path("mutating"), json!({"webhooks": [entry]}));
    api.put(&path("validating"), json!({}));
    let (mutating, mutating_state) = watch::channel(Single::Unknown);
    let (validating, validating_state) = watch::channel(Single::Unknown);
    let scope = || Scope::named("the configuration", "active-passive");
    let keeper = Keeper {
        mutating: Api::all(api.client()),
        validating: Api::all(api.client()),
        name: "active-passive".to_owned(),
        service: ("hook".to_owned(), "ns".to_owned()),
        known,
    };
    tokio::spawn(follow_one(
        Whole(keeper.mutating.clone()),
        scope(),
        mutating,
    ));
    tokio::spawn(follow_one(
        Whole(keeper.validating.clone()),
        scope(),
        validating,
    ));
    let (served, now_served) = watch::channel(Some(served()));
    let there = There {
        mutating: mutating_state,
        validating: validating_state,
        served: now_served,
    };
    tokio::spawn(keeper.keep(there));
    served
}

fn names(configuration: Option<&Value>) -> Vec<&str> {
    let entries = configuration.and_then(|it| it["webhooks"].as_array());
    let entries = entries.map_or(&[][..], Vec::as_slice);
    entries
        .iter()
        .filter_map(|entry| entry["name"].as_str())
        .collect()
}

fn policy(inject: &str, enforcement: &str) -> Value {
    json!({"metadata": {"generation": 1}, "spec": {
        "namespaceSelector": {"matchLabels": {"team": "a"}},
        "workloadSelector": {"matchLabels": {"app": "web"}},
        "kinds": ["StatefulSet", "CronJob"],
        "inject": inject,
        "enforcement": enforcement,
        "constraints": {"minReplicas": 2},
    }})
}

const OURS: &str = "web.policy.active-passive.dev";
const CHARTS: &str = "inject.active-passive.dev";

#[tokio::test(start_paused = true)]
async fn entries_are_there_while_a_policy_needs_them() {
    let api = FakeApi::new();
    let served = start(&api);
    api.put(POLICY, policy("Default", "Enforce"));
    api.wait_for(&path("mutating"), |it| names(it) == [CHARTS, OURS])
        .await;
    api.wait_for(&path("validating"), |it| names(it) == [OURS])
        .await;

    let mutating = api.get(&path("mutating")).unwrap();
    let entry = &mutating["webhooks"][1];
    assert_eq!(entry["failurePolicy"], "Ignore");
    assert_eq!(entry["timeoutSeconds"], 7, "as the chart's entry");
    assert_eq!(
        entry["namespaceSelector"]["matchLabels"],
        json!({"team": "a"})
    );
    let excluded = &entry["namespaceSelector"]["matchExpressions"][0];
    assert_eq!(
        (&excluded["operator"], &excluded["values"]),
        (&json!("NotIn"), &json!(["kube-system"]))
    );
    assert_eq!(
        entry["objectSelector"]["matchLabels"],
        json!({"app": "web"})
    );
    let ca = served.borrow().as_ref().unwrap().ca_bundle().to_vec();
    let ca = serde_json::to_value(ByteString(ca)).unwrap();
    assert_eq!(entry["clientConfig"]["caBundle"], ca);

    let validating = api.get(&path("validating")).unwrap();
    let entry = &validating["webhooks"][0];
    assert_eq!(entry["clientConfig"]["service"]["path"], "/policy/web");
    assert_eq!(entry["failurePolicy"], "Ignore");
    let resources: Vec<&Value> = entry["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["resources"][0])
        .collect();
    assert_eq!(resources, ["statefulsets", "cronjobs"]);

    api.put(POLICY, policy("OptIn", "Enforce"));
    api.wait_for(&path("mutating"), |it| names(it) == [CHARTS])
        .await;
    assert_eq!(names(api.get(&path("validating")).as_ref()), [OURS]);
    api.delete(POLICY);
    api.wait_for(&path("validating"), |it| names(it).is_empty())
        .await;
}

#[tokio::test(start_paused = true)]
async fn at_rest_nothing_is_written_and_what_is_taken_away_comes_back() {
    let api = FakeApi::new();
    api.put(POLICY, policy("Default", "Warn"));
    let _served = start(&api);
    api.wait_for(&path("mutating"), |it| names(it) == [CHARTS, OURS])
        .await;
    api.wait_for(&path("validating"), |it| names(it) == [OURS])
        .await;
    let writes = api.requests().len();
    sleep(Duration::from_secs(200)).await;
    assert_eq!(api.requests().len(), writes);

    api.put(&path("validating"), json!({}));
    api.wait_for(&path("validating"), |it| names(it) == [OURS])
        .await;
}

#[tokio::test(start_paused = true)]
async fn another_authority_stays_for_as_long_as_it_may() {
    let api = FakeApi::new();
    let serving = start(&api);
    api.put(POLICY, policy("Default", "Warn"));
    let last = serving.borrow().as_ref().unwrap().ca_bundle().to_vec();
    let carries = |ca: &[u8]| {
        let ca = serde_json::to_value(ByteString(ca.to_vec())).unwrap();
        move |entry: &Value| entry["clientConfig"]["caBundle"] == ca
    };
    let (of_last, kinds) = (carries(&last), [("mutating", 1), ("validating", 0)]);
    for (kind, index) in kinds {
        let there = |it: Option<&Value>| it.is_some_and(|it| of_last(&it["webhooks"][index]));
        api.wait_for(&path(kind), there).await;
    }

    // Another replica, which knew the last authority, publishes both while this one reads the next.
    let mut next = Arc::into_inner(served()).unwrap();
    next.settles_at = Some(tokio::time::Instant::now() + Duration::from_secs(60));
    let next = Arc::new(next);
    let both = [next.ca_bundle(), b"\n", last.as_slice()].concat();
    let of_both = carries(&both);
    serving.send_replace(Some(next.clone()));
    for (kind, index) in kinds {
        let mut found = api.get(&path(kind)).unwrap();
        found["webhooks"][index]["clientConfig"]["caBundle"] =
            serde_json::to_value(ByteString(both.clone())).unwrap();
        api.put(&path(kind), found);
    }
    sleep(Duration::from_secs(5)).await;
    let writes = api.requests().len();
    sleep(Duration::from_secs(45)).await;
    assert_eq!(api.requests().len(), writes, "both are there");
    for (kind, index) in kinds {
        assert!(
            of_both(&api.get(&path(kind)).unwrap()["webhooks"][index]),
            "{kind}"
        );
    }
    let of_next = carries(next.ca_bundle());
    for (kind, index) in kinds {
        let alone = |it: Option<&Value>| it.is_some_and(|it| of_next(&it["webhooks"][index]));
        api.wait_for(&path(kind), alone).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_only_counts_needs_no_entry() {
    let api = FakeApi::new();
    let _served = start(&api);
    api.put(POLICY, policy("OptIn", "Audit"));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(names(api.get(&path("mutating")).as_ref()), [CHARTS]);
    assert_eq!(names(api.get(&path("validating")).as_ref()), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn without_policies_no_entry_of_an_earlier_time_stays() {
    let api = FakeApi::new();
    api.put(POLICY, policy("Default", "Warn"));
    let served = start(&api);
    api.wait_for(&path("mutating"), |it| names(it) == [CHARTS, OURS])
        .await;
    drop(served);

    let left = api.get(&path("mutating")).unwrap();
    let api = FakeApi::new();
    let known = Arc::new(Known::new(Vec::new()));
    known.none();
    let _served = keep(&api, known);
    api.put(&path("mutating"), left);
    api.wait_for(&path("mutating"), |it| names(it) == [CHARTS])
        .await;
}

#[tokio::test]
async fn what_nobody_follows_is_not_asked_again_and_again() {
    let api = FakeApi::new();
    let known = Arc::new(Known::new(Vec::new()));
    known.none();
    let keeper = Keeper {
        mutating: Api::all(api.client()),
        validating: Api::all(api.client()),
        name: "active-passive".to_owned(),
        service: ("hook".to_owned(), "ns".to_owned()),
        known,
    };
    let there = There {
        mutating: watch::channel(Single::Unknown).1,
        validating: watch::channel(Single::Unknown).1,
        served: watch::channel(None).1,
    };
    let mut keep = Box::pin(keeper.keep(there));
    let mut polls = 0;
    let counted = std::future::poll_fn(|context| {
        polls += 1;
        keep.as_mut().poll(context)
    });
    let kept = tokio::time::timeout(Duration::from_millis(100), counted).await;
    assert!(kept.is_err() && polls < 10, "{polls} polls");
}
