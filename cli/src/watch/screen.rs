//! What is on the screen, and what keys do. Pure: the same keys and groups, the same screen.

use super::filter::Filter;
use super::teller::Told;
use crate::lease::Lease;
use crate::live::{Key, Shown, Snapshot};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use k8s_openapi::jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;

/// Changes that are kept for the list below the groups.
const TOLD_MAX: usize = 200;
/// Groups that a page key passes.
const PAGE: isize = 10;

/// What the keys have led to.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) selected: Option<Key>,
    /// The group fills the screen.
    pub(super) is_open: bool,
    /// Which groups are there to be selected.
    pub(super) filter: Filter,
    pub(super) question: Option<Question>,
    /// What became of the last request, and whether it was good.
    pub(super) answer: Option<(String, bool)>,
    /// Requests that are not answered.
    pub(super) under_way: usize,
    pub(super) told: VecDeque<(Timestamp, Told)>,
}

/// What is asked before something is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    Switchover {
        key: Key,
        /// Pods that can be chosen; the best is always.
        pods: Vec<String>,
        /// 0 is the best one, 1 the first of the pods.
        choice: usize,
    },
    Pause {
        key: Key,
        pause: bool,
    },
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Nothing,
    Quit,
    Switchover(Key, Option<String>),
    Pause(Key, bool),
}

impl Screen {
    /// Takes down what changed.
    pub(super) fn tell(&mut self, told: Vec<Told>, now: Timestamp) {
        self.told.extend(told.into_iter().map(|told| (now, told)));
        let surplus = self.told.len().saturating_sub(TOLD_MAX);
        self.told.drain(..surplus);
    }

    /// Takes down what became of a request.
    pub(super) fn answered(&mut self, answer: Result<String, String>) {
        self.under_way = self.under_way.saturating_sub(1);
        self.answer = Some(match answer {
            Ok(said) => (said.trim_end().to_owned(), true),
            Err(refused) => (refused, false),
        });
    }

    /// The groups that are there to be selected. One that is open stays, whatever becomes of its pods.
    pub(super) fn listed(&self, snapshot: &Snapshot) -> Vec<Arc<Shown>> {
        let open = self.selected.as_ref().filter(|_| self.is_open);
        self.filter.of(&snapshot.groups, open)
    }

    /// Where the selected group stands among `groups`; the first, if it is not there any more.
    pub(super) fn index(&self, groups: &[Arc<Shown>]) -> Option<usize> {
        let is_selected = |shown: &Arc<Shown>| self.selected.as_ref() == Some(&shown.key());
        let found = groups.iter().position(is_selected);
        found.or_else(|| (!groups.is_empty()).then_some(0))
    }

    /// What the key does.
    pub(super) fn key(&mut self, key: KeyEvent, snapshot: &Snapshot) -> Deed {
        if key.kind == KeyEventKind::Release {
            return Deed::Nothing;
        }
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        if ctrl && key.code == KeyCode::Char('c') {
            return Deed::Quit;
        }
        if let Some(question) = self.question.take() {
            return self.reply(question, key.code);
        }
        if self.filter.is_typed && self.filter.key(key) {
            return Deed::Nothing;
        }
        let groups = &*self.listed(snapshot);
        match key.code {
            KeyCode::Char('q') => return Deed::Quit,
            KeyCode::Esc if !self.is_open && self.filter.is_set() => self.filter.clear(),
            KeyCode::Esc if !self.is_open => return Deed::Quit,
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => self.is_open = false,
            KeyCode::Enter | KeyCode::Right => self.open(groups),
            KeyCode::Char('/') if !self.is_open => self.filter.is_typed = true,
            KeyCode::Down | KeyCode::Char('j') => self.step(groups, 1),
            KeyCode::Up | KeyCode::Char('k') => self.step(groups, -1),
            KeyCode::PageDown => self.step(groups, PAGE),
            KeyCode::PageUp => self.step(groups, -PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.step(groups, isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.step(groups, isize::MAX),
            KeyCode::Char('s') => self.ask_switchover(groups),
            KeyCode::Char('p') => self.ask_pause(groups),
            _ => {}
        }
        Deed::Nothing
    }

    fn open(&mut self, groups: &[Arc<Shown>]) {
        self.step(groups, 0);
        self.is_open = self.selected.is_some();
    }

    fn step(&mut self, groups: &[Arc<Shown>], by: isize) {
        let last = groups.len().saturating_sub(1);
        let index = self.index(groups).unwrap_or(0);
        let index = index.saturating_add_signed(by).min(last);
        self.selected = groups.get(index).map(|shown| shown.key());
    }

    fn ask_switchover(&mut self, groups: &[Arc<Shown>]) {
        let Some(shown) = self.index(groups).and_then(|index| groups.get(index)) else {
            return;
        };
        let pods = shown.group.successors();
        self.answer = None;
        self.question = Some(Question::Switchover {
            key: shown.key(),
            pods: pods.map(|member| member.name().to_owned()).collect(),
            choice: 0,
        });
    }

    fn ask_pause(&mut self, groups: &[Arc<Shown>]) {
        let Some(shown) = self.index(groups).and_then(|index| groups.get(index)) else {
            return;
        };
        let paused = shown.group.lease.as_ref().is_some_and(Lease::is_paused);
        self.answer = None;
        self.question = Some(Question::Pause {
            key: shown.key(),
            pause: !paused,
        });
    }

    /// Answers a question: a key that is no answer leaves it open.
    fn reply(&mut self, question: Question, code: KeyCode) -> Deed {
        match (question, code) {
            (_, KeyCode::Esc | KeyCode::Char('n' | 'q')) => Deed::Nothing,
            (Question::Switchover { key, pods, choice }, KeyCode::Enter | KeyCode::Char('y')) => {
                self.under_way += 1;
                let pod = choice.checked_sub(1).and_then(|index| pods.get(index));
                Deed::Switchover(key, pod.cloned())
            }
            (Question::Pause { key, pause }, KeyCode::Enter | KeyCode::Char('y')) => {
                self.under_way += 1;
                Deed::Pause(key, pause)
            }
            (Question::Switchover { key, pods, choice }, code) => {
                let choices = pods.len() + 1;
                let choice = match code {
                    KeyCode::Down | KeyCode::Right | KeyCode::Char('j') => choice + 1,
                    KeyCode::Up | KeyCode::Left | KeyCode::Char('k') => choice + choices - 1,
                    _ => choice,
                } % choices;
                self.question = Some(Question::Switchover { key, pods, choice });
                Deed::Nothing
            }
            (question, _) => {
                self.question = Some(question);
                Deed::Nothing
            }
        }
    }
}

#[cfg(test)]
mod tests;
