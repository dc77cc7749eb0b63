//! Replicas and one Secret.

use super::*;
use crate::certificate::bundle::{CA_CRT, TLS_CRT};
use crate::fake_api::FakeApi;
use crate::watch::{Scope, Whole, follow_one};
use inject::certs::Rotation;
use serde_json::json;

const PATH: &str = "/api/v1/namespaces/ns/secrets/cert";

/// A replica that follows the Secret; tells what it serves.
fn replica(api: &FakeApi) -> watch::Receiver<Option<Arc<Served>>> {
    let (published, now_published) = watch::channel(None);
    // Nobody publishes: kept, so that nobody is told.
    std::mem::forget(published);
    replica_with(api, Origin::Own(Lives::default()), now_published)
}

fn replica_with(
    api: &FakeApi,
    origin: Origin,
    published: watch::Receiver<Option<Published>>,
) -> watch::Receiver<Option<Arc<Served>>> {
    let secrets: Api<Secret> = Api::namespaced(api.client(), "ns");
    let (state, states) = watch::channel(Single::Unknown);
    tokio::spawn(follow_one(
        Whole(secrets.clone()),
        Scope::named("the Secret", "cert"),
        state,
    ));
    let (served, now_served) = watch::channel(None);
    let keeper = Keeper {
        secrets,
        name: "cert".to_owned(),
        names: Names::new("hook", "ns"),
        origin,
        published,
        resolver: Arc::default(),
        served,
        readiness: Arc::default(),
        metrics: Arc::default(),
    };
    tokio::spawn(keeper.keep(states));
    now_served
}

async fn next(served: &mut watch::Receiver<Option<Arc<Served>>>) -> Arc<Served> {
    served.wait_for(Option::is_some).await.unwrap();
    served.borrow_and_update().clone().unwrap()
}

fn put(api: &FakeApi, data: &Data) {
    api.put(PATH, json!({"data": data}));
}

#[tokio::test(start_paused = true)]
async fn replicas_that_start_at_once_serve_the_same_certificate() {
    let api = FakeApi::new();
    let (mut one, mut two) = (replica(&api), replica(&api));
    let (one, two) = (next(&mut one).await, next(&mut two).await);
    assert_eq!(one.data, two.data);
    assert!(one.is_valid(now_s()));
    let stored = api.get(PATH).unwrap();
    assert_eq!(stored["data"], json!(one.data));
    assert_eq!(stored["metadata"].get("labels"), None, "the chart's");
}

#[tokio::test(start_paused = true)]
async fn an_empty_secret_is_filled() {
    let api = FakeApi::new();
    api.put(
        PATH,
        json!({"type": "Opaque", "metadata": {"labels": {"chart": "x"}}}),
    );
    let served = next(&mut replica(&api)).await;
    let stored = api.get(PATH).unwrap();
    assert_eq!(stored["data"], json!(served.data));
    assert_eq!(stored["metadata"]["labels"]["chart"], "x");
}

#[tokio::test(start_paused = true)]
async fn a_lost_or_torn_secret_is_put_back_as_it_was() {
    let api = FakeApi::new();
    let mut served = replica(&api);
    let first = next(&mut served).await;
    assert_eq!(events(&api), 0, "nobody did anything wrong");
    api.delete(PATH);
    api.wait_for(PATH, |secret| secret.is_some()).await;
    assert_eq!(api.get(PATH).unwrap()["data"], json!(first.data));

    let mut torn = first.data.clone();
    torn.remove(TLS_CRT);
    put(&api, &torn);
    api.wait_for(PATH, |secret| {
        secret.is_some_and(|s| s["data"] == json!(first.data))
    })
    .await;
    assert!(
        Arc::ptr_eq(&next(&mut served).await, &first),
        "served all the time"
    );
    tokio::time::sleep(RETRY).await;
    assert_eq!(events(&api), 2, "each time it is told");
}

fn events(api: &FakeApi) -> usize {
    let event = "POST /apis/events.k8s.io/v1/namespaces/ns/events";
    let requests = api.requests();
    requests.iter().filter(|request| *request == event).count()
}

#[tokio::test(start_paused = true)]
async fn an_old_certificate_is_renewed_by_its_authority() {
    let api = FakeApi::new();
    let lives = Lives::default();
    let made_s = now_s() - lives.serving.life_s;
    let old = issue::issue(&Names::new("hook", "ns"), &lives, made_s).unwrap();
    put(&api, &old);
    let mut served = replica(&api);
    let renewed = |served: &Option<Arc<Served>>| {
        served
            .as_ref()
            .is_some_and(|served| served.data[TLS_CRT] != old[TLS_CRT])
    };
    served.wait_for(renewed).await.unwrap();
    let served = next(&mut served).await;
    assert_eq!(served.data[CA_CRT], old[CA_CRT]);
    assert!(served.is_valid(now_s()));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_another_service_is_made_anew() {
    let api = FakeApi::new();
    put(
        &api,
        &issue::issue(&Names::new("other", "ns"), &Lives::default(), now_s()).unwrap(),
    );
    let served = next(&mut replica(&api)).await;
    assert_eq!(api.get(PATH).unwrap()["data"], json!(served.data));
}

#[tokio::test(start_paused = true)]
async fn an_authority_near_its_end_is_replaced_once_the_next_one_is_published() {
    let api = FakeApi::new();
    let lives = Lives::default();
    let made_s = now_s() - lives.authority.life_s + lives.authority.renew_before_s;
    put(
        &api,
        &issue::issue(&Names::new("hook", "ns"), &lives, made_s).unwrap(),
    );
    let (publish, published) = watch::channel(None);
    let mut served = replica_with(&api, Origin::Own(lives), published);
    let announced = |served: &Option<Arc<Served>>| {
        let rotation = served.as_ref().map(|served| served.rotation);
        matches!(rotation, Some(Rotation::Announced { .. }))
    };
    served.wait_for(announced).await.unwrap();
    let announced = next(&mut served).await;

    // The steps are an hour apart by the wall clock, which a test cannot move: an old announcement
    // is what a replica finds that was away for that long.
    let long_ago_s = now_s() - lives.overlap_s;
    let older = issue::issue(&Names::new("hook", "ns"), &lives, made_s).unwrap();
    let older = issue::announce(&older, &lives, long_ago_s).unwrap();
    put(&api, &older);
    served
        .wait_for(|s| s.as_ref().is_some_and(|s| s.data[CA_CRT] == older[CA_CRT]))
        .await
        .unwrap();
    assert_ne!(announced.data, older);
    publish.send_replace(Some(Published {
        ca_bundle: older[CA_CRT].0.clone(),
        since: Instant::now(),
    }));
    let before = Instant::now();
    let switched = |served: &Option<Arc<Served>>| {
        let rotation = served.as_ref().map(|served| served.rotation);
        matches!(rotation, Some(Rotation::Switched { .. }))
    };
    served.wait_for(switched).await.unwrap();
    assert!(before.elapsed().as_secs() >= lives.overlap_s.unsigned_abs());
    let switched = next(&mut served).await;
    assert_ne!(switched.data[TLS_CRT], older[TLS_CRT]);
    assert!(!switched.data.contains_key(bundle::NEXT_CA_KEY));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_somebody_else_is_served_and_never_written() {
    let api = FakeApi::new();
    let (publish, published) = watch::channel(None);
    let mut served = replica_with(&api, Origin::Given, published);
    // Nothing is made while it is missing: the next one that appears is theirs.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(api.get(PATH), None);
    let lives = Lives::default();
    let made_s = now_s() - lives.serving.life_s + 60;
    let mut theirs = issue::issue(&Names::new("hook", "ns"), &lives, made_s).unwrap();
    theirs.remove(bundle::CA_KEY);
    put(&api, &theirs);
    assert_eq!(next(&mut served).await.data, theirs);
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(
        api.get(PATH).unwrap()["data"],
        json!(theirs),
        "renewed by us"
    );
    drop(publish);
}

/// Certificates of somebody else that begin now.
fn given(names: &Names) -> Data {
    let lives = Lives::default();
    let mut data = issue::issue(names, &lives, now_s() + inject::certs::BACKDATE_S).unwrap();
    data.remove(bundle::CA_KEY);
    data
}

#[tokio::test(start_paused = true)]
async fn an_authority_of_somebody_else_is_replaced_by_overlap() {
    let api = FakeApi::new();
    let names = Names::new("hook", "ns");
    let (old, new) = (given(&names), given(&names));
    put(&api, &old);
    let (publish, published) = watch::channel(None);
    let mut served = replica_with(&api, Origin::Given, published);
    let first = next(&mut served).await;
    assert_eq!(first.ca_bundle(), old[CA_CRT].0);

    put(&api, &new);
    served.changed().await.unwrap();
    let both = next(&mut served).await;
    for ca in [&old[CA_CRT], &new[CA_CRT]] {
        let known = both
            .ca_bundle()
            .windows(ca.0.len())
            .any(|part| part == ca.0);
        assert!(known, "both are published");
    }
    assert!(Arc::ptr_eq(&both.key, &first.key), "the old one is served");
    // Not before API servers know it.
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!served.has_changed().unwrap());
    publish.send_replace(Some(Published {
        ca_bundle: both.ca_bundle().to_vec(),
        since: Instant::now(),
    }));
    served.changed().await.unwrap();
    let switched = next(&mut served).await;
    assert!(
        !Arc::ptr_eq(&switched.key, &first.key),
        "the new one is served"
    );
    assert_eq!(switched.ca_bundle(), both.ca_bundle());
    served.changed().await.unwrap();
    let alone = next(&mut served).await;
    assert_eq!(alone.ca_bundle(), new[CA_CRT].0);
    assert!(Arc::ptr_eq(&alone.key, &switched.key));
    assert!(!alone.settles() && alone.later.is_none());
}

#[tokio::test(start_paused = true)]
async fn who_starts_while_an_authority_is_replaced_serves_what_it_finds() {
    let api = FakeApi::new();
    let names = Names::new("hook", "ns");
    put(&api, &given(&names));
    let mut served = replica_with(&api, Origin::Given, watch::channel(None).1);
    let first = next(&mut served).await;
    assert!(first.later.is_none() && first.settles());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(!first.settles());
}
