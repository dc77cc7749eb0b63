use super::*;
use crate::tests::{groups_of, now, objects};
use k8s_openapi::jiff::SignedDuration;
use serde_json::json;

fn settled() -> Group {
    groups_of(&objects("settled")).remove(0)
}

fn track<'a>(tracks: &'a [Track], pod: &str) -> &'a Track {
    tracks.iter().find(|track| track.pod == pod).unwrap()
}

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

#[test]
fn what_the_lease_remembers_comes_before_what_is_seen() {
    let tracks = seeded(&settled(), now());
    let web_2 = track(&tracks, "web-2");
    assert_eq!(
        web_2.spans,
        [
            (ms("2026-02-03T03:05:00Z"), Phase::Unwatched),
            (ms("2026-02-03T04:04:11.250Z"), Phase::Active),
            // The move away took 14.26 s: so long before it was the last sign.
            (ms("2026-02-03T04:06:24.640Z"), Phase::Unwatched),
            (now().as_millisecond(), Phase::Unready),
        ]
    );
    let web_3 = track(&tracks, "web-3");
    assert_eq!(
        web_3.spans.last(),
        Some(&(ms("2026-02-03T04:06:38.900Z"), Phase::Active))
    );
}

#[test]
fn a_pod_that_goes_and_comes_is_one_track() {
    let mut tracks = seeded(&settled(), now());
    let mut without = settled();
    without.members.retain(|member| member.name() != "web-1");
    let later = |seconds| now() + SignedDuration::from_secs(seconds);
    observe(&mut tracks, &without, later(1));
    observe(&mut tracks, &without, later(2));
    observe(&mut tracks, &settled(), later(3));
    let spans = &track(&tracks, "web-1").spans;
    let last: Vec<Phase> = spans.iter().rev().take(3).map(|it| it.1).collect();
    assert_eq!(last, [Phase::Standby, Phase::Gone, Phase::Standby]);
    assert_eq!(spans[spans.len() - 2].0, later(1).as_millisecond());
}

#[test]
fn tracks_are_bounded_and_the_oldest_go_first() {
    let mut tracks = Vec::new();
    let mut group = settled();
    let later = |index: i64| now() + SignedDuration::from_secs(index);
    for index in 0..100 {
        group.members[0].meta.name = format!("web-{index}-x");
        observe(&mut tracks, &group, later(index));
    }
    assert_eq!(tracks.len(), group.members.len() + GONE_MAX);
    let pods: Vec<&str> = tracks.iter().map(|track| track.pod.as_str()).collect();
    assert!(
        pods.contains(&"web-98-x") && !pods.contains(&"web-70-x"),
        "{pods:?}"
    );
    let mut flapping = track(&tracks, "web-99-x").clone();
    for index in 0..1_000 {
        let phase = [Phase::Standby, Phase::Unready][index % 2];
        flapping.push(i64::try_from(index).unwrap(), phase);
    }
    assert_eq!(flapping.spans.len(), SPANS_MAX);
}

#[test]
fn a_pod_is_what_its_label_and_its_state_say() {
    let phase = |change: fn(&mut serde_json::Value)| {
        let mut objects = objects("settled");
        let pod = objects
            .iter_mut()
            .find(|it| it["metadata"]["name"] == "web-3");
        change(pod.unwrap());
        let group = groups_of(&objects).remove(0);
        Phase::of(group.member("web-3").unwrap())
    };
    let leaving = |pod: &mut serde_json::Value| {
        pod["metadata"]["deletionTimestamp"] = json!("2026-02-03T04:09:59Z");
    };
    let unready = |pod: &mut serde_json::Value| {
        pod["status"]["containerStatuses"][0]["ready"] = json!(false);
    };
    let passive = |pod: &mut serde_json::Value| {
        pod["metadata"]["labels"]["active-passive.dev/role"] = json!("passive");
    };
    assert_eq!(phase(|_| {}), Phase::Active);
    assert_eq!(phase(leaving), Phase::ActiveDraining);
    assert_eq!(phase(unready), Phase::ActiveUnready);
    assert_eq!(phase(passive), Phase::Standby);
}

/// Without the right to see pods.
#[test]
fn the_lease_alone_shows_who_is_active() {
    let mut group = settled();
    group.sees.pods = false;
    group.members.clear();
    let tracks = seeded(&group, now());
    let now: Vec<(&str, Phase)> = tracks
        .iter()
        .map(|track| (track.pod.as_str(), track.phase().unwrap()))
        .collect();
    let unknown = Phase::Unwatched;
    assert_eq!(
        now,
        [
            ("web-1", unknown),
            ("web-2", unknown),
            ("web-3", Phase::Active)
        ]
    );
}
