use super::*;
use crate::facts::tests::{labelled, service};
use election::{Failure, Ineligible, Refusal, Role, Version};
use serde_json::json;
use tokio::sync::mpsc;

struct Scene {
    story: Story,
    facts: Facts,
    metrics: Arc<Metrics>,
    events: mpsc::Receiver<Event>,
    next_id: u64,
}

fn scene() -> Scene {
    let metrics: Arc<Metrics> = Arc::default();
    let (outbox, events) = Outbox::new(metrics.clone());
    let facts = Facts::default();
    let config = Arc::new(crate::tests::config());
    Scene {
        story: Story::new(config, facts.clone(), metrics.clone(), outbox),
        facts,
        metrics,
        events,
        next_id: 0,
    }
}

fn at(ms: u64) -> Mono {
    Mono::from_ms(ms)
}

fn own() -> Identity {
    Identity::new("web-1", "u-1")
}

fn standing(role: Role, term: u64) -> Standing {
    Standing {
        role,
        term,
        valid_until: Mono::ZERO,
        holds_traffic: false,
        finished: false,
    }
}

fn lease_write(kind: LeaseWriteKind, holder: Identity, term: u64) -> LeaseWrite {
    LeaseWrite {
        kind,
        base: None,
        holder: Some(holder),
        term,
        duration_ms: 15_000,
        owner: None,
        history: None,
        answer: None,
    }
}

fn route(term: u64) -> ServiceWrite {
    ServiceWrite {
        name: "web".to_owned(),
        base: Version(1),
        active: Some("u-1".to_owned()),
        term,
        with_selector: false,
    }
}

fn routed(selected: &str) -> Outcome {
    Outcome::Service(Some(ServiceView {
        name: "web".to_owned(),
        version: Version(2),
        active: Some("u-1".to_owned()),
        term: Some(2),
        selected: Some(selected.to_owned()),
        has_selector: true,
    }))
}

impl Scene {
    fn request(&mut self, action: Action) -> Request {
        self.next_id += 1;
        Request {
            id: RequestId(self.next_id),
            deadline: Mono::ZERO,
            action,
        }
    }

    /// A write of the Lease that succeeds; `history` is what it then holds.
    fn writes_lease(&mut self, write: LeaseWrite, history: &str) {
        let json = json!({"metadata": {
            "name": "web", "uid": "l-1", "resourceVersion": "9",
            "annotations": {contract::HISTORY: history},
        }});
        let lease = Lease::read(json).unwrap();
        let request = self.request(Action::WriteLease(write));
        self.story.sent(at(100), &request, &LastLease::default());
        let answer = Answer {
            outcome: Outcome::Lease(lease.view.clone()),
            lease: Some(lease),
        };
        self.story.ended(at(107), request.id, &answer);
    }

    fn writes_service(&mut self, now: Mono, write: ServiceWrite, outcome: Outcome) {
        let request = self.request(Action::WriteService(write));
        self.story.sent(now, &request, &LastLease::default());
        self.story.ended(now, request.id, &outcome.into());
    }

    fn leads(&mut self, term: u64) {
        let holder = own().to_string();
        self.story
            .stands(standing(Role::Leader, term), Some(&holder));
    }

    /// What is told now: kind of the object, reason and note.
    fn told(&mut self) -> Vec<(&'static str, Reason, String)> {
        self.story.tell(at(131));
        let mut told = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            told.push((event.regarding.kind, event.reason, event.note));
        }
        told
    }
}

#[test]
fn a_move_here_is_told_on_lease_pod_and_service_and_a_renewal_on_none() {
    let mut scene = scene();
    scene
        .facts
        .list_services([&service("web", &json!({"app": "web"}), "10.0.0.1")]);
    let confirmed = LeaseWrite {
        history: Some(HistoryNote::Confirmed { took_ms: 12 }),
        ..lease_write(LeaseWriteKind::Confirm, own(), 2)
    };
    let history = r#"[{"term":2,"pod":"web-1","at":"x","kind":"drain","duration_ms":12}]"#;
    scene.writes_lease(confirmed, history);
    scene.leads(2);
    scene.writes_service(at(110), route(2), routed("u-9"));
    scene.writes_service(at(120), route(2), routed("u-1"));
    let moved = "web-1 is active in term 2: its predecessor is on its way out (drain, 43 ms)";
    assert_eq!(
        scene.told(),
        [
            (
                "Service",
                Reason::TrafficMoved,
                "traffic goes to web-1 (term 2)".to_owned()
            ),
            ("Lease", Reason::RoleMoved, moved.to_owned()),
            ("Pod", Reason::BecameActive, "active in term 2".to_owned()),
        ]
    );
    scene.writes_lease(lease_write(LeaseWriteKind::Renew, own(), 2), history);
    scene.leads(2);
    assert_eq!(scene.told(), []);
    let clock = crate::Clock::boottime();
    let config = crate::tests::config();
    let published = crate::published::Published::nothing();
    let page = scene.metrics.page(&published, clock, &config.params);
    for line in [
        r#"active_passive_handover_duration_seconds_sum{kind="drain"} 0.043"#,
        "active_passive_renew_duration_seconds_sum 0.007",
    ] {
        assert!(page.lines().any(|l| l == line), "no {line} in\n{page}");
    }
}

/// What a write of the Lease adds to its history when it is sent.
fn noted(scene: &mut Scene, write: LeaseWrite) -> Option<HistoryNote> {
    let mut request = scene.request(Action::WriteLease(write));
    scene.story.complete(&mut request);
    match request.action {
        Action::WriteLease(write) => write.history,
        _ => None,
    }
}

#[test]
fn the_next_renewal_of_the_term_says_how_long_the_move_took_and_the_one_after_it_nothing() {
    let mut scene = scene();
    let renewal = |term| lease_write(LeaseWriteKind::Renew, own(), term);
    let confirmed = LeaseWrite {
        history: Some(HistoryNote::Confirmed { took_ms: 12 }),
        ..lease_write(LeaseWriteKind::Confirm, own(), 2)
    };
    let history = r#"[{"term":2,"pod":"web-1","at":"x","kind":"drain","duration_ms":12}]"#;
    scene.writes_lease(confirmed, history);
    scene.leads(2);
    // It is still being written everywhere.
    assert_eq!(noted(&mut scene, renewal(2)), None);
    scene.told();
    let took = Some(HistoryNote::Confirmed { took_ms: 43 });
    assert_eq!(noted(&mut scene, renewal(2)), took);
    // One that was not answered is repeated.
    assert_eq!(noted(&mut scene, renewal(2)), took);
    assert_eq!(noted(&mut scene, renewal(3)), None);
    let handover = lease_write(LeaseWriteKind::Handover, Identity::new("web-2", "u-2"), 3);
    assert_eq!(noted(&mut scene, handover), None);
    scene.writes_lease(renewal(2), history);
    assert_eq!(noted(&mut scene, renewal(2)), None);
}

/// The annotation alone moves no traffic: where nothing derives the selector, a second write does.
#[test]
fn a_service_is_told_of_once_its_selector_names_the_pod() {
    let mut scene = scene();
    let web = service("web", &json!({"app": "web"}), "10.0.0.1");
    scene.facts.list_services([&web]);
    scene.writes_service(at(110), route(2), routed("u-9"));
    assert_eq!(scene.told(), []);
    scene.writes_service(at(120), route(2), routed("u-1"));
    let told = scene.told();
    assert_eq!(told[0].1, Reason::TrafficMoved, "{told:?}");
}

#[test]
fn the_old_leader_says_where_the_role_went() {
    for (holder, given, why) in [
        (None, true, "passive: it handed the role over to web-2"),
        (Some("web-2_u-2"), false, "passive: the Lease names web-2"),
        (
            Some("web-1_u-1"),
            false,
            "passive: the Lease could not be renewed in time",
        ),
    ] {
        let mut scene = scene();
        scene.leads(2);
        scene.told();
        if given {
            let next = Identity::new("web-2", "u-2");
            scene.writes_lease(lease_write(LeaseWriteKind::Handover, next, 3), "");
        }
        scene.story.stands(standing(Role::Standby, 3), holder);
        assert_eq!(
            scene.told(),
            [("Pod", Reason::BecamePassive, why.to_owned())]
        );
        assert_eq!(scene.told(), []);
    }
}

/// A conflict on the Lease makes a leader look at it and take it back, within milliseconds.
#[test]
fn a_role_that_is_back_before_anything_was_told_has_not_moved() {
    let mut scene = scene();
    scene.leads(2);
    scene.told();
    scene.story.stands(standing(Role::Standby, 2), None);
    scene.leads(3);
    assert_eq!(scene.told(), []);
}

#[test]
fn a_switchover_is_answered_with_the_reason() {
    let mut scene = scene();
    let stored = json!({"metadata": {
        "name": "web", "uid": "l-1", "resourceVersion": "9",
        "annotations": {contract::SWITCHOVER: "web-3"},
    }});
    let mut last = LastLease::default();
    last.answered(Lease::read(stored.clone()).unwrap());
    let refusal = Refusal::Ineligible(Ineligible::NotReady);
    let request = scene.request(Action::WriteLease(LeaseWrite {
        base: Some(Version(9)),
        answer: Some(SwitchoverAnswer::Refused(refusal)),
        ..lease_write(LeaseWriteKind::Renew, own(), 2)
    }));
    let lease = Lease::read(stored).unwrap();
    let answer = Answer {
        outcome: Outcome::Lease(lease.view.clone()),
        lease: Some(lease),
    };
    scene.story.sent(at(1), &request, &last);
    scene.story.ended(at(2), request.id, &answer);
    let refused = "the role does not go to web-3: its app is not ready";
    assert_eq!(
        scene.told(),
        [("Lease", Reason::SwitchoverRefused, refused.to_owned())]
    );

    let done = LeaseWrite {
        answer: Some(SwitchoverAnswer::Done),
        ..lease_write(LeaseWriteKind::Handover, Identity::new("web-3", "u-3"), 3)
    };
    scene.writes_lease(done, "");
    let done = "the role goes to web-3, as asked";
    assert_eq!(
        scene.told(),
        [("Lease", Reason::SwitchoverDone, done.to_owned())]
    );
}

#[test]
fn nothing_is_told_of_a_write_that_failed() {
    let mut scene = scene();
    let taken = HistoryNote::Taken {
        kind: MoveKind::First,
        took_ms: None,
    };
    let request = scene.request(Action::WriteLease(LeaseWrite {
        history: Some(taken),
        ..lease_write(LeaseWriteKind::Acquire, own(), 1)
    }));
    scene.story.sent(at(1), &request, &LastLease::default());
    let failed = Outcome::Failed(Failure::Conflict).into();
    scene.story.ended(at(2), request.id, &failed);
    assert_eq!(scene.told(), []);
}

#[test]
fn who_keeps_fighting_for_a_service_is_warned_of_now_and_then() {
    let mut scene = scene();
    scene
        .facts
        .list_services([&service("web", &json!({"app": "web"}), "10.0.0.1")]);
    scene.leads(2);
    let mut warnings = Vec::new();
    for second in 0..1_300 {
        scene.writes_service(at(second * 1_000), route(2), routed("u-1"));
        let told = scene.told().into_iter();
        let contested = told.filter(|(_, reason, _)| *reason == Reason::ServiceContested);
        warnings.extend(contested.map(|_| second));
    }
    assert_eq!(warnings, [3, 603, 1_203]);

    // An edit by hand, put right, is no fight.
    let mut calm = self::scene();
    calm.facts
        .list_services([&service("web", &json!({"app": "web"}), "10.0.0.1")]);
    calm.leads(2);
    for minute in 0..60 {
        calm.writes_service(at(minute * 61_000), route(2), routed("u-1"));
    }
    let told = calm.told();
    assert!(
        told.iter()
            .all(|(_, reason, _)| *reason != Reason::ServiceContested),
        "{told:?}"
    );
}

#[test]
fn a_service_that_serves_nobody_is_warned_of_once_until_it_does() {
    let mut scene = scene();
    let (wrong, right) = (json!({"app": "wbe"}), json!({"app": "web"}));
    scene.facts.note_own_pod(&labelled(&right));
    scene.facts.list_services([
        &service("web", &wrong, "10.0.0.1"),
        &service("peers", &right, "None"),
        &service("plain", &json!({}), "None"),
    ]);
    assert_eq!(scene.told(), [], "a standby says nothing");
    scene.leads(2);
    let reasons = |told: Vec<(&str, Reason, String)>| -> Vec<Reason> {
        told.into_iter().map(|(_, reason, _)| reason).collect()
    };
    let all = [
        Reason::BecameActive,
        Reason::HeadlessService,
        Reason::SelectorMatchesNoPod,
    ];
    assert_eq!(reasons(scene.told()), all);
    assert_eq!(scene.told(), []);
    scene
        .facts
        .note_service(&service("web", &right, "10.0.0.1"));
    assert_eq!(scene.told(), []);
    scene
        .facts
        .note_service(&service("web", &wrong, "10.0.0.1"));
    assert_eq!(reasons(scene.told()), [Reason::SelectorMatchesNoPod]);
}
