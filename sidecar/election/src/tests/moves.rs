//! Who the role goes to and what is said about it: switchovers, owners, the history.

use super::*;

impl Bench {
    /// The Lease as last accepted, with one thing edited by hand.
    fn edited(&mut self, now_ms: u64, edit: impl FnOnce(&mut Record)) {
        let mut record = self.elector.lease.record().cloned().unwrap();
        edit(&mut record);
        self.version += 1;
        let version = Version(self.version);
        self.step(now_ms, Input::LeaseSeen(LeaseView { version, record }));
    }
}

#[test]
fn a_switchover_hands_the_role_over_and_is_answered_by_the_same_write() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b"), pod("c")]);
    bench.edited(1_000, |record| record.switchover = Some("c".to_owned()));
    let write = bench.lease_write();
    assert_eq!(write.kind, LeaseWriteKind::Handover);
    assert_eq!(write.holder, Some(Identity::new("c", "uid-c")));
    assert_eq!(write.answer, Some(SwitchoverAnswer::Done));
    let directed = HistoryNote::Directed(MoveKind::Switchover);
    assert_eq!(write.history, Some(directed));
}

#[test]
fn a_switchover_that_cannot_be_done_is_answered_at_once_with_the_reason() {
    let unready = PodView {
        ready: false,
        ..pod("b")
    };
    let refusals = [
        ("b", false, Refusal::Ineligible(Ineligible::NotReady)),
        ("a", false, Refusal::AlreadyActive),
        ("x", false, Refusal::NoSuchPod),
        ("any", false, Refusal::NoPeer),
        ("any", true, Refusal::Paused),
    ];
    for (wanted, paused, refusal) in refusals {
        let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), unready.clone()]);
        bench.edited(1_000, |record| {
            record.switchover = Some(wanted.to_owned());
            record.paused = paused;
        });
        let write = bench.lease_write();
        assert_eq!(write.kind, LeaseWriteKind::Renew, "{wanted}");
        let refused = Some(SwitchoverAnswer::Refused(refusal));
        assert_eq!(write.answer, refused, "{wanted}");
        assert_eq!(write.history, None, "{wanted}");
    }
}

#[test]
fn a_switchover_waits_while_the_last_move_is_being_finished() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let mut straggler = bench.elector.group.pods["uid-b"].clone();
    straggler.version = Version(99);
    straggler.role = RoleLabel::Active;
    bench.step(1_000, Input::PodSeen(straggler));
    let stripping = bench.last.clone();
    bench.edited(1_001, |record| record.switchover = Some("b".to_owned()));
    assert_eq!(bench.last.request, None);
    bench.last = stripping;
    bench.accept_pod(1_002);
    assert_eq!(bench.lease_write().kind, LeaseWriteKind::Handover);
}

#[test]
fn a_pod_of_another_workload_is_no_successor() {
    let owned = |name: &str, owner: &str| PodView {
        owner: Some(owner.to_owned()),
        ..pod(name)
    };
    let pods = vec![owned("a", "Deployment/web"), owned("b", "Deployment/other")];
    let mut bench = Bench::leader(Handover::Seamless, pods);
    bench.edited(500, |record| {
        record.owner = Some("Deployment/web".to_owned())
    });
    let mut doomed = bench.elector.group.pods["uid-a"].clone();
    doomed.terminating = true;
    bench.step(1_000, Input::PodSeen(doomed));
    assert_eq!(bench.last.request, None, "nobody may have it");
    assert_eq!(bench.last.standing.role, Role::Draining);
    let peer = &bench.elector.peers()[1];
    assert_eq!(peer.ineligible, Some(Ineligible::OtherOwner));
}

#[test]
fn a_pod_of_another_workload_takes_what_has_expired_after_those_of_the_owner() {
    let owned = |name: &str, owner: &str| PodView {
        owner: Some(owner.to_owned()),
        ..pod(name)
    };
    let pods = vec![owned("a", "Deployment/new"), owned("b", "Deployment/old")];
    let mut bench = Bench::new(Handover::Seamless, pods);
    let record = Record {
        holder: Some("gone_uid-gone".to_owned()),
        term: 7,
        duration_ms: LD_MS,
        owner: Some("Deployment/old".to_owned()),
        ..Record::default()
    };
    let version = Version(5);
    bench.step(0, Input::LeaseSeen(LeaseView { version, record }));
    bench.step(LD_MS, Input::Wake);
    assert_eq!(bench.last.request, None, "b has the first turn");
    let now_ms = bench.last.wake_at.as_ms();
    bench.step(now_ms, Input::Wake);
    let write = bench.lease_write();
    let taken = HistoryNote::Taken {
        kind: MoveKind::Expired,
        took_ms: Some(now_ms),
    };
    assert_eq!(write.history, Some(taken));
    assert_eq!(write.owner.as_deref(), Some("Deployment/web"));
}

#[test]
fn exclusive_hands_nothing_over_while_a_write_of_its_own_label_has_no_answer() {
    let mut bench = Bench::leader(Handover::Exclusive, vec![pod("a"), pod("b")]);
    // Somebody takes the label off; the repair is sent, and its answer is lost.
    let mut edited = bench.elector.group.pods["uid-a"].clone();
    edited.version = Version(50);
    edited.role = RoleLabel::Other;
    bench.step(1_000, Input::PodSeen(edited.clone()));
    let repair = bench.last.request.clone().unwrap();
    assert!(matches!(repair.action, Action::WritePod(_)));
    edited.terminating = true;
    edited.version = Version(50);
    bench.step(1_001, Input::PodSeen(edited));
    bench.step(1_002, Input::Terminate);
    bench.step(
        1_003,
        Input::Done(repair.id, Outcome::Failed(Failure::Lost)),
    );
    let next = bench.last.request.clone().unwrap().action;
    assert!(matches!(next, Action::ReadPod { .. }), "{next:?}");
}

#[test]
fn exclusive_labels_itself_only_once_it_knows_the_services() {
    let mut elector = Elector::new(params("a", Handover::Exclusive));
    let listed = elector.step(at(0), Input::PodsListed(vec![pod("a")]));
    assert_eq!(listed.request, None);
    let free = LeaseView {
        version: Version(1),
        record: Record::default(),
    };
    let step = elector.step(at(0), Input::LeaseSeen(free));
    let request = step.request.unwrap();
    let lease = LeaseView {
        version: Version(2),
        record: Record {
            holder: Some("a_uid-a".to_owned()),
            term: 1,
            duration_ms: LD_MS,
            ..Record::default()
        },
    };
    let done = Input::Done(request.id, Outcome::Lease(lease));
    let step = elector.step(at(5), done);
    assert_eq!(step.standing.role, Role::Leader);
    assert_eq!(step.request, None, "a Service may point at another pod");
    let step = elector.step(at(9), Input::ServicesListed(Vec::new()));
    assert!(matches!(step.request.unwrap().action, Action::WritePod(_)));
}

#[test]
fn a_lease_that_is_not_there_is_made_only_once_the_services_are_known() {
    let mut elector = Elector::new(params("a", Handover::Seamless));
    let listed = elector.step(at(0), Input::PodsListed(vec![pod("a")]));
    assert_eq!(listed.request, None);
    let step = elector.step(at(0), Input::LeaseAbsent(Version(1)));
    assert_eq!(step.request, None, "a Service may show that somebody leads");
    let step = elector.step(at(9), Input::ServicesListed(Vec::new()));
    assert!(matches!(
        step.request.unwrap().action,
        Action::WriteLease(_)
    ));
}

/// A connection that is open by the time it is named saves a move the time to open one.
#[test]
fn whoever_comes_next_is_told_when_the_holder_has_to_go() {
    let better = PodView {
        priority: 5,
        ..pod("c")
    };
    for (rival, is_next) in [(pod("c"), true), (better, false)] {
        let mut bench = Bench::new(Handover::Seamless, vec![pod("a"), pod("b"), rival]);
        let record = Record {
            holder: Some("b_uid-b".to_owned()),
            term: 3,
            duration_ms: LD_MS,
            ..Record::default()
        };
        let version = Version(5);
        bench.step(0, Input::LeaseSeen(LeaseView { version, record }));
        assert!(!bench.last.soon);
        bench.doom("b", 1_000);
        assert_eq!(bench.last.soon, is_next);
        assert_eq!(bench.last.request, None);
    }
}
