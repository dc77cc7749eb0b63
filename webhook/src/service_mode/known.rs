//! What is known of the cluster: its pods, the Services in Service mode, and which pods each of them
//! selects.
//!
//! Services of a namespace that select by the same labels are one unit: they share their pods, and
//! so the designated one. An event costs a look at the units of its namespace; none looks at all pods.

use crate::service_mode::facts::{Labels, Name, PodFacts, ServiceFacts, fits};
use crate::service_mode::plan::{Decline, UnitView};
use std::collections::{BTreeMap, BTreeSet};

type Uid = Box<str>;

/// What is to be looked at, in the order in which it is done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Work {
    /// The unit of the Services that select by these labels.
    Unit(Box<str>, Labels),
    /// Services of this namespace that are in no unit, and pods that are in none any more.
    Leftovers(Box<str>),
}

/// The cluster, and what of it has changed.
#[derive(Debug, Default)]
pub(crate) struct Known {
    namespaces: BTreeMap<Box<str>, Namespace>,
    /// Nothing is done in these.
    excluded: Vec<String>,
    due: BTreeSet<Work>,
}

#[derive(Debug, Default)]
struct Namespace {
    pods: BTreeMap<Uid, PodFacts>,
    /// Those of them that Service mode has written.
    marked: BTreeSet<Uid>,
    services: BTreeMap<Box<str>, ServiceFacts>,
    units: BTreeMap<Labels, Unit>,
}

#[derive(Debug, Default)]
struct Unit {
    services: BTreeSet<Box<str>>,
    pods: BTreeSet<Uid>,
}

impl Known {
    /// Nothing is known yet; nothing is done in these namespaces.
    pub(crate) fn new(excluded: Vec<String>) -> Self {
        Self {
            excluded,
            ..Self::default()
        }
    }

    /// The next thing to look at that is not among those that are being worked on.
    pub(crate) fn next(&mut self, busy: impl Fn(&Work) -> bool) -> Option<Work> {
        let work = self.due.iter().find(|work| !busy(work))?.clone();
        self.due.remove(&work);
        Some(work)
    }

    /// Has this looked at again.
    pub(crate) fn again(&mut self, work: Work) {
        self.due.insert(work);
    }

    /// Has everything looked at.
    pub(crate) fn all_again(&mut self) {
        for (name, namespace) in &self.namespaces {
            mark_units(&mut self.due, name, namespace);
        }
    }

    /// How many Services are in Service mode.
    pub(crate) fn services(&self) -> usize {
        let all = self.namespaces.values().flat_map(|it| it.services.values());
        all.filter(|service| service.claim.asks()).count()
    }

    /// These are all pods that there are.
    pub(crate) fn list_pods(&mut self, pods: Vec<PodFacts>) {
        let there: BTreeSet<(Box<str>, Uid)> = pods
            .iter()
            .map(|pod| (pod.name.namespace.clone(), pod.uid.clone()))
            .collect();
        let mut gone = Vec::new();
        for (name, namespace) in &self.namespaces {
            for uid in namespace.pods.keys() {
                let key = (name.clone(), uid.clone());
                if !there.contains(&key) {
                    gone.push(key);
                }
            }
        }
        for (namespace, uid) in gone {
            self.lose_pod(&namespace, &uid);
        }
        for pod in pods {
            self.see_pod(pod);
        }
    }

    /// A pod is there, new or changed. What is older than what is known says nothing.
    pub(crate) fn see_pod(&mut self, pod: PodFacts) {
        let name = pod.name.namespace.clone();
        let namespace = self.namespaces.entry(name.clone()).or_default();
        let known = namespace.pods.get(&pod.uid);
        if known.is_some_and(|known| pod.version <= known.version) {
            return;
        }
        let mut served = false;
        for (selector, unit) in &mut namespace.units {
            let belonged = unit.pods.contains(&pod.uid);
            let belongs = fits(selector, &pod.labels);
            served |= belongs;
            if belongs && !belonged {
                unit.pods.insert(pod.uid.clone());
            } else if belonged && !belongs {
                unit.pods.remove(&pod.uid);
            }
            if belongs || belonged {
                self.due.insert(Work::Unit(name.clone(), selector.clone()));
            }
        }
        if pod.marked {
            namespace.marked.insert(pod.uid.clone());
            if !served {
                self.due.insert(Work::Leftovers(name));
            }
        } else {
            namespace.marked.remove(&pod.uid);
        }
        namespace.pods.insert(pod.uid.clone(), pod);
    }

    /// A pod as an answer showed it. If it is gone meanwhile, it stays so.
    pub(crate) fn answer_pod(&mut self, pod: PodFacts) {
        let namespace = self.namespaces.get(&pod.name.namespace);
        if namespace.is_some_and(|it| it.pods.contains_key(&pod.uid)) {
            self.see_pod(pod);
        }
    }

    /// A pod is gone.
    pub(crate) fn lose_pod(&mut self, name: &str, uid: &str) {
        let Some(namespace) = self.namespaces.get_mut(name) else {
            return;
        };
        namespace.pods.remove(uid);
        namespace.marked.remove(uid);
        for (selector, unit) in &mut namespace.units {
            if unit.pods.remove(uid) {
                self.due.insert(Work::Unit(name.into(), selector.clone()));
            }
        }
        if namespace.pods.is_empty() && namespace.services.is_empty() {
            self.namespaces.remove(name);
        }
    }

    /// These are all Services that Service mode has to do with.
    pub(crate) fn list_services(&mut self, services: Vec<ServiceFacts>) {
        let there: BTreeSet<Name> = services.iter().map(|it| it.name.clone()).collect();
        let known = self.namespaces.values();
        let gone: Vec<Name> = known
            .flat_map(|namespace| namespace.services.values())
            .map(|service| service.name.clone())
            .filter(|name| !there.contains(name))
            .collect();
        for name in gone {
            self.lose_service(&name);
        }
        for service in services {
            self.see_service(service);
        }
    }

    /// A Service is there, new or changed. What is older than what is known says nothing.
    pub(crate) fn see_service(&mut self, service: ServiceFacts) {
        let name = service.name.namespace.clone();
        let excluded = self.excluded.iter().any(|excluded| **excluded == *name);
        let namespace = self.namespaces.entry(name.clone()).or_default();
        let known = namespace.services.get(&service.name.name);
        if known.is_some_and(|known| service.version <= known.version && service.uid == known.uid) {
            return;
        }
        let new_unit = belongs_to_unit(&service, excluded).then_some(&service.selector);
        let old_unit = known
            .filter(|known| belongs_to_unit(known, excluded))
            .map(|known| known.selector.clone());
        if old_unit.as_ref() != new_unit {
            // Whether units share pods depends on which there are.
            mark_units(&mut self.due, &name, namespace);
            if let Some(selector) = &old_unit {
                namespace.leave(selector, &service.name.name);
            }
        }
        if let Some(selector) = new_unit {
            namespace.join(selector, &service.name.name);
            self.due.insert(Work::Unit(name.clone(), selector.clone()));
        }
        self.due.insert(Work::Leftovers(name));
        let key = service.name.name.clone();
        namespace.services.insert(key, service);
    }

    /// A Service as an answer showed it. If it is gone meanwhile, it stays so.
    pub(crate) fn answer_service(&mut self, service: ServiceFacts) {
        let namespace = self.namespaces.get(&service.name.namespace);
        let known = namespace.and_then(|it| it.services.get(&service.name.name));
        if known.is_some_and(|known| known.uid == service.uid) {
            self.see_service(service);
        }
    }

    /// A Service is gone, or Service mode has nothing to do with it any more.
    pub(crate) fn lose_service(&mut self, name: &Name) {
        let Some(namespace) = self.namespaces.get_mut(&name.namespace) else {
            return;
        };
        if let Some(service) = namespace.services.remove(&name.name) {
            namespace.leave(&service.selector, &name.name);
            mark_units(&mut self.due, &name.namespace, namespace);
        }
    }

    /// A unit as the planner sees it; `None` if there is none any more.
    pub(crate) fn unit(&self, namespace: &str, selector: &Labels) -> Option<UnitView<'_>> {
        let namespace = self.namespaces.get(namespace)?;
        let unit = namespace.units.get(selector)?;
        Some(namespace.view(unit))
    }

    /// Why a unit is not given a designated pod.
    pub(crate) fn declined(&self, namespace: &str, selector: &Labels) -> Option<Decline> {
        self.namespaces.get(namespace)?.declined(selector)
    }

    /// Services of a namespace that are in no unit, each with the reason if it asks for Service mode.
    pub(crate) fn loose_services(&self, name: &str) -> Vec<(&ServiceFacts, Option<Decline>)> {
        let excluded = self.excluded.iter().any(|excluded| excluded == name);
        let services = self.namespaces.get(name).into_iter();
        let services = services.flat_map(|it| it.services.values());
        services
            .filter(|service| !belongs_to_unit(service, excluded))
            .map(|service| (service, why_loose(service, excluded)))
            .collect()
    }

    /// Pods that Service mode has written, and that belong to none of its units any more.
    pub(crate) fn strays(&self, name: &str) -> Vec<&PodFacts> {
        let Some(namespace) = self.namespaces.get(name) else {
            return Vec::new();
        };
        let serves = |uid: &Uid| {
            let mut units = namespace.units.iter();
            units.any(|(selector, unit)| {
                unit.pods.contains(uid) && namespace.declined(selector).is_none()
            })
        };
        let marked = namespace.marked.iter();
        marked
            .filter(|uid| !serves(uid))
            .filter_map(|uid| namespace.pods.get(uid))
            .collect()
    }
}

impl Namespace {
    fn join(&mut self, selector: &Labels, service: &str) {
        let unit = self.units.entry(selector.clone()).or_insert_with(|| Unit {
            services: BTreeSet::new(),
            pods: self
                .pods
                .values()
                .filter(|pod| fits(selector, &pod.labels))
                .map(|pod| pod.uid.clone())
                .collect(),
        });
        unit.services.insert(service.into());
    }

    fn leave(&mut self, selector: &Labels, service: &str) {
        if let Some(unit) = self.units.get_mut(selector) {
            unit.services.remove(service);
            if unit.services.is_empty() {
                self.units.remove(selector);
            }
        }
    }

    /// Both in the order of their age, which is that of what they are preferred by.
    fn view(&self, unit: &Unit) -> UnitView<'_> {
        let services = unit.services.iter();
        let mut services: Vec<_> = services
            .filter_map(|name| self.services.get(name))
            .collect();
        services.sort_by_key(|service| (&service.created, &service.name.name));
        let pods = unit.pods.iter();
        let mut pods: Vec<_> = pods.filter_map(|uid| self.pods.get(uid)).collect();
        pods.sort_by_key(|pod| (&pod.created, &pod.name.name));
        UnitView { services, pods }
    }

    /// What a unit is ranked by: its oldest Service.
    fn oldest<'a>(&'a self, unit: &'a Unit) -> Option<&'a ServiceFacts> {
        let services = unit.services.iter();
        services
            .filter_map(|name| self.services.get(name))
            .min_by_key(|service| (&service.created, &service.name.name))
    }

    fn declined(&self, selector: &Labels) -> Option<Decline> {
        let unit = self.units.get(selector)?;
        let pods = || unit.pods.iter().filter_map(|uid| self.pods.get(uid));
        let grouped = |pod: &&PodFacts| pod.is_grouped() && !pod.terminating;
        if let Some(pod) = pods().find(grouped) {
            return Some(Decline::Sidecar(pod.name.name.clone()));
        }
        let own = self.oldest(unit)?;
        let others = self.units.iter().filter(|(other, _)| *other != selector);
        let mut shared = others
            .filter(|(_, other)| !other.pods.is_disjoint(&unit.pods))
            .filter_map(|(_, other)| self.oldest(other))
            .filter(|other| (&other.created, &other.name.name) < (&own.created, &own.name.name));
        let older = shared.next()?;
        Some(Decline::Shared(older.name.name.clone()))
    }
}

fn belongs_to_unit(service: &ServiceFacts, excluded: bool) -> bool {
    service.claim.asks() && why_loose(service, excluded).is_none()
}

fn why_loose(service: &ServiceFacts, excluded: bool) -> Option<Decline> {
    if !service.claim.asks() {
        None
    } else if excluded {
        Some(Decline::Namespace)
    } else if service.grouped {
        Some(Decline::Group)
    } else if service.selector.is_empty() {
        Some(Decline::NoSelector)
    } else {
        None
    }
}

fn mark_units(due: &mut BTreeSet<Work>, name: &str, namespace: &Namespace) {
    let units = namespace.units.keys();
    due.extend(units.map(|selector| Work::Unit(name.into(), selector.clone())));
    due.insert(Work::Leftovers(name.into()));
}

#[cfg(test)]
mod tests;
