//! Two replicas and a Lease, on the API server for tests.

use super::*;
use crate::fake_api::FakeApi;
use crate::watch::{Scope, Whole, follow_one};
use tokio::time::timeout;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/system/leases/service-mode";

struct Replica {
    office: watch::Receiver<Mono>,
    end: Option<oneshot::Sender<()>>,
}

impl Replica {
    fn start(api: &FakeApi, name: &str) -> Self {
        let leases: Api<Lease> = Api::namespaced(api.client(), "system");
        let (sender, seen) = watch::channel(Single::Unknown);
        let scope = Scope::named("the Lease", "service-mode");
        tokio::spawn(follow_one(Whole(leases.clone()), scope, sender));
        let candidate = Candidate {
            leases,
            name: "service-mode".to_owned(),
            identity: Identity::new(name, format!("uid-{name}")),
        };
        let (office, receiver) = watch::channel(Mono::ZERO);
        let (end, ends) = oneshot::channel();
        tokio::spawn(async move { candidate.stand(seen, &office, ends).await });
        Self {
            office: receiver,
            end: Some(end),
        }
    }

    async fn acts(&mut self, within_ms: u64) {
        let acting = self.office.wait_for(|until| now() < *until);
        let found = timeout(Duration::from_millis(within_ms), acting).await;
        assert!(found.is_ok_and(|it| it.is_ok()), "it does not act");
    }

    fn is_idle(&self) -> bool {
        now() >= *self.office.borrow()
    }
}

/// In real time: the clock that decides cannot be paused.
#[tokio::test]
async fn one_replica_acts_and_the_next_follows_at_once_when_it_ends() {
    let api = FakeApi::new();
    let mut one = Replica::start(&api, "one");
    one.acts(2_000).await;
    let mut two = Replica::start(&api, "two");
    let held = |lease: Option<&serde_json::Value>, holder: &str| {
        lease.is_some_and(|lease| lease["spec"]["holderIdentity"] == holder)
    };
    assert!(held(api.get(LEASE).as_ref(), "one_uid-one"));
    assert!(two.is_idle());
    one.end.take().unwrap().send(()).unwrap();
    two.acts(2_000).await;
    assert!(one.is_idle());
    assert!(held(api.get(LEASE).as_ref(), "two_uid-two"));
}
