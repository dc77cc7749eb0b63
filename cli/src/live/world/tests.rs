use super::*;
use crate::report::GroupReport;
use crate::tests::{groups_of, now, objects, of};
use k8s_openapi::jiff::SignedDuration;
use serde_json::{Value, json};

/// The object of this kind and name.
fn find<'a>(objects: &'a mut [Value], kind: &str, name: &str) -> &'a mut Value {
    let mut found = objects.iter_mut();
    found
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .unwrap()
}

fn listed(objects: &[Value], source: Source) -> News {
    let objects: Vec<Object> = match source {
        Source::Leases => {
            let leases: Vec<Lease> = of(objects, "Lease").unwrap();
            leases.into_iter().map(Object::Lease).collect()
        }
        Source::Pods => {
            let pods: Vec<Pod> = of(objects, "Pod").unwrap();
            pods.into_iter().map(Object::Pod).collect()
        }
        Source::Services | Source::Pulse => {
            let services: Vec<Service> = of(objects, "Service").unwrap();
            services.into_iter().map(Object::Service).collect()
        }
    };
    News::Listed(source, objects)
}

/// A world that has seen these objects.
fn world(objects: &[Value]) -> World {
    let mut world = World::default();
    for source in [Source::Leases, Source::Pods, Source::Services] {
        world.take(listed(objects, source), now());
    }
    world
}

fn changed(object: Object) -> News {
    News::Changed(Box::new(object))
}

fn lease(objects: &mut [Value]) -> Lease {
    serde_json::from_value(find(objects, "Lease", "web").clone()).unwrap()
}

fn pod(objects: &mut [Value], name: &str) -> Pod {
    serde_json::from_value(find(objects, "Pod", name).clone()).unwrap()
}

fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

#[test]
fn groups_are_those_of_status_once_each_kind_was_listed() {
    let objects = objects("settled");
    let mut world = World::default();
    for source in [Source::Services, Source::Leases] {
        world.take(listed(&objects, source), now());
        assert!(!world.snapshot().complete);
        assert_eq!(world.snapshot().groups.len(), 0);
    }
    world.take(listed(&objects, Source::Pods), now());
    let snapshot = world.snapshot();
    assert!(snapshot.complete);
    let by_status = groups_of(&objects);
    assert_eq!(snapshot.groups.len(), by_status.len());
    let face: Value = serde_json::from_str(&snapshot.groups[0].face).unwrap();
    let report = serde_json::to_value(GroupReport::new(&by_status[0], now())).unwrap();
    for field in ["group", "active", "term", "services", "history", "warnings"] {
        assert_eq!(face[field], report[field], "{field}");
    }
}

#[test]
fn a_renewal_is_no_new_face() {
    let mut objects = objects("settled");
    let mut world = world(&objects);
    let before = world.snapshot().groups[0].clone();
    find(&mut objects, "Lease", "web")["spec"]["renewTime"] = json!("2026-02-03T04:10:02.000000Z");
    world.take(changed(Object::Lease(lease(&mut objects))), later(2));
    let after = world.snapshot().groups[0].clone();
    assert_eq!(after.version, before.version);
    assert_eq!(after.renewed_ms(), before.renewed_ms().map(|ms| ms + 5_000));
}

#[test]
fn a_pod_that_is_not_ready_changes_its_group_alone() {
    let mut objects = objects("settled");
    let other = json!({"kind": "Service", "metadata": {"name": "db", "namespace": "shop",
                       "annotations": {"active-passive.dev/group": "db"}}});
    objects.push(other);
    let mut world = world(&objects);
    let versions = |world: &World| -> Vec<u64> {
        let groups = world.snapshot().groups;
        groups.iter().map(|it| it.version).collect()
    };
    let before = versions(&world);
    find(&mut objects, "Pod", "web-1")["status"]["containerStatuses"][0]["ready"] = json!(false);
    world.take(changed(Object::Pod(pod(&mut objects, "web-1"))), later(3));
    let after = versions(&world);
    assert_eq!((before.len(), before[0]), (2, after[0]));
    assert_ne!(before[1], after[1]);
    let web = world.snapshot().groups[1].clone();
    let track = web
        .tracks
        .iter()
        .find(|track| track.pod == "web-1")
        .unwrap();
    let last = track.spans.last().unwrap();
    assert_eq!(
        *last,
        (
            later(3).as_millisecond(),
            crate::live::tracks::Phase::Unready
        )
    );
}

/// Not while nobody knows whether it was renewed.
#[test]
fn a_lease_that_runs_out_is_seen_while_there_is_contact() {
    let mut world = world(&objects("settled"));
    // A connection that is dead is as silent as a leader that is gone.
    world.tick(later(60));
    assert!(!world.snapshot().groups[0].leaderless);
    world.take(News::Lost(Source::Pulse, "refused".to_owned()), later(6));
    world.tick(later(60));
    let cut = world.snapshot();
    assert!(!cut.groups[0].leaderless);
    assert_eq!(cut.contact.lost.as_deref(), Some("refused"));
    assert_eq!(cut.contact.seen_until_ms, now().as_millisecond());
    world.take(News::Heard(Source::Pulse), later(61));
    world.tick(later(61));
    let back = world.snapshot();
    assert!(back.groups[0].leaderless && back.groups[0].face.contains("NoLeader"));
}

/// Between two lists of Leases that may not be watched, nobody knows whether they were renewed.
#[test]
fn a_lease_that_is_listed_now_and_then_runs_out_at_a_list() {
    let objects = objects("settled");
    let mut world = world(&objects);
    world.take(News::Unwatched(Source::Leases), now());
    world.take(News::Heard(Source::Pulse), later(20));
    world.tick(later(20));
    let between = world.snapshot();
    assert!(!between.groups[0].leaderless && !between.groups[0].face.contains("NoLeader"));
    assert_eq!(between.seen_at(later(20)), now());
    world.take(listed(&objects, Source::Leases), later(25));
    world.take(News::Unwatched(Source::Leases), later(25));
    world.tick(later(25));
    assert!(world.snapshot().groups[0].leaderless);
    // One that is watched again is known until now.
    world.take(News::Heard(Source::Leases), later(30));
    assert_eq!(world.snapshot().seen_at(later(31)), later(31));
}

#[test]
fn what_may_not_be_listed_is_named_and_the_rest_is_shown() {
    let objects = objects("settled");
    let mut world = World::default();
    world.take(listed(&objects, Source::Leases), now());
    world.take(listed(&objects, Source::Pods), now());
    let why = "you may not list services: no".to_owned();
    world.take(News::Refused(Source::Services, why.clone()), now());
    let without = world.snapshot();
    assert_eq!((without.complete, without.unseen), (true, vec![why]));
    assert!(without.groups[0].group.services.is_empty());
    // The right may come.
    world.take(listed(&objects, Source::Services), later(30));
    let with = world.snapshot();
    assert_eq!(
        (with.unseen.len(), with.groups[0].group.services.len()),
        (0, 1)
    );
}

#[test]
fn a_group_goes_with_the_last_of_its_objects() {
    let mut objects = objects("settled");
    let mut world = world(&objects);
    let gone = |source, name: &str| News::Deleted(source, ("shop".to_owned(), name.to_owned()));
    for pod in ["web-1", "web-2", "web-3"] {
        world.take(gone(Source::Pods, pod), later(1));
    }
    world.take(gone(Source::Leases, "web"), later(2));
    assert_eq!(world.snapshot().groups.len(), 1);
    world.take(gone(Source::Services, "web"), later(3));
    assert_eq!(world.snapshot().groups.len(), 0);
    // And comes with the first, without what was before.
    world.take(changed(Object::Pod(pod(&mut objects, "web-1"))), later(4));
    let again = world.snapshot();
    assert_eq!((again.groups.len(), again.groups[0].tracks.len()), (1, 1));
}

#[test]
fn a_pod_that_changes_its_group_leaves_the_old_one() {
    let mut objects = objects("settled");
    let mut world = world(&objects);
    let labels = &mut find(&mut objects, "Pod", "web-1")["metadata"]["labels"];
    labels["active-passive.dev/group"] = json!("db");
    world.take(changed(Object::Pod(pod(&mut objects, "web-1"))), later(1));
    let snapshot = world.snapshot();
    let members: Vec<(&str, usize)> = snapshot
        .groups
        .iter()
        .map(|it| (it.group.name.as_str(), it.group.members.len()))
        .collect();
    assert_eq!(members, [("db", 1), ("web", 2)]);
}
