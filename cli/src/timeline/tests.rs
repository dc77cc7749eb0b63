//! Pictures of the settled case, held against a kept one.

use super::{Subject, svg};
use crate::tests::{groups_of, now, objects, testdata};
use common::history::Entry;

fn subject<'a>(until: &str) -> Subject<'a> {
    Subject {
        namespace: "shop",
        group: "web",
        until: until.parse().unwrap(),
        now: now(),
    }
}

/// Looked at in a browser, light and dark; `UPDATE=1` keeps what is drawn now.
#[test]
fn the_picture_is_the_kept_one() {
    let groups = groups_of(&objects("settled"));
    let entries = groups[0].lease.as_ref().unwrap().history();
    let drawn = svg(&entries, &subject("2026-02-03T04:10:00Z")).unwrap();
    let kept = testdata().join("settled").join("history.svg");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&kept, &drawn).unwrap();
    }
    assert_eq!(std::fs::read_to_string(kept).unwrap(), drawn);
}

fn entry(term: u64, pod: &str, at: &str, duration_ms: Option<u64>) -> Entry {
    Entry {
        term,
        pod: pod.to_owned(),
        at: at.to_owned(),
        kind: "<first>".to_owned(),
        duration_ms,
    }
}

#[test]
fn time_without_an_active_pod_is_shown() {
    let entries = [
        entry(1, "a", "2026-02-03T04:00:00Z", None),
        entry(2, "b", "2026-02-03T04:05:00Z", Some(60_000)),
    ];
    let drawn = svg(&entries, &subject("2026-02-03T04:09:30Z")).unwrap();
    for told in [
        "a, term 1, for 4m",
        "the role was on its way for 60s",
        "b, term 2, for 4m30s",
        "nobody, for 30s",
    ] {
        assert!(drawn.contains(&format!("<title>{told}</title>")), "{told}");
    }
    assert!(!drawn.contains("<first>"), "text is not escaped");
}

#[test]
fn a_history_that_cannot_be_drawn_is_none() {
    let until = "2026-02-03T04:09:30Z";
    assert_eq!(svg(&[], &subject(until)), None);
    assert_eq!(svg(&[entry(1, "a", "soon", None)], &subject(until)), None);
    // One move, this very moment.
    let at = now().to_string();
    let drawn = svg(&[entry(1, &"a".repeat(90), &at, None)], &subject(&at));
    assert!(drawn.is_some_and(|it| !it.contains("NaN")));
}
