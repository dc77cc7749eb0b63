use super::*;
use crate::fake_api::FakeApi;
use serde_json::json;

const POLICIES: &str = "/apis/active-passive.dev/v1alpha1/activepassivepolicies";
const NAMESPACES: &str = "/api/v1/namespaces";

fn policy(team: &str) -> Value {
    json!({
        "metadata": {"generation": 1},
        "spec": {"namespaceSelector": {"matchLabels": {"team": team}}},
    })
}

fn start(api: &FakeApi) -> (Arc<Known>, Arc<Readiness>) {
    let known = Arc::new(Known::new(vec!["kube-system".to_owned()]));
    let readiness = Arc::new(Readiness::default());
    tokio::spawn(known.clone().follow(api.client(), readiness.clone()));
    (known, readiness)
}

async fn names(known: &Known, namespace: &str) -> Vec<String> {
    let (policies, _) = known.about(namespace).await;
    policies
        .iter()
        .map(|policy| policy.name().to_owned())
        .collect()
}

async fn until(known: &Known, in_force: usize) {
    let mut policies = known.policies();
    let there = policies.wait_for(|it| it.listed && it.in_force.len() == in_force);
    there.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn policies_reach_the_namespaces_that_they_are_about_and_no_others() {
    let api = FakeApi::new();
    for (name, team) in [("shop", "a"), ("other", "b"), ("kube-system", "a")] {
        let namespace = json!({"metadata": {"labels": {"team": team}}});
        api.put(&format!("{NAMESPACES}/{name}"), namespace);
    }
    api.put(&format!("{POLICIES}/20"), policy("a"));
    let (known, readiness) = start(&api);
    until(&known, 1).await;
    assert_eq!(names(&known, "shop").await, ["20"]);
    assert_eq!(names(&known, "other").await, [""; 0]);
    assert_eq!(names(&known, "kube-system").await, [""; 0], "never judged");
    assert!(
        !readiness
            .missing()
            .contains(&"the policies have not been listed yet")
    );

    api.put(&format!("{POLICIES}/10"), policy("a"));
    until(&known, 2).await;
    assert_eq!(
        names(&known, "shop").await,
        ["10", "20"],
        "in the order of their names"
    );

    let mut wrong = policy("a");
    wrong["spec"]["defaults"] = json!({"active-passive.dev/group": "web"});
    api.put(&format!("{POLICIES}/10"), wrong);
    until(&known, 1).await;
    assert_eq!(
        names(&known, "shop").await,
        ["20"],
        "one that is wrong has no effect"
    );
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_a_moment_old_is_waited_for() {
    let api = FakeApi::new();
    api.put(&format!("{POLICIES}/p"), policy("a"));
    let (known, _) = start(&api);
    until(&known, 1).await;
    let asked = tokio::spawn({
        let known = known.clone();
        async move { names(&known, "new").await }
    });
    tokio::task::yield_now().await;
    api.put(
        &format!("{NAMESPACES}/new"),
        json!({"metadata": {"labels": {"team": "a"}}}),
    );
    assert_eq!(asked.await.unwrap(), ["p"]);
    // Not for ever: it is judged by its name.
    assert_eq!(names(&known, "nowhere").await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_nothing_is_looked_at_and_nobody_waits() {
    let api = FakeApi::new();
    let (known, readiness) = start(&api);
    until(&known, 0).await;
    let began = tokio::time::Instant::now();
    assert_eq!(names(&known, "nowhere").await, [""; 0]);
    assert_eq!(began.elapsed(), Duration::ZERO);
    tokio::task::yield_now().await;
    assert!(known.namespaces().is_none(), "namespaces are not followed");
    assert!(
        !readiness
            .missing()
            .contains(&"the policies have not been listed yet")
    );
}

#[test]
fn the_first_policies_by_name_are_in_force() {
    let found = |index: usize| {
        let name = format!("p{index:03}");
        let policy = Policy::new(&name, Default::default()).map(Arc::new);
        let found = Found {
            version: String::new(),
            generation: 1,
            status: Value::Null,
            policy,
        };
        (name, found)
    };
    let all: BTreeMap<String, Found> = (0..=POLICIES_MAX).map(found).collect();
    let in_force = in_force(&all);
    assert_eq!(in_force.len(), POLICIES_MAX);
    assert_eq!(in_force[0].name(), "p000");
}
