//! What is known of the cluster: its pods, the Services in Service mode, and which pods each of them
//! selects.
//!
//! Services of a namespace that select by the same labels are one unit: they share their pods, and
//! so the designated one. An event costs a look at the units of its namespace; none looks at all pods.

mod due;
mod namespace;

use crate::service_mode::facts::{Labels, Name, PodFacts, ServiceFacts};
use crate::service_mode::known::due::Due;
use crate::service_mode::known::namespace::{Namespace, Uid};
use crate::service_mode::plan::{Decline, UnitView};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    due: Due,
}

impl Known {
    /// Nothing is known yet; nothing is done in these namespaces.
    pub(crate) fn new(excluded: Vec<String>) -> Self {
        Self {
            excluded,
            ..Self::default()
        }
    }

    /// The next thing to look at that is not among those that are being worked on; namespaces take
    /// turns.
    pub(crate) fn next(&mut self, busy: impl Fn(&Work) -> bool) -> Option<Work> {
        let units = |name: &str| {
            let namespace = self.namespaces.get(name).into_iter();
            namespace.flat_map(|it| it.units.keys().cloned()).collect()
        };
        self.due.next(units, busy)
    }

    /// Has this looked at again.
    pub(crate) fn again(&mut self, work: Work) {
        self.due.add(work);
    }

    /// Has everything looked at.
    pub(crate) fn all_again(&mut self) {
        for name in self.namespaces.keys() {
            self.due.add_all(name);
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
        let marked = pod.marked;
        let due = &mut self.due;
        let look = |selector: &Labels| due.add(Work::Unit(name.clone(), selector.clone()));
        let served = namespace.put_pod(pod, look);
        if marked && !served {
            self.due.add(Work::Leftovers(name));
        }
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
        let due = &mut self.due;
        namespace.take_pod(uid, |selector| {
            due.add(Work::Unit(name.into(), selector.clone()))
        });
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
            self.take_service(&name);
        }
        for service in services {
            self.put_service(service);
        }
        self.namespaces.values_mut().for_each(Namespace::settle);
    }

    /// A Service is there, new or changed. What is older than what is known says nothing.
    pub(crate) fn see_service(&mut self, service: ServiceFacts) {
        let name = service.name.namespace.clone();
        self.put_service(service);
        self.settle(&name);
    }

    fn put_service(&mut self, service: ServiceFacts) {
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
            self.due.add_all(&name);
            if let Some(selector) = &old_unit {
                namespace.leave(selector, &service.name.name);
            }
        }
        if let Some(selector) = new_unit {
            namespace.join(selector, &service.name.name);
            self.due.add(Work::Unit(name.clone(), selector.clone()));
        }
        self.due.add(Work::Leftovers(name));
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
        self.take_service(name);
        self.settle(&name.namespace);
    }

    fn take_service(&mut self, name: &Name) {
        let Some(namespace) = self.namespaces.get_mut(&name.namespace) else {
            return;
        };
        if let Some(service) = namespace.services.remove(&name.name) {
            namespace.leave(&service.selector, &name.name);
            self.due.add_all(&name.namespace);
        }
    }

    fn settle(&mut self, name: &str) {
        if let Some(namespace) = self.namespaces.get_mut(name) {
            namespace.settle();
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
        self.namespaces.get(namespace)?.declined(selector).cloned()
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
        let namespace = self.namespaces.get(name);
        namespace.map(Namespace::strays).unwrap_or_default()
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

#[cfg(test)]
mod tests;
