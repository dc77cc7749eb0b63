//! What is to be looked at. Namespaces take turns, so that one with much to do delays no other.

use super::Work;
use crate::service_mode::facts::Labels;
use std::collections::{BTreeSet, HashMap, VecDeque};

#[derive(Debug, Default)]
pub(super) struct Due {
    /// Each namespace of `pending` once, who was looked at last at the end.
    turns: VecDeque<Box<str>>,
    pending: HashMap<Box<str>, Pending>,
}

/// Of one namespace.
#[derive(Debug, Default)]
struct Pending {
    /// All units that there are when its turn comes.
    all: bool,
    units: BTreeSet<Labels>,
    leftovers: bool,
}

impl Due {
    /// Has this looked at.
    pub(super) fn add(&mut self, work: Work) {
        match work {
            Work::Unit(namespace, selector) => {
                self.of(&namespace).units.insert(selector);
            }
            Work::Leftovers(namespace) => self.of(&namespace).leftovers = true,
        }
    }

    /// Has everything in a namespace looked at.
    pub(super) fn add_all(&mut self, namespace: &str) {
        let pending = self.of(namespace);
        pending.all = true;
        pending.leftovers = true;
    }

    /// The next of it that is not busy. `units` says which there are in a namespace.
    pub(super) fn next(
        &mut self,
        units: impl Fn(&str) -> Vec<Labels>,
        busy: impl Fn(&Work) -> bool,
    ) -> Option<Work> {
        for _ in 0..self.turns.len() {
            let namespace = self.turns.pop_front()?;
            let Some(pending) = self.pending.get_mut(&namespace) else {
                continue;
            };
            if std::mem::take(&mut pending.all) {
                pending.units.extend(units(&namespace));
            }
            let work = pending.take(&namespace, &busy);
            if pending.units.is_empty() && !pending.leftovers {
                self.pending.remove(&namespace);
            } else {
                self.turns.push_back(namespace);
            }
            if work.is_some() {
                return work;
            }
        }
        None
    }

    fn of(&mut self, namespace: &str) -> &mut Pending {
        if !self.pending.contains_key(namespace) {
            self.turns.push_back(namespace.into());
        }
        self.pending.entry(namespace.into()).or_default()
    }
}

impl Pending {
    /// Units come first: pods are given back when it is known who keeps them.
    fn take(&mut self, namespace: &str, busy: impl Fn(&Work) -> bool) -> Option<Work> {
        let unit = |selector: &Labels| Work::Unit(namespace.into(), selector.clone());
        let mut units = self.units.iter().map(unit);
        if let Some(work) = units.find(|work| !busy(work)) {
            if let Work::Unit(_, selector) = &work {
                self.units.remove(selector);
            }
            return Some(work);
        }
        let work = Work::Leftovers(namespace.into());
        (self.leftovers && !busy(&work)).then(|| {
            self.leftovers = false;
            work
        })
    }
}
