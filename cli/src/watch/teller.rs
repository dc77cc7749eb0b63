//! Tells what changed from one snapshot to the next. Pure.

use crate::live::{Key, Shown, Snapshot, changes};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// The group, as namespace/name; `None`: all of them.
    pub(super) about: Option<String>,
    pub(super) text: String,
    /// Whether the role went somewhere, or to nobody.
    pub(super) is_move: bool,
}

/// Remembers what was told.
#[derive(Debug)]
pub(super) struct Teller {
    group: Option<String>,
    known: BTreeMap<Key, Arc<Shown>>,
    lost: bool,
    unseen: Vec<String>,
    begun: bool,
}

impl Teller {
    /// About one group of this name, or all.
    pub(super) fn new(group: Option<String>) -> Self {
        Self {
            group,
            known: BTreeMap::new(),
            lost: false,
            unseen: Vec::new(),
            begun: false,
        }
    }

    /// What is different now.
    pub(super) fn tell(&mut self, snapshot: &Snapshot) -> Vec<Told> {
        let mut told = Vec::new();
        if !snapshot.complete {
            return told;
        }
        let mut note = |text: String| {
            told.push(Told {
                about: None,
                text,
                is_move: false,
            });
        };
        let unseen = snapshot.unseen.iter();
        unseen
            .filter(|why| !self.unseen.contains(why))
            .for_each(|why| note(why.clone()));
        self.unseen.clone_from(&snapshot.unseen);
        match (&snapshot.contact.lost, self.lost) {
            (Some(why), false) => note(format!("reconnecting: {why}")),
            (None, true) => note("connected again".to_owned()),
            _ => {}
        }
        self.lost = snapshot.contact.lost.is_some();
        let wanted = |shown: &&Arc<Shown>| {
            let name = &shown.group.name;
            self.group.as_ref().is_none_or(|group| group == name)
        };
        let shown = snapshot.groups.iter().filter(wanted);
        let present: BTreeMap<Key, Arc<Shown>> = shown.map(|it| (it.key(), it.clone())).collect();
        if present.is_empty() && !self.begun {
            note(match &self.group {
                Some(group) => format!("there is no group {group} yet"),
                None => "there are no groups yet".to_owned(),
            });
        }
        self.begun = true;
        let new = present.keys().filter(|key| !self.known.contains_key(key));
        for key in self.known.keys().chain(new) {
            let [before, after] = [&self.known, &present].map(|it| it.get(key).map(|it| &**it));
            told.extend(changes(before, after).into_iter().map(|change| Told {
                about: Some(format!("{}/{}", key.0, key.1)),
                text: change.text,
                is_move: change.is_move,
            }));
        }
        self.known = present;
        told
    }
}
