//! Which groups are shown: those that have every word that was typed. Pure.

use crate::lease::Lease;
use crate::live::{Key, Shown};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::sync::Arc;

/// Characters of a search: more than any name has.
const TEXT_MAX: usize = 300;

/// What was typed after `/`.
#[derive(Debug, Default)]
pub(super) struct Filter {
    text: String,
    /// Keys go into the text.
    pub(super) is_typed: bool,
}

impl Filter {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it leaves anything out.
    pub(super) fn is_set(&self) -> bool {
        !self.text.trim().is_empty()
    }

    /// Shows all groups again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What a key does to the text. False: the key is none for it.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => self.clear(),
            KeyCode::Enter => self.is_typed = false,
            KeyCode::Char('u') if ctrl => self.text.clear(),
            // One more than there is takes the `/` away.
            KeyCode::Backspace => self.is_typed = self.text.pop().is_some(),
            KeyCode::Char(letter) if !ctrl && self.text.chars().count() < TEXT_MAX => {
                self.text.push(letter);
            }
            KeyCode::Char(_) | KeyCode::Left | KeyCode::Right => {}
            _ => return false,
        }
        true
    }

    /// The groups that it leaves; `kept` is among them, if it is there at all.
    pub(super) fn of(&self, groups: &[Arc<Shown>], kept: Option<&Key>) -> Vec<Arc<Shown>> {
        let text = self.text.to_lowercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        let wanted = |shown: &&Arc<Shown>| {
            words.is_empty() || kept == Some(&shown.key()) || has_all(shown, &words)
        };
        groups.iter().filter(wanted).cloned().collect()
    }
}

/// Names that a group is looked for by, as on the page: its own, and those of its namespace, workload,
/// pods and nodes.
fn has_all(shown: &Shown, words: &[&str]) -> bool {
    let group = &shown.group;
    let mut names = vec![group.namespace.as_str(), group.name.as_str()];
    names.extend(group.lease.as_ref().and_then(Lease::owner));
    for member in &group.members {
        names.push(member.name());
        names.extend(member.node.as_deref());
    }
    let leader = group.leader();
    names.extend(leader.as_deref());
    let names = names.join(" ").to_lowercase();
    words.iter().all(|word| names.contains(word))
}
