//! Electors that share Lease or pods with another kind.

use super::*;
use crate::customs::Customs;
use common::ids::HolderForm;
use common::role::Giving;

fn leader(giving: Giving, pods: Vec<PodView>) -> Bench {
    let mut bench = Bench::leader(Handover::Seamless, pods);
    bench.elector.params.customs = Customs {
        giving,
        terms: false,
        ..Customs::default()
    };
    bench
}

fn deleted(bench: &mut Bench, now_ms: u64) {
    let mut own = bench.elector.group.pods["uid-a"].clone();
    own.version = Version(own.version.0 + 1);
    own.terminating = true;
    bench.step(now_ms, Input::PodSeen(own));
}

fn role_written(bench: &Bench) -> Option<PodRole> {
    match &bench.last.request.as_ref()?.action {
        Action::WritePod(write) => write.role.map(|(role, _)| role),
        _ => None,
    }
}

#[test]
fn a_lease_is_freed_once_the_label_is_off() {
    let mut bench = leader(Giving::StrippedAndFreed, vec![pod("a"), pod("b")]);
    deleted(&mut bench, 1_000);
    assert_eq!(role_written(&bench), Some(PodRole::Passive));
    bench.accept_pod(1_010);
    let write = bench.lease_write();
    assert_eq!((write.kind, write.holder), (LeaseWriteKind::Release, None));
}

#[test]
fn a_lease_is_freed_with_the_label_on_once_there_is_a_successor() {
    let mut bench = leader(Giving::Freed, vec![pod("a")]);
    deleted(&mut bench, 1_000);
    assert_eq!(bench.last.request, None, "nobody is there to follow");
    assert_eq!(bench.last.standing.role, Role::Draining);
    bench.step(1_500, Input::PodSeen(pod("b")));
    let write = bench.lease_write();
    assert_eq!((write.kind, write.holder), (LeaseWriteKind::Release, None));
    assert_eq!(
        bench.elector.group.pods["uid-a"].role,
        RoleLabel::Active,
        "the next leader takes it off"
    );
}

#[test]
fn without_terms_nothing_is_written_that_is_as_it_should_be() {
    let mut bench = leader(Giving::Freed, vec![pod("a"), pod("b")]);
    let mut other = pod("b");
    (other.version, other.role) = (Version(30), RoleLabel::Passive);
    bench.step(200, Input::PodSeen(other));
    assert_eq!(bench.last.request, None);
}

#[test]
fn a_holder_by_name_takes_its_lease_back() {
    let mut params = params("a", Handover::Seamless);
    params.customs.holder = HolderForm::Name;
    let mut elector = Elector::new(params);
    let listed = [
        Input::PodsListed(vec![pod("a"), pod("b")]),
        Input::ServicesListed(Vec::new()),
    ];
    for input in listed {
        let step = elector.step(at(0), input);
        assert_eq!(step.request, None);
    }
    let record = |holder: &str| LeaseView {
        version: Version(10),
        record: Record {
            holder: Some(holder.to_owned()),
            term: 4,
            duration_ms: LD_MS,
            renew_time_us: 1,
            ..Record::default()
        },
    };
    let mut other = elector.clone();
    let step = other.step(at(10), Input::LeaseSeen(record("b")));
    assert_eq!(step.request, None, "it is another pod's");
    let step = elector.step(at(10), Input::LeaseSeen(record("a")));
    let request = step.request.unwrap();
    assert!(
        matches!(&request.action, Action::WriteLease(write) if write.term == 5),
        "{request:?}"
    );
}
