use super::*;
use crate::fake_api::FakeApi;
use futures_util::future::join_all;
use inject::policy::claim;
use serde_json::json;

fn policy() -> Arc<Policy> {
    let object = json!({"metadata": {"name": "all"}, "spec": {"inject": "Default"}});
    Arc::new(Policy::read(&object).unwrap())
}

fn claim_of(policy: &Arc<Policy>, name: &str) -> Claim {
    let owner = json!({"kind": "StatefulSet", "name": name, "controller": true});
    let pod = json!({"metadata": {"ownerReferences": [owner]}, "spec": {}});
    claim(&pod, std::slice::from_ref(policy)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_workload_share_a_look_up_for_a_moment() {
    let (client, counts) = FakeApi::new().counted();
    let (lookups, labels, policy) = (Lookups::default(), Labels::new(), policy());
    let claim = claim_of(&policy, "web");
    let fifty = async |policy: &Arc<Policy>| {
        let policies = [policy.clone()];
        let one = |_| lookups.against(&client, &policies, ("shop", &labels), &claim);
        for answer in join_all((0..50).map(one)).await {
            assert_eq!(answer.unwrap(), None);
        }
        counts.all()
    };
    assert_eq!(fifty(&policy).await, 6);
    assert_eq!(fifty(&policy).await, 6, "a moment later");
    let changed = Arc::new(Policy::clone(&policy));
    assert_eq!(fifty(&changed).await, 12, "of a policy that has changed");
    tokio::time::sleep(REMEMBERED).await;
    assert_eq!(fifty(&changed).await, 18, "later");
}

#[tokio::test(start_paused = true)]
async fn few_names_are_looked_up_at_once() {
    let (client, counts) = FakeApi::new().counted();
    let (lookups, labels, policies) = (Lookups::default(), Labels::new(), [policy()]);
    let claims: Vec<Claim> = (0..20)
        .map(|index| claim_of(&policies[0], &format!("web-{index}")))
        .collect();
    let one = |claim| lookups.against(&client, &policies, ("shop", &labels), claim);
    for answer in join_all(claims.iter().map(one)).await {
        assert_eq!(answer.unwrap(), None);
    }
    assert_eq!(counts.all(), 20 * 6);
    assert_eq!(counts.most(), NAMES_MAX * 6);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_hangs_is_given_up_by_all_at_once() {
    let client = Client::new(
        tower::service_fn(|_: http::Request<kube::client::Body>| {
            std::future::pending::<Result<http::Response<kube::client::Body>, std::io::Error>>()
        }),
        "default",
    );
    let (lookups, labels, policies) = (Lookups::default(), Labels::new(), [policy()]);
    let claim = claim_of(&policies[0], "web");
    let began = Instant::now();
    let one = |_| lookups.against(&client, &policies, ("shop", &labels), &claim);
    for answer in join_all((0..5).map(one)).await {
        assert_eq!(answer.unwrap_err().to_string(), "no answer within 2s");
    }
    assert!(began.elapsed() < DEADLINE * 2);
}
