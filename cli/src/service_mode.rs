//! Services in Service mode, put together from the objects that were read: of their pods one is
//! designated, by the annotation that says where a Service points. Pure: equal objects and time, equal
//! answers.

mod doubts;
mod report;
mod text;

pub(crate) use report::ServedReport;
pub(crate) use text::{in_depth, resource, table};

use crate::group::Group;
use crate::managed::Managed;
use crate::visible;
use common::contract::{self, NO_POD, default};
use common::objects::Meta;
use common::pod::Pod;
use common::service::Service;
use election::Ineligible;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Value of the annotation that asks for it.
const ASKED: &str = "active-passive";

/// Whether a Service asks for it, by either annotation.
pub(crate) fn asks(service: &Service) -> bool {
    labels(service).next().is_some()
}

/// Keys of the labels that its designated pod carries, by which annotation asks; none: none does.
fn labels(service: &Service) -> impl Iterator<Item = &'static str> {
    let given = |key| service.metadata.annotation(key).unwrap_or_default();
    let own = (given(contract::MODE) == ASKED).then_some(contract::ROLE);
    let compat = !given(contract::COMPAT_MODE).is_empty();
    let compat = compat.then_some(contract::COMPAT_DESIGNATION);
    own.into_iter().chain(compat)
}

/// A Service as it is listed.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Listed {
    pub(crate) service: Service,
    /// When it was pointed where it points, by the API server's clock.
    pointed_at: Option<Timestamp>,
}

impl TryFrom<Value> for Listed {
    type Error = serde_json::Error;

    fn try_from(object: Value) -> Result<Self, Self::Error> {
        let service = Service::deserialize(&object)?;
        if !asks(&service) {
            return Ok(Self {
                service,
                pointed_at: None,
            });
        }
        let managed = Option::<Vec<Managed>>::deserialize(&object["metadata"]["managedFields"])?;
        let managed = managed.unwrap_or_default();
        let wrote = Managed::of_annotation(&managed, contract::ACTIVE);
        Ok(Self {
            service,
            pointed_at: wrote.and_then(Managed::at),
        })
    }
}

/// A Service in Service mode.
#[derive(Debug)]
pub(crate) struct Served {
    service: Service,
    /// What its owner selects by: without the keys by which Service mode points it.
    selector: BTreeMap<String, String>,
    pointed_at: Option<Timestamp>,
    /// The pods that it selects: the designated one first, then by name. None: they may not be seen.
    pods: Option<Vec<Candidate>>,
    /// A pod of it that has a sidecar.
    sidecar: Option<String>,
    /// An older Service that selects some pods of it by other labels.
    older: Option<String>,
}

/// A pod that a Service in Service mode selects.
#[derive(Debug)]
struct Candidate {
    name: String,
    uid: String,
    ready: bool,
    /// Why it cannot be designated.
    ineligible: Option<Ineligible>,
    /// It carries the label of the designated pod.
    labelled: bool,
    node: Option<String>,
    revision: String,
    created_at: Option<Timestamp>,
}

/// Puts together the Services that ask, by namespace and name. `pods` are those without sidecar; none:
/// they may not be seen.
pub(crate) fn served(
    mut asking: Vec<Listed>,
    pods: Option<&[Pod]>,
    groups: &[Group],
) -> Vec<Served> {
    let mut there: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in pods.into_iter().flatten() {
        there.entry(&pod.metadata.namespace).or_default().push(pod);
    }
    asking.sort_by_cached_key(|listed| {
        let meta = &listed.service.metadata;
        (meta.creation_timestamp.clone(), meta.name.clone())
    });
    let mut all: Vec<Served> = Vec::new();
    // The oldest Service of each pod, as its place in `all`.
    let mut owners: HashMap<String, usize> = HashMap::new();
    for listed in asking {
        let namespace = listed.service.metadata.namespace.clone();
        let near = there
            .get(namespace.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let near = pods.is_some().then_some(near);
        let beside = groups.iter().filter(|group| group.namespace == namespace);
        let mut members = beside.flat_map(|group| &group.members);
        let mut served = Served::new(listed, near);
        let claimed = members.find(|member| served.selects(&member.meta));
        served.sidecar = claimed.map(|member| member.meta.name.clone());
        if served.service.group().is_none() {
            for pod in served.pods.iter().flatten() {
                let owner = *owners.entry(pod.uid.clone()).or_insert(all.len());
                let older = all.get(owner).filter(|it| it.selector != served.selector);
                served.older = served
                    .older
                    .or_else(|| older.map(|it| it.name().to_owned()));
            }
        }
        all.push(served);
    }
    all.sort_by(|a, b| (a.namespace(), a.name()).cmp(&(b.namespace(), b.name())));
    all
}

/// uid of the pod that a Service is pointed at.
fn active(service: &Service) -> Option<&str> {
    let active = service.metadata.annotation(contract::ACTIVE);
    active.filter(|active| !active.is_empty() && *active != NO_POD)
}

impl Candidate {
    fn new(pod: &Pod, service: &Service) -> Self {
        let meta = &pod.metadata;
        let created = meta.creation_timestamp.as_ref();
        let ready = pod.is_reported_ready();
        let unready = (!ready).then_some(Ineligible::NotReady);
        let terminating = pod.is_terminating().then_some(Ineligible::Terminating);
        Self {
            name: meta.name.clone(),
            uid: meta.uid.clone(),
            ready,
            ineligible: terminating.or(unready),
            labelled: labels(service).any(|key| meta.label(key) == Some(default::ACTIVE_VALUE)),
            node: pod.node().map(str::to_owned),
            revision: pod.revision().to_owned(),
            created_at: created.and_then(|text| text.parse().ok()),
        }
    }
}

impl Served {
    /// `pods` are those of its namespace.
    fn new(listed: Listed, pods: Option<&[&Pod]>) -> Self {
        let Listed {
            service,
            pointed_at,
        } = listed;
        let mut selector = service.selector().cloned().unwrap_or_default();
        for written in [contract::POD, contract::ROLE, contract::COMPAT_DESIGNATION] {
            selector.remove(written);
        }
        let mut served = Self {
            selector,
            pointed_at,
            pods: None,
            sidecar: None,
            older: None,
            service,
        };
        served.pods = pods.map(|pods| served.candidates(pods));
        served
    }

    fn candidates(&self, pods: &[&Pod]) -> Vec<Candidate> {
        let mine = pods.iter().filter(|pod| self.selects(&pod.metadata));
        let mine = mine.map(|pod| Candidate::new(pod, &self.service));
        let mut candidates: Vec<Candidate> = mine.collect();
        let active = active(&self.service);
        candidates.sort_by_cached_key(|it| (Some(it.uid.as_str()) != active, it.name.clone()));
        candidates
    }

    /// Whether what its owner selects by fits a pod; nothing fits none.
    fn selects(&self, pod: &Meta) -> bool {
        let mut wanted = self.selector.iter();
        let fits = |(key, value): (&String, &String)| pod.label(key) == Some(value);
        !self.selector.is_empty() && wanted.all(fits)
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.service.metadata.namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.service.metadata.name
    }

    /// The pods that were seen.
    fn pods(&self) -> &[Candidate] {
        self.pods.as_deref().unwrap_or_default()
    }

    /// The designated pod, if it is there.
    fn designated(&self) -> Option<&Candidate> {
        let active = active(&self.service)?;
        self.pods().iter().find(|pod| pod.uid == active)
    }

    /// Name of the designated pod; its uid where that is not there.
    fn active(&self) -> Option<String> {
        active(&self.service).map(|uid| self.pod_name(uid))
    }

    fn pod_name(&self, uid: &str) -> String {
        let found = self.pods().iter().find(|pod| pod.uid == uid);
        // Whoever may write the Service chooses what stands in a uid's place.
        found.map_or_else(|| visible::line(uid), |pod| pod.name.clone())
    }

    /// When the designated pod was.
    fn since(&self) -> Option<Timestamp> {
        self.pointed_at.filter(|_| active(&self.service).is_some())
    }

    /// The pods that could follow the designated one.
    fn successors(&self) -> impl Iterator<Item = &Candidate> {
        let active = active(&self.service);
        let pods = self.pods().iter();
        pods.filter(move |pod| pod.ineligible.is_none() && Some(pod.uid.as_str()) != active)
    }

    /// `2/3`; "" where pods may not be seen.
    fn ready(&self) -> String {
        let Some(pods) = &self.pods else {
            return String::new();
        };
        let ready = pods.iter().filter(|pod| pod.ready).count();
        format!("{ready}/{}", pods.len())
    }
}
