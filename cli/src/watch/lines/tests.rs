use super::*;
use crate::live::{Contact, Shown};
use crate::tests::{groups_of, now, objects};

fn snapshot(with_group: bool) -> Snapshot {
    let groups = groups_of(&objects("settled")).into_iter().map(|group| {
        Arc::new(Shown {
            group,
            tracks: Vec::new(),
            face: String::new(),
            version: 1,
            leaderless: false,
        })
    });
    Snapshot {
        complete: true,
        groups: groups.filter(|_| with_group).collect(),
        ..Snapshot::default()
    }
}

fn tell(teller: &mut Teller, snapshot: &Snapshot) -> String {
    lines(&teller.tell(snapshot), now())
}

const AT: &str = "2026-02-03T04:10:00.000Z";

#[test]
fn a_line_a_change_with_its_time_and_group() {
    let mut teller = Teller::new(None);
    assert_eq!(tell(&mut teller, &Snapshot::default()), "");
    let first = tell(&mut teller, &snapshot(true));
    assert_eq!(
        first,
        format!("{AT} shop/web web-3 is active; 2 of 3 pods are ready\n")
    );
    assert_eq!(tell(&mut teller, &snapshot(true)), "");
    let gone = tell(&mut teller, &snapshot(false));
    assert_eq!(gone, format!("{AT} shop/web the group is gone\n"));
}

#[test]
fn what_is_missing_is_told_once() {
    let mut teller = Teller::new(Some("wbe".to_owned()));
    let mut none = snapshot(true);
    none.unseen = vec!["you may not list services: no".to_owned()];
    none.contact = Contact {
        lost: Some("refused".to_owned()),
        ..Contact::default()
    };
    let expected = format!(
        "{AT} note: you may not list services: no\n{AT} note: reconnecting: refused\n\
         {AT} note: there is no group wbe yet\n"
    );
    assert_eq!(tell(&mut teller, &none), expected);
    assert_eq!(tell(&mut teller, &none), "");
    none.contact.lost = None;
    let back = tell(&mut teller, &none);
    assert_eq!(back, format!("{AT} note: connected again\n"));
}

#[test]
fn what_the_cluster_says_stays_within_its_line() {
    let mut snapshot = snapshot(false);
    snapshot.unseen = vec!["no\x1b[2J\n2026 shop/web web-9 is active\u{202e}".to_owned()];
    let told = tell(&mut Teller::new(None), &snapshot);
    let shown = "no\u{fffd}[2J\u{fffd}2026 shop/web web-9 is active\u{fffd}";
    assert!(
        told.starts_with(&format!("{AT} note: {shown}\n")),
        "{told:?}"
    );
}
