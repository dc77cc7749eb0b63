//! Failures that elections have met elsewhere, where one elector shows what becomes of them here.
//! `docs/failure-modes.md` has them all.

use super::*;

/// A Lease as a watch shows it.
fn seen(version: u64, holder: Option<&str>, term: u64) -> Input {
    Input::LeaseSeen(LeaseView {
        version: Version(version),
        record: Record {
            holder: holder.map(str::to_owned),
            term,
            duration_ms: LD_MS,
            ..Record::default()
        },
    })
}

impl Bench {
    fn id(&self) -> RequestId {
        self.last.request.as_ref().unwrap().id
    }

    /// The request in flight fails.
    fn fail(&mut self, now_ms: u64, failure: Failure) {
        let failed = Outcome::Failed(failure);
        self.step(now_ms, Input::Done(self.id(), failed));
    }

    /// Answers the read of the Lease in flight: it is as it was last seen, but for its version.
    fn show_lease(&mut self, now_ms: u64) {
        assert_eq!(
            self.last.request.as_ref().unwrap().action,
            Action::ReadLease
        );
        self.version += 1;
        let version = Version(self.version);
        let record = self.elector.lease.record().cloned().unwrap();
        let lease = Outcome::Lease(LeaseView { version, record });
        self.step(now_ms, Input::Done(self.id(), lease));
    }

    /// Wakes the elector whenever it asks for it, until it asks for something else.
    fn wake(&mut self) -> u64 {
        for _ in 0..20 {
            let now_ms = self.last.wake_at.as_ms();
            self.step(now_ms, Input::Wake);
            if self.last.request.is_some() {
                return now_ms;
            }
        }
        panic!("nothing is asked for");
    }

    /// The same, unless it asks for something already.
    fn wake_if_idle(&mut self, now_ms: u64) -> u64 {
        match self.last.request {
            Some(_) => now_ms,
            None => self.wake(),
        }
    }

    fn pod_write(&self) -> PodWrite {
        match &self.last.request {
            Some(Request {
                action: Action::WritePod(write),
                ..
            }) => write.clone(),
            other => panic!("no write of a pod: {other:?}"),
        }
    }

    pub(super) fn doom(&mut self, name: &str, now_ms: u64) {
        let mut doomed = self.elector.group.pods[&format!("uid-{name}")].clone();
        doomed.terminating = true;
        self.step(now_ms, Input::PodSeen(doomed));
    }
}

/// c1: whoever wins cleans up behind a leader that cannot do so itself.
#[test]
fn a_winner_strips_the_last_leader_before_or_after_it_labels_itself() {
    for (handover, order) in [
        (Handover::Exclusive, ["uid-b", "uid-a"]),
        (Handover::Seamless, ["uid-a", "uid-b"]),
    ] {
        let last_leader = PodView {
            role: RoleLabel::Active,
            term: Some(1),
            ..pod("b")
        };
        let mut bench = Bench::new(handover, vec![pod("a"), last_leader]);
        bench.step(0, seen(5, None, 1));
        bench.accept(10);
        for uid in order {
            let write = bench.pod_write();
            let role = match uid {
                "uid-a" => PodRole::Active,
                _ => PodRole::Passive,
            };
            assert_eq!((write.uid.as_str(), write.role), (uid, Some((role, 2))));
            bench.accept_pod(20);
        }
        assert_eq!(bench.last.request, None, "{handover:?}");
    }
}

/// c3: what a sidecar did before it was restarted is no reason to believe anything.
#[test]
fn a_restarted_sidecar_goes_by_the_lease_and_not_by_its_label() {
    let labelled = PodView {
        role: RoleLabel::Active,
        term: Some(3),
        ..pod("a")
    };
    let mut bench = Bench::new(Handover::Seamless, vec![labelled, pod("b")]);
    bench.step(0, seen(5, Some("b_uid-b"), 4));
    assert_eq!(bench.last.standing.role, Role::Standby);
    assert_eq!(
        bench.last.request, None,
        "b takes the label off, and has pointed Services first"
    );
    assert!(bench.last.standing.holds_traffic, "until then it counts");
}

/// c4: a label that cannot be written is tried again, and the Lease is kept meanwhile.
#[test]
fn a_label_whose_write_is_refused_is_written_again_and_again() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let mut edited = bench.elector.group.pods["uid-a"].clone();
    edited.version = Version(50);
    edited.role = RoleLabel::Other;
    bench.step(1_000, Input::PodSeen(edited.clone()));
    let (mut tries, mut renewals, mut last_ms) = (0, 0, 1_000);
    while last_ms < 12_000 {
        let now_ms = match bench.last.request.clone().map(|request| request.action) {
            None => bench.wake(),
            Some(Action::WritePod(write)) => {
                assert_eq!(write.role, Some((PodRole::Active, 1)));
                tries += 1;
                bench.fail(last_ms + 5, Failure::Refused);
                last_ms + 5
            }
            Some(Action::ReadPod { .. }) => {
                let shown = Outcome::Pod(edited.clone());
                bench.step(last_ms + 5, Input::Done(bench.id(), shown));
                last_ms + 5
            }
            Some(_) => {
                assert_eq!(bench.lease_write().kind, LeaseWriteKind::Renew);
                renewals += 1;
                bench.accept(last_ms + 5);
                last_ms + 5
            }
        };
        assert!(bench.last.standing.role.leads());
        assert!(now_ms - last_ms <= 900, "{last_ms} to {now_ms}");
        last_ms = now_ms;
    }
    assert_eq!(renewals, 2);
    assert!(
        (10..=20).contains(&tries),
        "{tries} tries in eleven seconds"
    );
}

/// c5, c16: a sidecar that the kubelet restarts says nothing about its app.
#[test]
fn exclusive_keeps_the_lease_when_only_the_sidecar_is_ended() {
    let mut bench = Bench::leader(Handover::Exclusive, vec![pod("a"), pod("b")]);
    bench.step(1_000, Input::Terminate);
    assert_eq!(bench.last.request, None);
    assert!(bench.last.standing.finished);
    assert!(bench.last.standing.holds_traffic);
}

/// c7: SIGTERM while a renewal is under way, which then fails because somebody wrote first.
#[test]
fn a_release_goes_out_though_a_renewal_meets_a_conflict() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a")]);
    let now_ms = bench.wake();
    assert_eq!(bench.lease_write().kind, LeaseWriteKind::Renew);
    let renewal = bench.id();
    bench.step(now_ms + 1, Input::Terminate);
    assert_eq!(bench.last.request, None, "one write of the Lease at a time");
    let conflict = Outcome::Failed(Failure::Conflict);
    bench.step(now_ms + 2, Input::Done(renewal, conflict));
    bench.show_lease(now_ms + 3);
    // It is still due.
    assert_eq!(bench.lease_write().kind, LeaseWriteKind::Renew);
    bench.accept(now_ms + 3);
    assert_eq!(bench.pod_write().role, Some((PodRole::Passive, 1)));
    bench.accept_pod(now_ms + 4);
    let release = bench.lease_write();
    assert_eq!(release.kind, LeaseWriteKind::Release);
    assert_eq!(release.base, Some(Version(bench.version)));
    bench.accept(now_ms + 5);
    assert!(bench.last.standing.finished);
}

/// c8: requests that hang. Each attempt has time for a new connection to a server that is half a
/// second away: three round trips.
#[test]
fn five_attempts_to_renew_fit_into_the_time_that_is_left() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let valid_until = bench.last.standing.valid_until;
    let (mut attempts_ms, mut now_ms) = (Vec::new(), 0);
    while bench.last.standing.role.leads() {
        now_ms = bench.last.wake_at.as_ms();
        bench.step(now_ms, Input::Wake);
        let leads = bench.last.standing.role.leads();
        if let Some(request) = bench.last.request.as_ref().filter(|_| leads) {
            assert!(request.deadline <= valid_until);
            attempts_ms.push(request.deadline.ms_since(at(now_ms)));
            let write = bench.lease_write();
            let repeated = (write.kind, write.term, write.base);
            assert_eq!(repeated, (LeaseWriteKind::Renew, 1, Some(Version(11))));
        }
    }
    assert_eq!(attempts_ms[..5], [2_500, 1_666, 1_666, 1_666, 1_666]);
    assert_eq!(at(now_ms), valid_until, "the role ends by the clock alone");
}

/// c7: the answer to a renewal is lost, and the renewal was done: its repetition says so.
#[test]
fn a_renewal_whose_answer_was_lost_is_read_only_after_a_conflict() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let now_ms = bench.wake();
    bench.fail(now_ms + 300, Failure::Lost);
    assert_eq!(bench.lease_write().kind, LeaseWriteKind::Renew);
    bench.fail(now_ms + 310, Failure::Conflict);
    let read_ms = bench.wake_if_idle(now_ms + 310);
    bench.show_lease(read_ms + 10);
    assert_eq!(bench.lease_write().base, Some(Version(bench.version)));
    bench.accept(read_ms + 20);
    let valid_until = bench.last.standing.valid_until;
    assert_eq!(valid_until, at(read_ms + 10 + LD_MS - 750));
}

/// c14: a pod of a StatefulSet that was deleted by force runs on, and its namesake starts.
#[test]
fn a_namesake_with_another_uid_waits_like_anybody_else() {
    let mut bench = Bench::new(Handover::Seamless, vec![pod("a"), pod("b")]);
    bench.step(0, seen(5, Some("a_uid-of-before"), 3));
    assert_eq!(bench.last.request, None);
    assert_eq!(bench.wake(), LD_MS);
    let write = bench.lease_write();
    assert_eq!((write.kind, write.term), (LeaseWriteKind::Acquire, 4));
}

/// c23: an API server that sheds load.
#[test]
fn a_server_that_asks_for_more_time_than_the_role_has_is_asked_again_in_time() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let busy = Failure::Unavailable {
        retry_after_ms: 60_000,
    };
    let (mut now_ms, mut tries) = (bench.wake(), 0);
    while bench.last.standing.role.leads() {
        bench.fail(now_ms, busy);
        now_ms = bench.wake();
        tries += 1;
    }
    assert!((3..=5).contains(&tries), "{tries} tries in nine seconds");
}

/// c4, c23: who asks for an hour is not obeyed while the label is missing.
#[test]
fn a_label_is_written_again_within_seconds_whatever_the_server_asks_for() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let mut edited = bench.elector.group.pods["uid-a"].clone();
    edited.version = Version(50);
    edited.role = RoleLabel::Other;
    bench.step(1_000, Input::PodSeen(edited));
    assert_eq!(bench.pod_write().role, Some((PodRole::Active, 1)));
    let busy = Failure::Unavailable {
        retry_after_ms: 3_600_000,
    };
    bench.fail(1_010, busy);
    let again_ms = bench.wake();
    assert!((2_500..=3_500).contains(&again_ms), "{again_ms}");
}

/// c2: the answer to a write is lost, and no watch shows what became of it.
#[test]
fn what_became_of_a_write_is_read_before_the_next_one() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let mut edited = bench.elector.group.pods["uid-a"].clone();
    edited.version = Version(50);
    edited.role = RoleLabel::Other;
    bench.step(1_000, Input::PodSeen(edited.clone()));
    assert_eq!(bench.pod_write().role, Some((PodRole::Active, 1)));
    bench.fail(1_010, Failure::Lost);
    let (name, uid) = ("a".to_owned(), "uid-a".to_owned());
    let asked = |bench: &Bench| bench.last.request.as_ref().map(|it| it.action.clone());
    assert_eq!(asked(&bench), Some(Action::ReadPod { name, uid }));
    edited.version = Version(51);
    edited.role = RoleLabel::Active;
    bench.step(1_020, Input::Done(bench.id(), Outcome::Pod(edited)));
    assert_eq!(asked(&bench), None, "it was done");

    let name = "web".to_owned();
    let service = ServiceView {
        name: name.clone(),
        version: Version(60),
        active: None,
        term: None,
        selected: None,
        has_selector: true,
    };
    bench.step(2_000, Input::ServiceSeen(service.clone()));
    bench.fail(2_010, Failure::Lost);
    assert_eq!(asked(&bench), Some(Action::ReadService { name }));
    let read = Outcome::Service(Some(service));
    bench.step(2_020, Input::Done(bench.id(), read));
    assert!(
        matches!(asked(&bench), Some(Action::WriteService(_))),
        "it was not"
    );
}

/// c24: a rollout deletes the pods of the old revision one after the other.
#[test]
fn a_handover_passes_over_pods_that_the_rollout_will_delete() {
    let new = |name: &str, created_s: i64, ready: bool| PodView {
        revision: "2".to_owned(),
        created_s,
        ready,
        ..pod(name)
    };
    // Where no pod of the new one is ready yet, an old one is better than none.
    for (ready, successor) in [(true, "c"), (false, "b")] {
        let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
        for new_pod in [new("c", 10, ready), new("d", 20, false)] {
            bench.step(500, Input::PodSeen(new_pod));
            bench.accept_pod(510);
        }
        bench.doom("a", 1_000);
        let holder = Identity::new(successor, format!("uid-{successor}"));
        assert_eq!(bench.lease_write().holder, Some(holder));
    }
}

fn web_service(version: u64, active: Option<&str>, selected: Option<&str>) -> ServiceView {
    ServiceView {
        name: "web".to_owned(),
        version: Version(version),
        active: active.map(str::to_owned),
        term: active.map(|_| 1),
        selected: selected.map(str::to_owned),
        has_selector: true,
    }
}

/// Whoever writes the selector key owns it, and the user's next apply conflicts.
#[test]
fn the_selector_key_is_written_only_where_nothing_derived_it_lately() {
    let with_selector = |bench: &Bench| match bench.last.request.as_ref().map(|it| &it.action) {
        Some(Action::WriteService(write)) => write.with_selector,
        other => panic!("no write of the Service: {other:?}"),
    };
    let own = Some("uid-a");
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let mut now_ms = 1_000;
    bench.step(now_ms, Input::ServiceSeen(web_service(60, None, None)));
    assert!(!with_selector(&bench));
    for (failure, switches) in [(Failure::Forbidden, false), (Failure::Refused, true)] {
        bench.fail(now_ms + 10, failure);
        now_ms = bench.wake();
        bench.step(
            now_ms,
            Input::Done(
                bench.id(),
                Outcome::Service(Some(web_service(60, None, None))),
            ),
        );
        assert_eq!(with_selector(&bench), switches, "{failure:?}");
    }
    for (later_ms, remembered) in [(60_000, true), (310_000, false)] {
        let done = Outcome::Service(Some(web_service(61 + now_ms, own, own)));
        bench.step(now_ms, Input::Done(bench.id(), done));
        let then_ms = now_ms + later_ms;
        while now_ms < then_ms {
            now_ms = bench.wake();
            bench.accept(now_ms);
        }
        let edited = web_service(61 + now_ms, Some("none"), Some("none"));
        bench.step(now_ms, Input::ServiceSeen(edited));
        assert_eq!(with_selector(&bench), remembered, "after {later_ms} ms");
    }
}
