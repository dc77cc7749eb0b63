//! One namespace: which pods its units have, and which units are left alone.

use crate::service_mode::facts::{Labels, PodFacts, ServiceFacts, fits};
use crate::service_mode::plan::{Decline, UNITS_MAX, UnitView};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) type Uid = Box<str>;

#[derive(Debug, Default)]
pub(super) struct Namespace {
    pub(super) pods: BTreeMap<Uid, PodFacts>,
    /// Those of them that Service mode has written.
    pub(super) marked: BTreeSet<Uid>,
    pub(super) services: BTreeMap<Box<str>, ServiceFacts>,
    pub(super) units: BTreeMap<Labels, Unit>,
    /// Units that are left alone, found when it is first asked after a change.
    declined: OnceCell<BTreeMap<Labels, Decline>>,
}

#[derive(Debug, Default)]
pub(super) struct Unit {
    services: BTreeSet<Box<str>>,
    /// `None`: it is not among the oldest [`UNITS_MAX`], and nobody looks for its pods.
    pods: Option<BTreeSet<Uid>>,
}

impl Namespace {
    /// A pod is there, new or changed. Hands each unit that it belongs to or did to `of`; says if
    /// it belongs to any.
    pub(super) fn put_pod(&mut self, pod: PodFacts, mut of: impl FnMut(&Labels)) -> bool {
        let known = self.pods.get(&pod.uid);
        let is_claimed = |pod: &PodFacts| pod.is_grouped() && !pod.terminating;
        let mut changes = known.is_some_and(is_claimed) != is_claimed(&pod);
        let mut served = false;
        for (selector, unit) in &mut self.units {
            let Some(pods) = &mut unit.pods else { continue };
            let belonged = pods.contains(&pod.uid);
            let belongs = fits(selector, &pod.labels);
            served |= belongs;
            changes |= belongs != belonged;
            if belongs && !belonged {
                pods.insert(pod.uid.clone());
            } else if belonged && !belongs {
                pods.remove(&pod.uid);
            }
            if belongs || belonged {
                of(selector);
            }
        }
        if changes {
            self.declined.take();
        }
        if pod.marked {
            self.marked.insert(pod.uid.clone());
        } else {
            self.marked.remove(&pod.uid);
        }
        self.pods.insert(pod.uid.clone(), pod);
        served
    }

    /// A pod is gone. Hands each unit that it belonged to to `of`.
    pub(super) fn take_pod(&mut self, uid: &str, mut of: impl FnMut(&Labels)) {
        self.pods.remove(uid);
        self.marked.remove(uid);
        for (selector, unit) in &mut self.units {
            if unit.pods.as_mut().is_some_and(|pods| pods.remove(uid)) {
                self.declined.take();
                of(selector);
            }
        }
    }

    /// A Service joins the unit of what it selects by; [`Self::settle`] has to follow.
    pub(super) fn join(&mut self, selector: &Labels, service: &str) {
        let unit = self.units.entry(selector.clone()).or_default();
        unit.services.insert(service.into());
    }

    /// A Service leaves its unit; [`Self::settle`] has to follow.
    pub(super) fn leave(&mut self, selector: &Labels, service: &str) {
        if let Some(unit) = self.units.get_mut(selector) {
            unit.services.remove(service);
            if unit.services.is_empty() {
                self.units.remove(selector);
            }
        }
    }

    /// Finds the pods of the oldest units, and forgets those of the others.
    pub(super) fn settle(&mut self) {
        self.declined.take();
        let ranked = self.ranked().into_iter().take(UNITS_MAX);
        let oldest: BTreeSet<Labels> = ranked.map(|(_, selector, _)| selector.clone()).collect();
        for (selector, unit) in &mut self.units {
            if !oldest.contains(selector) {
                unit.pods = None;
            } else if unit.pods.is_none() {
                let pods = self.pods.values();
                let pods = pods.filter(|pod| fits(selector, &pod.labels));
                unit.pods = Some(pods.map(|pod| pod.uid.clone()).collect());
            }
        }
    }

    /// Both in the order of their age, which is that of what they are preferred by.
    pub(super) fn view(&self, unit: &Unit) -> UnitView<'_> {
        let services = unit.services.iter();
        let mut services: Vec<_> = services
            .filter_map(|name| self.services.get(name))
            .collect();
        services.sort_by_key(|service| (&service.created, &service.name.name));
        let pods = unit.pods.iter().flatten();
        let mut pods: Vec<_> = pods.filter_map(|uid| self.pods.get(uid)).collect();
        pods.sort_by_key(|pod| (&pod.created, &pod.name.name));
        UnitView { services, pods }
    }

    /// Why a unit is not given a designated pod.
    pub(super) fn declined(&self, selector: &Labels) -> Option<&Decline> {
        self.all_declined().get(selector)
    }

    /// Pods that Service mode has written, and that belong to none of its units any more.
    pub(super) fn strays(&self) -> Vec<&PodFacts> {
        let declined = self.all_declined();
        let units = self.units.iter();
        let units = units.filter(|(selector, _)| !declined.contains_key(*selector));
        let served: BTreeSet<&Uid> = units.flat_map(|(_, unit)| &unit.pods).flatten().collect();
        let marked = self.marked.iter();
        marked
            .filter(|uid| !served.contains(uid))
            .filter_map(|uid| self.pods.get(uid))
            .collect()
    }

    /// Each unit with its oldest Service, by whose age it is ranked: the oldest one first.
    fn ranked(&self) -> Vec<(&ServiceFacts, &Labels, &Unit)> {
        let with_oldest = |(selector, unit)| Some((self.oldest(unit)?, selector, unit));
        let mut units: Vec<_> = self.units.iter().filter_map(with_oldest).collect();
        units.sort_by_key(|(oldest, ..)| (&oldest.created, &oldest.name.name));
        units
    }

    fn oldest(&self, unit: &Unit) -> Option<&ServiceFacts> {
        let services = unit.services.iter();
        services
            .filter_map(|name| self.services.get(name))
            .min_by_key(|service| (&service.created, &service.name.name))
    }

    /// One pass over all units: a tenant may make many of them, and each is asked for.
    fn all_declined(&self) -> &BTreeMap<Labels, Decline> {
        self.declined.get_or_init(|| {
            // The oldest Service of each pod.
            let mut owners: HashMap<&Uid, &ServiceFacts> = HashMap::new();
            let mut declined = BTreeMap::new();
            for (oldest, selector, unit) in self.ranked() {
                if let Some(reason) = self.why_declined(unit, &owners) {
                    declined.insert(selector.clone(), reason);
                }
                for uid in unit.pods.iter().flatten() {
                    owners.entry(uid).or_insert(oldest);
                }
            }
            declined
        })
    }

    /// `owners` are of the units that are older.
    fn why_declined(&self, unit: &Unit, owners: &HashMap<&Uid, &ServiceFacts>) -> Option<Decline> {
        let Some(uids) = &unit.pods else {
            return Some(Decline::Crowded);
        };
        let mut pods = uids.iter().filter_map(|uid| self.pods.get(uid));
        if let Some(pod) = pods.find(|pod| pod.is_grouped() && !pod.terminating) {
            return Some(Decline::Sidecar(pod.name.name.clone()));
        }
        let older = uids.iter().find_map(|uid| owners.get(uid))?;
        Some(Decline::Shared(older.name.name.clone()))
    }
}
