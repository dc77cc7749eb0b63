use super::*;
use crate::tests::config;
use election::SwitchoverAnswer;

fn stored() -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "l-1", "resourceVersion": "77",
            "labels": {"team": "a"},
            "annotations": {
                contract::SWITCHOVER: "any",
                contract::OWNER: "Deployment/web",
                "example.com/note": "keep me",
            },
            "managedFields": [{"manager": "somebody"}],
        },
        "spec": {
            "holderIdentity": "web-1_u-1",
            "leaseDurationSeconds": 15,
            "leaseTransitions": 4,
            "acquireTime": "2026-01-01T00:00:00.000000Z",
            "renewTime": "2026-01-01T00:00:05.250000Z",
            "strategy": "OldestEmulationVersion",
        },
    })
}

fn renewal() -> LeaseWrite {
    LeaseWrite {
        kind: LeaseWriteKind::Renew,
        base: Some(Version(77)),
        holder: Some(Identity::new("web-1", "u-1")),
        term: 4,
        duration_ms: 15_000,
        owner: Some("Deployment/web".to_owned()),
        history: None,
        answer: None,
    }
}

fn at() -> Timestamp {
    "2026-02-03T04:05:06.7Z".parse().unwrap()
}

#[test]
fn reads_what_the_elector_needs() {
    let view = Lease::read(stored()).unwrap().view;
    assert_eq!(view.version, Version(77));
    assert_eq!(
        view.record,
        Record {
            holder: Some("web-1_u-1".to_owned()),
            term: 4,
            duration_ms: 15_000,
            renew_time_us: 1_767_225_605_250_000,
            paused: false,
            switchover: Some("any".to_owned()),
            owner: Some("Deployment/web".to_owned()),
        }
    );
}

/// A token that was stolen may write any duration; the group is not to wait 68 years.
#[test]
fn no_lease_is_longer_than_the_contract_allows() {
    for (seconds, read_ms) in [
        (3_600, 3_600_000),
        (3_601, 3_600_000),
        (2_147_483_647, 3_600_000),
    ] {
        let mut lease = stored();
        lease["spec"]["leaseDurationSeconds"] = json!(seconds);
        assert_eq!(Lease::read(lease).unwrap().view.record.duration_ms, read_ms);
    }
}

#[test]
fn a_free_lease_has_no_holder_however_it_is_written() {
    for holder in [json!(""), json!(null)] {
        let mut lease = stored();
        lease["spec"]["holderIdentity"] = holder;
        assert_eq!(Lease::read(lease).unwrap().view.record.holder, None);
    }
    let empty = json!({"metadata": {"name": "web", "resourceVersion": "1"}});
    assert_eq!(Lease::read(empty).unwrap().view.record, Record::default());
}

#[test]
fn a_renewal_keeps_everything_that_is_not_its_own() {
    let base = Lease::read(stored()).unwrap().json;
    let lease = written(&renewal(), Some(&base), &config(), at());
    let mut expected = stored();
    expected["spec"]["renewTime"] = json!("2026-02-03T04:05:06.700000Z");
    expected["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    assert_eq!(lease, expected);
}

#[test]
fn an_acquisition_says_when_and_is_fenced() {
    let write = LeaseWrite {
        kind: LeaseWriteKind::Acquire,
        term: 5,
        ..renewal()
    };
    let lease = written(&write, Some(&stored()), &config(), at());
    assert_eq!(lease["spec"]["acquireTime"], "2026-02-03T04:05:06.700000Z");
    assert_eq!(lease["spec"]["leaseTransitions"], 5);
    assert_eq!(
        lease["metadata"]["labels"],
        json!({"team": "a", contract::LEASE: "true"})
    );
    assert_eq!(lease["metadata"]["resourceVersion"], "77");
}

#[test]
fn a_lease_of_another_system_is_not_fenced() {
    let write = LeaseWrite {
        kind: LeaseWriteKind::Acquire,
        term: 5,
        ..renewal()
    };
    let mut foreign = stored();
    foreign["spec"]["holderIdentity"] = json!("controller-host");
    let lease = written(&write, Some(&foreign), &config(), at());
    assert_eq!(lease["metadata"]["labels"], json!({"team": "a"}));
}

#[test]
fn creates_a_lease_that_is_not_there() {
    let write = LeaseWrite {
        kind: LeaseWriteKind::Acquire,
        base: None,
        term: 1,
        ..renewal()
    };
    let lease = written(&write, None, &config(), at());
    assert_eq!(
        lease,
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": "web", "namespace": "shop",
                "labels": {contract::LEASE: "true"},
                "annotations": {contract::OWNER: "Deployment/web"},
            },
            "spec": {
                "holderIdentity": "web-1_u-1",
                "leaseDurationSeconds": 15,
                "leaseTransitions": 1,
                "acquireTime": "2026-02-03T04:05:06.700000Z",
                "renewTime": "2026-02-03T04:05:06.700000Z",
            },
        })
    );
}

#[test]
fn a_release_frees_it_and_answers_a_switchover() {
    let write = LeaseWrite {
        kind: LeaseWriteKind::Release,
        holder: None,
        answer: Some(SwitchoverAnswer::Done),
        ..renewal()
    };
    let lease = written(&write, Some(&stored()), &config(), at());
    assert_eq!(lease["spec"]["holderIdentity"], "");
    assert_eq!(lease["spec"]["acquireTime"], "2026-01-01T00:00:00.000000Z");
    assert_eq!(
        lease["metadata"]["annotations"].get(contract::SWITCHOVER),
        None
    );
}

#[test]
fn the_next_write_builds_on_what_was_watched_or_answered_last() {
    let mut last = LastLease::default();
    let of_version = |version: &str| {
        let mut lease = stored();
        lease["metadata"]["resourceVersion"] = json!(version);
        Lease::read(lease).unwrap()
    };
    last.answered(of_version("78"));
    last.watched(of_version("77"));
    assert!(
        last.at(Version(78)).is_some(),
        "a late event replaced the answer"
    );
    // A restored backup: the watch begins anew, with an older version.
    last.watched(of_version("12"));
    assert!(last.at(Version(12)).is_some());
    assert!(last.at(Version(77)).is_none());
}

#[test]
fn among_electors_of_another_kind_it_is_written_as_theirs() {
    let mut config = config();
    config.params.customs.holder = common::ids::HolderForm::Name;
    config.lease = LeaseForm {
        name: "other-lock".to_owned(),
        fence: Fence::Unsaid,
        free_s: Some(1),
    };
    let taken = LeaseWrite {
        kind: LeaseWriteKind::Acquire,
        base: None,
        ..renewal()
    };
    let lease = written(&taken, None, &config, at());
    assert_eq!(lease["metadata"]["name"], "other-lock");
    assert_eq!(lease["metadata"]["labels"], Value::Null);
    assert_eq!(lease["spec"]["holderIdentity"], "web-1");
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 15);
    let freed = LeaseWrite {
        kind: LeaseWriteKind::Release,
        holder: None,
        ..renewal()
    };
    let lease = written(&freed, Some(&stored()), &config, at());
    assert_eq!(lease["spec"]["holderIdentity"], "");
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 1);
    config.lease.fence = Fence::Off;
    let lease = written(&taken, None, &config, at());
    assert_eq!(lease["metadata"]["labels"][contract::LEASE], "false");
    let lease = written(&renewal(), Some(&stored()), &config, at());
    assert_eq!(lease["metadata"]["labels"], json!({"team": "a"}));
}
