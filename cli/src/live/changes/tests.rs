use super::*;
use crate::live::tracks::seeded;
use crate::tests::{groups_of, now, objects};
use common::contract;
use serde_json::{Value, json};

fn shown(change: impl Fn(&mut Vec<Value>)) -> Shown {
    let mut objects = objects("settled");
    change(&mut objects);
    let group = groups_of(&objects).remove(0);
    let left_s = group.lease_left_s(now());
    Shown {
        tracks: seeded(&group, now()),
        face: String::new(),
        version: 1,
        leaderless: left_s.is_none_or(|left_s| left_s < 0),
        group,
    }
}

fn find<'a>(objects: &'a mut [Value], kind: &str, name: &str) -> &'a mut Value {
    let mut found = objects.iter_mut();
    found
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .unwrap()
}

fn told(before: &Shown, after: &Shown) -> Vec<String> {
    let changes = changes(Some(before), Some(after));
    changes.into_iter().map(|change| change.text).collect()
}

/// The Lease after a move to web-1 in term 4.
fn moved(objects: &mut [Value], duration: &str) {
    let lease = find(objects, "Lease", "web");
    lease["spec"]["holderIdentity"] = json!("web-1_u-1");
    let history = format!(
        "[{{\"term\":3,\"pod\":\"web-3\",\"at\":\"x\",\"kind\":\"expired\"}},\
          {{\"term\":4,\"pod\":\"web-1\",\"at\":\"x\",\"kind\":\"switchover\"{duration}}}]"
    );
    lease["metadata"]["annotations"][contract::HISTORY] = json!(history);
}

#[test]
fn a_directed_move_is_told_once_its_successor_has_confirmed() {
    let settled = shown(|_| {});
    let named = shown(|objects| moved(objects, ""));
    assert_eq!(told(&settled, &named), [""; 0]);
    let confirmed = shown(|objects| moved(objects, ",\"duration_ms\":68"));
    let expected = "web-1 is active instead of web-1: switchover, took 68ms, term 4";
    let line = told(&named, &confirmed);
    assert_eq!(line, [expected.replace(" instead of web-1", "")]);
    let line = told(&settled, &confirmed);
    assert_eq!(line, [expected.replace("of web-1:", "of web-3:")]);
    assert_eq!(told(&confirmed, &confirmed), [""; 0]);
}

/// What its first write knows of how long a move took is not told.
#[test]
fn how_long_a_move_took_is_told_once_it_is_known() {
    let move_of = |renewed: &'static str, ms: u64| {
        shown(move |objects| {
            moved(objects, &format!(",\"duration_ms\":{ms}"));
            let lease = find(objects, "Lease", "web");
            lease["spec"]["renewTime"] = json!(renewed);
            let history = &mut lease["metadata"]["annotations"][contract::HISTORY];
            let at = history
                .as_str()
                .unwrap()
                .replace("\"x\"", "\"2026-02-03T04:09:57.100Z\"");
            *history = json!(at);
        })
    };
    let settled = shown(|_| {});
    let first = move_of("2026-02-03T04:09:57.100000Z", 0);
    let line = told(&settled, &first);
    assert_eq!(
        line,
        ["web-1 is active instead of web-3: switchover, term 4"]
    );
    let later = move_of("2026-02-03T04:10:02.100000Z", 210);
    assert_eq!(told(&first, &later), ["the move to web-1 took 210ms"]);
    assert_eq!(told(&later, &later), [""; 0]);
    let expected = "web-1 is active instead of web-3: switchover, took 210ms, term 4";
    assert_eq!(told(&settled, &later), [expected]);
}

#[test]
fn a_lease_that_runs_out_and_comes_back_is_told() {
    let settled = shown(|_| {});
    let expired = shown(|objects| {
        find(objects, "Lease", "web")["spec"]["renewTime"] = json!("2026-02-03T04:09:00.000000Z");
    });
    let freed = shown(|objects| {
        find(objects, "Lease", "web")["spec"]["holderIdentity"] = json!("");
    });
    let gone = "nobody is active: the Lease of web-3 has expired";
    assert_eq!(told(&settled, &expired), [gone]);
    assert_eq!(
        told(&settled, &freed),
        ["nobody is active: the Lease is free"]
    );
    assert_eq!(told(&expired, &settled), ["web-3 is active again"]);
}

#[test]
fn pauses_requests_and_pods_are_told() {
    let settled = shown(|_| {});
    let paused = shown(|objects| {
        find(objects, "Lease", "web")["metadata"]["annotations"][contract::PAUSED] = json!("true");
    });
    assert_eq!(
        told(&settled, &paused),
        ["paused: the role stays where it is"]
    );
    assert_eq!(told(&paused, &settled), ["resumed"]);
    let asked = shown(|objects| {
        find(objects, "Lease", "web")["metadata"]["annotations"][contract::SWITCHOVER] =
            json!("web-1");
    });
    assert_eq!(
        told(&settled, &asked),
        ["a switchover to web-1 was asked for"]
    );
    let pods = shown(|objects| {
        find(objects, "Pod", "web-2")["status"]["containerStatuses"][0]["ready"] = json!(true);
        find(objects, "Pod", "web-1")["metadata"]["deletionTimestamp"] = json!("x");
    });
    assert_eq!(
        told(&settled, &pods),
        ["web-1 is draining", "web-2 is ready"]
    );
    assert_eq!(
        told(&pods, &settled),
        ["web-1 is ready", "web-2 is not ready"]
    );
}

#[test]
fn a_group_comes_and_goes() {
    let settled = shown(|_| {});
    let first = changes(None, Some(&settled));
    assert_eq!(first[0].text, "web-3 is active; 2 of 3 pods are ready");
    let gone = changes(Some(&settled), None);
    assert_eq!(gone[0].text, "the group is gone");
}
