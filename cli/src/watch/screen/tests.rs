//! Keys, and what is drawn after them, on a terminal of memory.

use super::*;
use crate::live::Contact;
use crate::tests::{groups_of, now, objects};
use crate::watch::draw::{View, draw};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

const WIDTH: u16 = 110;
const HEIGHT: u16 = 32;

fn snapshot() -> Snapshot {
    let cases = ["settled", "broken"];
    let groups = cases.iter().flat_map(|case| groups_of(&objects(case)));
    let shown = groups.map(|group| {
        let left_s = group.lease_left_s(now());
        Arc::new(Shown {
            tracks: Vec::new(),
            face: String::new(),
            version: 1,
            leaderless: left_s.is_none_or(|left_s| left_s < 0),
            group,
        })
    });
    Snapshot {
        complete: true,
        groups: shown.collect(),
        ..Snapshot::default()
    }
}

fn press(screen: &mut Screen, snapshot: &Snapshot, keys: &[KeyCode]) -> Deed {
    let mut deed = Deed::Nothing;
    for key in keys {
        deed = screen.key(KeyEvent::from(*key), snapshot);
    }
    deed
}

fn picture(screen: &Screen, snapshot: &Snapshot) -> String {
    let mut terminal = Terminal::new(TestBackend::new(WIDTH, HEIGHT)).unwrap();
    let view = View {
        snapshot,
        place: "shop · 10.0.0.1:6443",
        with_namespace: false,
        now: now(),
    };
    terminal.draw(|frame| draw(frame, screen, &view)).unwrap();
    terminal.backend().to_string()
}

fn shows(picture: &str, text: &str) {
    assert!(picture.contains(text), "no {text:?} in\n{picture}");
}

#[test]
fn groups_are_a_table_and_the_selected_one_opens() {
    let (mut screen, snapshot) = (Screen::default(), snapshot());
    let table = picture(&screen, &snapshot);
    shows(&table, "● live");
    shows(&table, "SUCCESSORS");
    shows(
        &table,
        "web-3   3m21s  3     2/3    1           12s      expired 14s",
    );
    shows(&table, "none since this began");
    press(&mut screen, &snapshot, &[KeyCode::Enter]);
    let open = picture(&screen, &snapshot);
    shows(&open, "Active:     web-3 on n2, for 3m21s (term 3)");
    shows(&open, "Last 10 minutes");
    press(&mut screen, &snapshot, &[KeyCode::Esc]);
    shows(&picture(&screen, &snapshot), "SUCCESSORS");
}

#[test]
fn the_selection_stays_with_its_group() {
    let (mut screen, mut snapshot) = (Screen::default(), snapshot());
    press(&mut screen, &snapshot, &[KeyCode::Char('j'), KeyCode::Down]);
    let selected = snapshot.groups[2].key();
    assert_eq!(screen.selected, Some(selected.clone()));
    snapshot.groups.remove(0);
    assert_eq!(screen.index(&snapshot.groups), Some(1));
    press(&mut screen, &snapshot, &[KeyCode::Char('k')]);
    assert_eq!(screen.index(&snapshot.groups), Some(0));
    press(&mut screen, &snapshot, &[KeyCode::Up]);
    assert_eq!(screen.index(&snapshot.groups), Some(0));
    press(&mut screen, &snapshot, &[KeyCode::End, KeyCode::Down]);
    assert_eq!(
        screen.index(&snapshot.groups),
        Some(snapshot.groups.len() - 1)
    );
    assert_eq!(screen.index(&[]), None);
}

#[test]
fn a_switchover_asks_and_can_be_left() {
    let (mut screen, snapshot) = (Screen::default(), snapshot());
    let web = ("shop".to_owned(), "web".to_owned());
    press(&mut screen, &snapshot, &[KeyCode::Char('s')]);
    shows(
        &picture(&screen, &snapshot),
        "Switch over web to  the best pod  web-1",
    );
    assert_eq!(
        press(&mut screen, &snapshot, &[KeyCode::Esc]),
        Deed::Nothing
    );
    assert_eq!((screen.question.clone(), screen.under_way), (None, 0));
    let best = press(
        &mut screen,
        &snapshot,
        &[KeyCode::Char('s'), KeyCode::Enter],
    );
    assert_eq!(best, Deed::Switchover(web.clone(), None));
    shows(&picture(&screen, &snapshot), "Waiting for the answer");
    screen.answered(Err("the role stays where it is: it is paused".to_owned()));
    shows(
        &picture(&screen, &snapshot),
        "the role stays where it is: it is paused",
    );
    let keys = [
        KeyCode::Char('s'),
        KeyCode::Right,
        KeyCode::Char('x'),
        KeyCode::Char('y'),
    ];
    let chosen = press(&mut screen, &snapshot, &keys);
    assert_eq!(
        chosen,
        Deed::Switchover(web.clone(), Some("web-1".to_owned()))
    );
    let keys = [
        KeyCode::Char('s'),
        KeyCode::Right,
        KeyCode::Right,
        KeyCode::Enter,
    ];
    assert_eq!(
        press(&mut screen, &snapshot, &keys),
        Deed::Switchover(web, None)
    );
}

#[test]
fn a_pause_asks_and_is_a_resume_where_it_is_paused() {
    let (mut screen, snapshot) = (Screen::default(), snapshot());
    press(&mut screen, &snapshot, &[KeyCode::Char('p')]);
    shows(
        &picture(&screen, &snapshot),
        "Pause web? The role stays where it is",
    );
    let web = ("shop".to_owned(), "web".to_owned());
    assert_eq!(
        press(&mut screen, &snapshot, &[KeyCode::Enter]),
        Deed::Pause(web, true)
    );
    let paused = snapshot.groups.iter().find(|shown| {
        let lease = shown.group.lease.as_ref();
        lease.is_some_and(Lease::is_paused)
    });
    let key = paused.unwrap().key();
    screen.selected = Some(key.clone());
    let resumed = press(
        &mut screen,
        &snapshot,
        &[KeyCode::Char('p'), KeyCode::Char('y')],
    );
    assert_eq!(resumed, Deed::Pause(key, false));
}

/// The objects of one of many groups.
fn numbered(number: usize) -> Vec<Value> {
    let settled = json!(objects("settled")).to_string();
    let named = settled.replace("web", &format!("app-{number:03}"));
    serde_json::from_str(&named).unwrap()
}

fn shown(objects: &[Value]) -> Arc<Shown> {
    Arc::new(Shown {
        group: groups_of(objects).remove(0),
        tracks: Vec::new(),
        face: String::new(),
        version: 1,
        leaderless: false,
    })
}

/// 500 groups with three pods each.
fn many() -> Snapshot {
    let groups = (0..500).map(|number| shown(&numbered(number)));
    Snapshot {
        complete: true,
        groups: groups.collect(),
        ..Snapshot::default()
    }
}

fn type_in(screen: &mut Screen, snapshot: &Snapshot, text: &str) {
    for letter in text.chars() {
        let deed = press(screen, snapshot, &[KeyCode::Char(letter)]);
        assert_eq!(deed, Deed::Nothing, "{letter}");
    }
}

#[test]
fn a_search_leaves_the_groups_that_have_every_word() {
    let (mut screen, snapshot) = (Screen::default(), many());
    shows(
        &picture(&screen, &snapshot),
        " active-passive  500 groups  shop",
    );
    // Letters that are keys elsewhere are letters of the search.
    type_in(&mut screen, &snapshot, "/APP-49 n2");
    let shown = picture(&screen, &snapshot);
    shows(
        &shown,
        " active-passive  /APP-49 n2  10 of 500 groups  shop",
    );
    shows(&shown, " app-490");
    shows(&shown, " app-499");
    shows(&shown, "enter keeps it   esc shows all");
    assert!(
        !shown.contains("app-500") && !shown.contains("app-48"),
        "{shown}"
    );
    // Arrows choose while it is typed; what is done is done to what is chosen.
    let keys = [
        KeyCode::Down,
        KeyCode::Enter,
        KeyCode::Char('s'),
        KeyCode::Enter,
    ];
    let chosen = snapshot.groups[491].key();
    let deed = press(&mut screen, &snapshot, &keys);
    assert_eq!(deed, Deed::Switchover(chosen, None));
    // It can be changed: pods are found too, here those of one group.
    let keys = [KeyCode::Char('/'), KeyCode::Backspace, KeyCode::Backspace];
    press(&mut screen, &snapshot, &keys);
    type_in(&mut screen, &snapshot, "app-497-3");
    shows(
        &picture(&screen, &snapshot),
        "/APP-49 app-497-3  1 of 500 groups",
    );
    // The first Esc shows all again, the next one ends it.
    press(&mut screen, &snapshot, &[KeyCode::Enter, KeyCode::Esc]);
    shows(
        &picture(&screen, &snapshot),
        " active-passive  500 groups  shop",
    );
    assert_eq!(press(&mut screen, &snapshot, &[KeyCode::Esc]), Deed::Quit);
}

#[test]
fn a_search_that_finds_nothing_says_so_and_is_left_like_any_other() {
    let (mut screen, snapshot) = (Screen::default(), snapshot());
    type_in(&mut screen, &snapshot, "/qqq");
    let nothing = picture(&screen, &snapshot);
    shows(&nothing, "/qqq  0 of");
    shows(&nothing, "Nothing matches qqq");
    let keys = [KeyCode::Enter, KeyCode::Enter, KeyCode::Char('s')];
    press(&mut screen, &snapshot, &keys);
    assert!(!screen.is_open && screen.question.is_none());
    type_in(&mut screen, &snapshot, "/");
    let ctrl_u = KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL);
    assert_eq!(screen.key(ctrl_u, &snapshot), Deed::Nothing);
    shows(&picture(&screen, &snapshot), "SUCCESSORS");
    press(&mut screen, &snapshot, &[KeyCode::Backspace]);
    assert!(!screen.filter.is_typed);
    type_in(&mut screen, &snapshot, "/web");
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(screen.key(ctrl_c, &snapshot), Deed::Quit);
}

/// The pod by which it was found may go; the group on the screen stays what keys are about.
#[test]
fn an_open_group_stays_though_the_search_finds_it_no_more() {
    let (mut screen, mut snapshot) = (Screen::default(), many());
    type_in(&mut screen, &snapshot, "/app-007-3");
    press(&mut screen, &snapshot, &[KeyCode::Enter, KeyCode::Enter]);
    let key = snapshot.groups[7].key();
    assert_eq!(
        (screen.is_open, &screen.selected),
        (true, &Some(key.clone()))
    );
    let mut objects = numbered(7);
    objects.retain(|object| object["metadata"]["name"] != "app-007-3" && object["kind"] != "Lease");
    snapshot.groups[7] = shown(&objects);
    shows(
        &picture(&screen, &snapshot),
        "Group:      app-007 in namespace shop",
    );
    press(&mut screen, &snapshot, &[KeyCode::Esc]);
    shows(&picture(&screen, &snapshot), "/app-007-3  0 of 500 groups");
}

/// What is not known is no absence.
#[test]
fn a_lease_does_not_run_out_while_nobody_answers() {
    let mut snapshot = snapshot();
    let web = snapshot.groups.iter().find(|it| it.group.name == "web");
    snapshot.groups = vec![web.unwrap().clone()];
    snapshot.contact = Contact {
        lost: Some("refused".to_owned()),
        seen_until_ms: "2026-02-03T04:10:05Z"
            .parse::<Timestamp>()
            .unwrap()
            .as_millisecond(),
        outages: Vec::new(),
    };
    let mut terminal = Terminal::new(TestBackend::new(WIDTH, HEIGHT)).unwrap();
    let view = View {
        snapshot: &snapshot,
        place: "shop",
        with_namespace: false,
        now: "2026-02-03T04:12:00Z".parse().unwrap(),
    };
    for (is_open, left) in [(false, "7s     expired 14s"), (true, "7s left of 15s")] {
        let screen = Screen {
            is_open,
            ..Screen::default()
        };
        terminal.draw(|frame| draw(frame, &screen, &view)).unwrap();
        let shown = terminal.backend().to_string();
        shows(&shown, "data 115s old");
        shows(&shown, left);
        assert!(
            !shown.contains("NoLeader") && !shown.contains("nobody"),
            "{shown}"
        );
    }
}

#[test]
fn lost_contact_and_missing_rights_are_shown() {
    let mut snapshot = snapshot();
    snapshot.unseen = vec!["you may not list services: no".to_owned()];
    snapshot.contact = Contact {
        lost: Some("refused".to_owned()),
        seen_until_ms: now().as_millisecond() - 12_000,
        outages: Vec::new(),
    };
    let shown = picture(&Screen::default(), &snapshot);
    shows(&shown, "○ reconnecting, data 12s old");
    shows(&shown, "note: you may not list services: no");
    let empty = picture(
        &Screen::default(),
        &Snapshot {
            complete: true,
            ..Snapshot::default()
        },
    );
    shows(&empty, "active-passive.dev/inject: \"true\"");
}

#[test]
fn changes_are_listed_the_newest_first_and_bounded() {
    let (mut screen, snapshot) = (Screen::default(), snapshot());
    let told = |text: String| Told {
        about: Some("shop/web".to_owned()),
        text,
        is_move: true,
    };
    for index in 0..300 {
        screen.tell(vec![told(format!("web-{index} is active"))], now());
    }
    assert_eq!(screen.told.len(), TOLD_MAX);
    shows(
        &picture(&screen, &snapshot),
        "04:10:00 UTC shop/web web-299 is active",
    );
}

#[test]
fn control_c_and_q_end_it() {
    let (mut screen, snapshot) = (Screen::default(), snapshot());
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(screen.key(ctrl_c, &snapshot), Deed::Quit);
    assert_eq!(
        press(&mut screen, &snapshot, &[KeyCode::Char('q')]),
        Deed::Quit
    );
    // In a question, q leaves the question.
    let keys = [KeyCode::Char('p'), KeyCode::Char('q')];
    assert_eq!(press(&mut screen, &snapshot, &keys), Deed::Nothing);
}
