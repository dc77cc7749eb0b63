//! Pods and Services, as far as Service mode depends on them: small, since every pod of the cluster
//! is kept.

use common::contract::{self, default};
use common::objects::Meta;
use common::pod::Pod;
use common::service::Service;
use std::collections::BTreeMap;

/// Value of the annotation that asks for Service mode.
pub(crate) const ASKED: &str = "active-passive";

/// Labels, or what a Service selects by; sorted.
pub(crate) type Labels = Box<[(Box<str>, Box<str>)]>;

/// An object's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    /// Its namespace.
    pub(crate) namespace: Box<str>,
    /// Its name in it.
    pub(crate) name: Box<str>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodFacts {
    pub(crate) name: Name,
    pub(crate) uid: Box<str>,
    /// resourceVersion.
    pub(crate) version: u64,
    /// creationTimestamp, RFC 3339 in UTC: sorts as it is.
    pub(crate) created: Box<str>,
    pub(crate) labels: Labels,
    /// Service mode has written labels of it.
    pub(crate) marked: bool,
    /// Its condition Ready holds.
    pub(crate) ready: bool,
    /// It has a deletionTimestamp, or is finished.
    pub(crate) terminating: bool,
    /// Revision of its template; "" if unknown.
    pub(crate) revision: Box<str>,
}

impl PodFacts {
    /// What is kept of a pod; `None` without a version, which no API server leaves out.
    pub(crate) fn of(pod: &Pod) -> Option<Self> {
        let meta = &pod.metadata;
        Some(Self {
            name: name(meta),
            uid: meta.uid.as_str().into(),
            version: meta.resource_version.parse().ok()?,
            created: meta.creation_timestamp.as_deref().unwrap_or("").into(),
            labels: meta.labels.as_ref().map(labels).unwrap_or_default(),
            marked: meta.annotation(contract::MODE) == Some(ASKED),
            ready: pod.is_reported_ready(),
            terminating: pod.is_terminating(),
            revision: pod.revision().into(),
        })
    }

    /// The value of a label.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        value(&self.labels, key)
    }

    /// A sidecar of ours runs in it, and its group's leader decides on its role.
    pub(crate) fn is_grouped(&self) -> bool {
        self.label(contract::GROUP).is_some()
    }

    /// A Service can point at it.
    pub(crate) fn is_prepared(&self) -> bool {
        self.marked && self.label(contract::POD) == Some(&self.uid)
    }

    /// It may be given the role.
    pub(crate) fn is_eligible(&self) -> bool {
        self.ready && !self.terminating
    }

    /// It carries this label of the designated pod.
    pub(crate) fn carries(&self, key: &str) -> bool {
        self.label(key) == Some(default::ACTIVE_VALUE)
    }
}

/// By which annotations a Service asks for Service mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    /// By our own.
    pub(crate) own: bool,
    /// By that of active-standby-controller.
    pub(crate) compat: bool,
}

impl Claim {
    /// Whether it asks at all.
    pub(crate) fn asks(self) -> bool {
        self.own || self.compat
    }

    /// Keys of the labels that the designated pod carries.
    pub(crate) fn keys(self) -> impl Iterator<Item = &'static str> {
        let own = self.own.then_some(contract::ROLE);
        let compat = self.compat.then_some(contract::COMPAT_DESIGNATION);
        own.into_iter().chain(compat)
    }

    /// What either asks for.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            own: self.own || other.own,
            compat: self.compat || other.compat,
        }
    }
}

/// A Service that asks for Service mode, or that did and still shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceFacts {
    pub(crate) name: Name,
    pub(crate) uid: Box<str>,
    /// resourceVersion.
    pub(crate) version: u64,
    /// creationTimestamp, RFC 3339 in UTC: sorts as it is.
    pub(crate) created: Box<str>,
    pub(crate) claim: Claim,
    /// It belongs to an election group as well.
    pub(crate) grouped: bool,
    /// What its owner selects by; empty: nothing.
    pub(crate) selector: Labels,
    /// uid of the pod that its annotation names.
    pub(crate) active: Option<Box<str>>,
    /// uid of the pod that its selector names.
    pub(crate) selected: Option<Box<str>>,
    /// Its selector has the key of active-standby-controller.
    pub(crate) compat_selected: bool,
}

impl ServiceFacts {
    /// What is kept of a Service; `None` if Service mode has nothing to do with it.
    pub(crate) fn of(service: &Service) -> Option<Self> {
        let meta = &service.metadata;
        let given = |key: &str| meta.annotation(key).filter(|value| !value.is_empty());
        let claim = Claim {
            own: given(contract::MODE) == Some(ASKED),
            compat: given(contract::COMPAT_MODE).is_some(),
        };
        let grouped = given(contract::GROUP).is_some();
        let active = given(contract::ACTIVE);
        if !claim.asks() && (grouped || active.is_none()) {
            return None;
        }
        let nothing = BTreeMap::new();
        let selector = service.selector().unwrap_or(&nothing);
        let mut own = selector.clone();
        own.retain(|key, _| !is_written_key(key));
        Some(Self {
            name: name(meta),
            uid: meta.uid.as_str().into(),
            version: meta.resource_version.parse().ok()?,
            created: meta.creation_timestamp.as_deref().unwrap_or("").into(),
            claim,
            grouped,
            selector: labels(&own),
            active: active.map(Into::into),
            selected: selector.get(contract::POD).map(|uid| uid.as_str().into()),
            compat_selected: selector
                .get(contract::COMPAT_DESIGNATION)
                .is_some_and(|value| value == default::ACTIVE_VALUE),
        })
    }

    /// Its selector names a pod, by its annotation or by itself.
    pub(crate) fn is_routed(&self) -> bool {
        self.active.is_some() || self.selected.is_some()
    }
}

/// Keys of selectors that Service mode writes; they do not say which pods its owner means.
fn is_written_key(key: &str) -> bool {
    [contract::POD, contract::ROLE, contract::COMPAT_DESIGNATION].contains(&key)
}

/// Whether what a Service selects by fits these labels.
pub(crate) fn fits(selector: &Labels, labels: &Labels) -> bool {
    let wanted = |(key, wanted): &(Box<str>, Box<str>)| value(labels, key) == Some(wanted);
    selector.iter().all(wanted)
}

fn value<'a>(labels: &'a Labels, key: &str) -> Option<&'a str> {
    let found = labels.binary_search_by(|(known, _)| (**known).cmp(key));
    found.ok().map(|index| &*labels[index].1)
}

fn labels(map: &BTreeMap<String, String>) -> Labels {
    let boxed = |(key, value): (&String, &String)| (key.as_str().into(), value.as_str().into());
    map.iter().map(boxed).collect()
}

fn name(meta: &Meta) -> Name {
    Name {
        namespace: meta.namespace.as_str().into(),
        name: meta.name.as_str().into(),
    }
}
