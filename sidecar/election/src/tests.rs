//! The elector against a script: what it asks for, when, and what it believes.

use super::*;
use common::ids::Identity;

mod customs;
mod deleted;
mod failures;
mod moves;
mod restored;

const LD_MS: u64 = 15_000;

fn params(name: &str, handover: Handover) -> Params {
    Params {
        identity: Identity::new(name, format!("uid-{name}")),
        owner: Some("Deployment/web".to_owned()),
        lease_duration_ms: LD_MS,
        renew_deadline_ms: 10_000,
        retry_period_ms: 2_000,
        handover,
        drain_timeout_ms: 27_000,
        unready_grace_ms: 5_000,
        jitter_seed: 1,
        customs: Customs::default(),
    }
}

fn pod(name: &str) -> PodView {
    PodView {
        uid: format!("uid-{name}"),
        name: name.to_owned(),
        version: Version(1),
        role: RoleLabel::Other,
        term: None,
        started: true,
        ready: true,
        terminating: false,
        disrupted: false,
        priority: 0,
        revision: "1".to_owned(),
        created_s: 0,
        owner: None,
    }
}

fn at(ms: u64) -> Mono {
    Mono::from_ms(ms)
}

/// One elector, a Lease that takes every write, and pods that stay as they are put.
struct Bench {
    elector: Elector,
    version: u64,
    last: Step,
}

impl Bench {
    fn new(handover: Handover, pods: Vec<PodView>) -> Self {
        let mut elector = Elector::new(params("a", handover));
        let step = elector.step(at(0), Input::PodsListed(pods));
        assert_eq!(
            step.request, None,
            "nothing is done before the Lease is known"
        );
        assert_eq!(step.standing.role, Role::Starting);
        let step = elector.step(at(0), Input::ServicesListed(Vec::new()));
        Self {
            elector,
            version: 10,
            last: step,
        }
    }

    fn step(&mut self, now_ms: u64, input: Input) -> &Step {
        self.last = self.elector.step(at(now_ms), input);
        &self.last
    }

    fn lease_write(&self) -> LeaseWrite {
        match &self.last.request {
            Some(Request {
                action: Action::WriteLease(write),
                ..
            }) => write.clone(),
            other => panic!("no write of the Lease: {other:?}"),
        }
    }

    /// The record that the API server would hold after `write`.
    fn written(&mut self, write: &LeaseWrite, now_ms: u64) -> LeaseView {
        self.version += 1;
        LeaseView {
            version: Version(self.version),
            record: Record {
                holder: match write.kind {
                    LeaseWriteKind::Recreate => Some("none".to_owned()),
                    _ => write.holder.as_ref().map(ToString::to_string),
                },
                term: write.term,
                duration_ms: write.duration_ms,
                renew_time_us: i64::try_from(now_ms).unwrap(),
                ..Record::default()
            },
        }
    }

    /// Answers the Lease write in flight with success.
    fn accept(&mut self, now_ms: u64) {
        let id = self.last.request.as_ref().unwrap().id;
        let write = self.lease_write();
        let lease = self.written(&write, now_ms);
        self.step(now_ms, Input::Done(id, Outcome::Lease(lease)));
    }

    /// Answers the request in flight, whatever it writes to a pod, as done.
    fn accept_pod(&mut self, now_ms: u64) {
        let request = self.last.request.clone().unwrap();
        let Action::WritePod(write) = request.action else {
            panic!("{request:?}")
        };
        let mut written = self.elector.group.pods[&write.uid].clone();
        written.version = Version(written.version.0 + 1);
        if let Some((role, term)) = write.role {
            written.role = match role {
                PodRole::Active => RoleLabel::Active,
                PodRole::Passive => RoleLabel::Passive,
            };
            written.term = Some(term);
        }
        self.step(now_ms, Input::Done(request.id, Outcome::Pod(written)));
    }

    fn leader(handover: Handover, pods: Vec<PodView>) -> Self {
        let count = pods.len();
        let mut bench = Self::new(handover, pods);
        bench.step(100, Input::LeaseAbsent(Version(1)));
        bench.accept(110);
        for _ in 0..count {
            bench.accept_pod(120);
        }
        assert_eq!(bench.last.standing.role, Role::Leader);
        assert_eq!(bench.last.request, None);
        bench
    }
}

#[test]
fn validity_counts_from_before_the_write_was_sent() {
    let mut bench = Bench::new(Handover::Seamless, vec![pod("a")]);
    bench.step(100, Input::LeaseAbsent(Version(1)));
    assert_eq!(bench.lease_write().kind, LeaseWriteKind::Acquire);
    bench.accept(2_000);
    let valid_until = at(100 + LD_MS - 750);
    assert_eq!(bench.last.standing.valid_until, valid_until);
    assert!(
        bench
            .elector
            .standing(at(valid_until.as_ms() - 1))
            .role
            .leads()
    );
    assert!(!bench.elector.standing(valid_until).role.leads());
}

#[test]
fn a_leader_renews_every_third_of_the_lease_and_asks_nothing_else() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let mut renewals = Vec::new();
    for _ in 0..10 {
        let due = bench.last.wake_at;
        bench.step(due.as_ms(), Input::Wake);
        if bench.last.request.is_some() {
            assert_eq!(bench.lease_write().kind, LeaseWriteKind::Renew);
            renewals.push(due.as_ms());
            bench.accept(due.as_ms() + 5);
        }
    }
    assert!(
        renewals
            .windows(2)
            .all(|pair| pair[1] - pair[0] == LD_MS / 3),
        "{renewals:?}"
    );
}

#[test]
fn a_standby_takes_over_when_the_record_has_not_changed_for_its_duration() {
    let mut bench = Bench::new(Handover::Seamless, vec![pod("a"), pod("z")]);
    let held = LeaseView {
        version: Version(5),
        record: Record {
            holder: Some("z_uid-z".to_owned()),
            term: 7,
            duration_ms: LD_MS,
            ..Record::default()
        },
    };
    bench.step(1_000, Input::LeaseSeen(held.clone()));
    assert_eq!(bench.last.request, None);
    // The same record again, by a re-opened watch: its age goes on.
    bench.step(9_000, Input::LeaseSeen(held));
    assert_eq!(bench.last.wake_at, at(1_000 + LD_MS));
    bench.step(1_000 + LD_MS, Input::Wake);
    let write = bench.lease_write();
    assert_eq!(
        (write.kind, write.term, write.base),
        (LeaseWriteKind::Acquire, 8, Some(Version(5)))
    );
}

#[test]
fn a_directed_move_ends_the_old_role_before_the_write_is_answered() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let mut doomed = bench.elector.group.pods["uid-a"].clone();
    doomed.terminating = true;
    bench.step(1_000, Input::PodSeen(doomed));
    let write = bench.lease_write();
    assert_eq!(write.kind, LeaseWriteKind::Handover);
    assert_eq!(write.holder, Some(Identity::new("b", "uid-b")));
    assert_eq!((write.term, write.duration_ms), (2, 2_000));
    assert!(
        !bench.last.standing.role.leads(),
        "the successor may act before the answer comes"
    );
    assert!(
        bench.last.standing.holds_traffic,
        "seamless: the successor takes the label"
    );
}

#[test]
fn exclusive_gives_the_lease_away_only_after_sigterm_and_stripped() {
    let mut bench = Bench::leader(Handover::Exclusive, vec![pod("a"), pod("b")]);
    let mut doomed = bench.elector.group.pods["uid-a"].clone();
    doomed.terminating = true;
    bench.step(1_000, Input::PodSeen(doomed));
    bench.accept_pod(1_010);
    assert_eq!(bench.last.standing.role, Role::Draining);
    assert!(!bench.last.standing.holds_traffic);
    assert_eq!(bench.last.request, None, "the app may still run");
    bench.step(4_000, Input::Terminate);
    assert_eq!(bench.lease_write().kind, LeaseWriteKind::Handover);
    assert!(!bench.last.standing.finished);
    bench.accept(4_010);
    assert!(bench.last.standing.finished);
}

#[test]
fn a_late_answer_is_ignored() {
    let mut bench = Bench::new(Handover::Seamless, vec![pod("a")]);
    bench.step(0, Input::LeaseAbsent(Version(1)));
    let request = bench.last.request.clone().unwrap();
    let write = bench.lease_write();
    let late = bench.written(&write, 0);
    let overdue_ms = request.deadline.as_ms();
    bench.step(overdue_ms, Input::Wake);
    assert!(matches!(&bench.last.request, Some(r) if r.action == Action::ReadLease));
    bench.step(
        overdue_ms + 1,
        Input::Done(request.id, Outcome::Lease(late)),
    );
    assert!(!bench.last.standing.role.leads());
}

#[test]
fn a_restarted_sidecar_takes_its_own_lease_back_at_once_in_a_new_term() {
    let mut bench = Bench::new(Handover::Seamless, vec![pod("a"), pod("b")]);
    let own = LeaseView {
        version: Version(5),
        record: Record {
            holder: Some("a_uid-a".to_owned()),
            term: 3,
            duration_ms: LD_MS,
            ..Record::default()
        },
    };
    bench.step(50, Input::LeaseSeen(own));
    let write = bench.lease_write();
    assert_eq!((write.kind, write.term), (LeaseWriteKind::Acquire, 4));
}

#[test]
fn a_conflict_leads_to_one_read_and_a_decision() {
    let mut bench = Bench::new(Handover::Seamless, vec![pod("a")]);
    bench.step(0, Input::LeaseAbsent(Version(1)));
    let id = bench.last.request.as_ref().unwrap().id;
    bench.step(5, Input::Done(id, Outcome::Failed(Failure::Conflict)));
    let read = bench.last.request.clone().unwrap();
    assert_eq!(read.action, Action::ReadLease);
    let other = LeaseView {
        version: Version(9),
        record: Record {
            holder: Some("client-go-peer".to_owned()),
            term: 1,
            duration_ms: LD_MS,
            ..Record::default()
        },
    };
    bench.step(9, Input::Done(read.id, Outcome::Lease(other)));
    assert_eq!(bench.last.request, None);
    assert_eq!(bench.last.wake_at, at(9 + LD_MS));
}

#[test]
fn a_stray_higher_term_is_outbid_before_anything_is_written_in_a_lower_one() {
    let mut bench = Bench::leader(Handover::Seamless, vec![pod("a"), pod("b")]);
    let mut stray = bench.elector.group.pods["uid-b"].clone();
    stray.version = Version(99);
    stray.term = Some(40);
    bench.step(1_000, Input::PodSeen(stray));
    let write = bench.lease_write();
    assert_eq!((write.kind, write.term), (LeaseWriteKind::Renew, 41));
}
