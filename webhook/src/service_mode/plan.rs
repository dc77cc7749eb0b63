//! What to write next: a function of what is known, one write at a time. After each the planner looks
//! again, at the object as the API server returned it.
//!
//! The Service decides on traffic: its annotation names one pod, and the selector follows in the same
//! write. Of the labels by which people find the designated pod, one is taken off before the other
//! is put on, so that no two pods carry one.
//!
//! Absent from it: IO and time.

use crate::service_mode::facts::{Claim, Name, PodFacts, ServiceFacts};
use common::contract::{self, default};
use std::fmt;

/// Units of a namespace that are looked at, the oldest ones: whoever may make Services there is not to
/// take the time of all others.
pub(crate) const UNITS_MAX: usize = 100;

/// Services that select the same pods, and these pods; each in the order of their age.
#[derive(Debug, Clone)]
pub(crate) struct UnitView<'a> {
    /// At least one; each asks for Service mode.
    pub(crate) services: Vec<&'a ServiceFacts>,
    /// The pods that they select.
    pub(crate) pods: Vec<&'a PodFacts>,
}

/// Why a Service is left alone though it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decline {
    /// It selects nothing.
    NoSelector,
    /// It follows an election group.
    Group,
    /// This pod has our sidecar.
    Sidecar(Box<str>),
    /// It selects pods of this older Service, by other labels.
    Shared(Box<str>),
    /// It is younger than [`UNITS_MAX`] others of its namespace that select by other labels.
    Crowded,
    /// Nothing is done in its namespace.
    Namespace,
}

impl fmt::Display for Decline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let annotations = format!("{} and {}", contract::MODE, contract::COMPAT_MODE);
        match self {
            Self::NoSelector => write!(
                f,
                "this Service has no selector, so there are no pods to choose from: give it one, or \
                 remove {annotations}"
            ),
            Self::Group => write!(
                f,
                "this Service follows an election group ({}), whose leader decides where it points: \
                 remove {annotations}",
                contract::GROUP
            ),
            Self::Sidecar(pod) => write!(
                f,
                "pod {pod} of this Service has the sidecar, and its group's leader decides: annotate \
                 the Service with {} instead, and remove {annotations}",
                contract::GROUP
            ),
            Self::Shared(service) => write!(
                f,
                "this Service shares some of its pods with Service {service}, which is older and \
                 selects by other labels: a pod can be designated for one of them. Let both select \
                 by the same labels, or no pod be selected by both"
            ),
            Self::Crowded => write!(
                f,
                "Services in Service mode select by more than {UNITS_MAX} different sets of labels in \
                 this namespace, and this one is beyond the oldest {UNITS_MAX}: move some to another \
                 namespace, or remove {annotations} where one pod is not needed"
            ),
            Self::Namespace => write!(
                f,
                "the chart excludes this namespace (webhook.excludedNamespaces): Service mode does \
                 nothing here"
            ),
        }
    }
}

/// A write. It counts only if the object is as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    /// Labels of a pod.
    Pod(PodWrite),
    /// Where a Service points.
    Service(ServiceWrite),
}

/// Labels of a pod, and the mark that they are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodWrite {
    pub(crate) name: Name,
    pub(crate) uid: Box<str>,
    pub(crate) version: u64,
    /// Keys, and the value to write; `None` takes the label off.
    pub(crate) labels: Vec<(&'static str, Option<Box<str>>)>,
    /// Put the mark on or take it off.
    pub(crate) mark: bool,
}

/// What a Service is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceWrite {
    pub(crate) name: Name,
    pub(crate) uid: Box<str>,
    pub(crate) version: u64,
    /// Where it points.
    pub(crate) active: Active,
    /// By these keys. They follow from the annotation while the API server admits it; if they did
    /// not, they are written as well.
    pub(crate) selector: Option<Claim>,
}

/// Value of the annotation that says where a Service points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Active {
    /// At this pod.
    Pod {
        /// Its uid.
        uid: Box<str>,
        /// Its name, for people.
        name: Box<str>,
    },
    /// Nowhere in particular, though it asks: without value.
    Declined,
    /// It does not ask any more: no annotation.
    Removed,
}

/// The next write that makes a unit what it should be; `None`: it is.
pub(crate) fn next(unit: &UnitView<'_>) -> Option<Write> {
    let claims = unit.services.iter().map(|service| service.claim);
    let claim = claims.fold(Claim::default(), Claim::or);
    match designated(unit, claim) {
        Some(pod) => lead(unit, claim, pod),
        // Nobody is better: what is stays, and traffic returns with the pod.
        None => keep(unit, claim),
    }
    .or_else(|| outdated(unit, claim))
    .or_else(|| prepare_others(unit))
}

/// Who is or becomes active: who is, while it is ready; else who carries the label already, as that
/// of another controller may; else the oldest one of the newest revision.
fn designated<'a>(unit: &UnitView<'a>, claim: Claim) -> Option<&'a PodFacts> {
    let eligible = || unit.pods.iter().copied().filter(|pod| pod.is_eligible());
    let mut named = unit.services.iter().filter_map(|it| it.active.as_deref());
    let current = named.find_map(|uid| eligible().find(|pod| &*pod.uid == uid));
    let labelled = || eligible().find(|pod| claim.keys().any(|key| pod.carries(key)));
    let newest = unit.pods.last().map(|pod| &pod.revision);
    let fresh = || eligible().find(|pod| Some(&pod.revision) == newest);
    current
        .or_else(labelled)
        .or_else(fresh)
        .or_else(|| eligible().next())
}

/// The steps by which `pod` becomes the one: ready to be selected, then the traffic, then the labels.
/// A selector that has the label in it must find it: there the labels come first.
fn lead(unit: &UnitView<'_>, claim: Claim, pod: &PodFacts) -> Option<Write> {
    let others_labelled = first_labelled(unit, claim, pod).is_some();
    let labelled = claim.keys().all(|key| pod.carries(key));
    if !pod.is_prepared() {
        let designate = if others_labelled {
            Claim::default()
        } else {
            claim
        };
        return Some(Write::Pod(on(pod, designate)));
    }
    let label = || (!labelled).then(|| Write::Pod(on(pod, claim)));
    let strip = || first_labelled(unit, claim, pod).map(|pod| Write::Pod(off(pod)));
    let point = || point(unit, pod);
    if claim.compat {
        strip().or_else(label).or_else(point)
    } else {
        point().or_else(strip).or_else(label)
    }
}

/// Nobody can be designated: what is there stays, and only a second label goes.
fn keep(unit: &UnitView<'_>, claim: Claim) -> Option<Write> {
    let named = |pod: &&&PodFacts| {
        let mut services = unit.services.iter();
        services.any(|service| service.active.as_deref() == Some(&pod.uid))
    };
    let labelled = |pod: &&&PodFacts| claim.keys().any(|key| pod.carries(key));
    let mut pods = unit.pods.iter();
    let kept = pods
        .find(named)
        .or_else(|| unit.pods.iter().find(labelled))?;
    first_labelled(unit, claim, kept).map(|pod| Write::Pod(off(pod)))
}

/// A pod beside `pod` that carries a label of the designated one.
fn first_labelled<'a>(unit: &UnitView<'a>, claim: Claim, pod: &PodFacts) -> Option<&'a PodFacts> {
    let labelled = |other: &&PodFacts| claim.keys().any(|key| other.carries(key));
    let mut others = unit.pods.iter().copied();
    others.find(|other| other.uid != pod.uid && labelled(other))
}

/// Points the first Service that does not point at `pod` there.
fn point(unit: &UnitView<'_>, pod: &PodFacts) -> Option<Write> {
    let uid = Some(&*pod.uid);
    unit.services.iter().find_map(|service| {
        let annotated = service.active.as_deref() == uid;
        let derived =
            service.selected.as_deref() == uid && service.compat_selected == service.claim.compat;
        let active = Active::Pod {
            uid: pod.uid.clone(),
            name: pod.name.name.clone(),
        };
        (!annotated || !derived).then(|| say(service, active, annotated))
    })
}

/// Lets a Service say this. `stands`: its annotation says so already, and only the selector does not
/// follow.
fn say(service: &ServiceFacts, active: Active, stands: bool) -> Write {
    Write::Service(ServiceWrite {
        name: service.name.clone(),
        uid: service.uid.clone(),
        version: service.version,
        active,
        selector: stands.then_some(service.claim),
    })
}

/// A label of ours that no Service of the unit asks for any more goes.
fn outdated(unit: &UnitView<'_>, claim: Claim) -> Option<Write> {
    let asked = |key: &str| claim.keys().any(|asked| asked == key);
    let stale = |pod: &PodFacts| carried(pod).filter(|(key, _)| !asked(key)).collect();
    unit.pods.iter().filter(|pod| pod.marked).find_map(|pod| {
        let labels: Vec<_> = stale(pod);
        let some = !labels.is_empty();
        some.then(|| Write::Pod(write(pod, labels.into_iter(), true)))
    })
}

/// Every pod carries its own uid before a Service points at it: what turns labels into endpoints may
/// hear of the Service first, and would find no pod.
fn prepare_others(unit: &UnitView<'_>) -> Option<Write> {
    let mut pods = unit.pods.iter();
    let pod = pods.find(|pod| !pod.is_prepared() && !pod.terminating)?;
    Some(Write::Pod(on(pod, Claim::default())))
}

/// The next write that gives back what is left of Service mode; `None`: nothing is.
pub(crate) fn give_back(
    services: &[(&ServiceFacts, Option<Decline>)],
    strays: &[&PodFacts],
) -> Option<Write> {
    let mut services = services.iter().filter(|(service, _)| !service.grouped);
    let service =
        services.find_map(|(service, declined)| give_back_service(service, declined.is_some()));
    service.or_else(|| {
        // A sidecar that has come since has labels of its own.
        let pod = strays
            .iter()
            .find(|pod| !pod.terminating && !pod.is_grouped())?;
        Some(Write::Pod(bare(pod)))
    })
}

/// Gives one Service back, whether it still asks or not.
pub(crate) fn give_back_service(service: &ServiceFacts, asks: bool) -> Option<Write> {
    let active = if asks {
        Active::Declined
    } else {
        Active::Removed
    };
    let write = say(service, active, service.active.is_none() || !asks);
    service.is_routed().then_some(write)
}

/// The pod is prepared, and carries the labels of the designated one.
fn on(pod: &PodFacts, designate: Claim) -> PodWrite {
    let own = (contract::POD, Some(pod.uid.clone()));
    let active = |key| (key, Some(default::ACTIVE_VALUE.into()));
    write(
        pod,
        std::iter::once(own).chain(designate.keys().map(active)),
        true,
    )
}

/// The pod carries no label of the designated one, and stays prepared if it was.
fn off(pod: &PodFacts) -> PodWrite {
    write(pod, carried(pod), pod.marked)
}

/// The pod carries nothing of ours.
fn bare(pod: &PodFacts) -> PodWrite {
    let own = std::iter::once((contract::POD, None));
    write(pod, own.chain(carried(pod)), false)
}

fn carried(pod: &PodFacts) -> impl Iterator<Item = (&'static str, Option<Box<str>>)> {
    let keys = [contract::ROLE, contract::COMPAT_DESIGNATION].into_iter();
    keys.filter(|key| pod.carries(key)).map(|key| (key, None))
}

fn write(
    pod: &PodFacts,
    labels: impl Iterator<Item = (&'static str, Option<Box<str>>)>,
    mark: bool,
) -> PodWrite {
    PodWrite {
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        version: pod.version,
        labels: labels.collect(),
        mark,
    }
}

#[cfg(test)]
mod tests;
