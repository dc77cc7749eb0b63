//! The model of the API server: one Lease, the pods, perhaps one Service.
//!
//! Linearizable per object: a write is committed in an instant and only if the object still is in
//! the version that it is based on. Absent from it: the fencing policies (electors must be right
//! without them), people, and time.

use super::scope::{Scope, identity};
use super::shared::Shared;
use common::contract::NO_POD;
use election::{
    Action, Failure, Handover, LeaseView, LeaseWrite, LeaseWriteKind, Outcome, PodRole, PodView,
    PodWrite, RoleLabel, ServiceView, ServiceWrite, Version,
};

/// Name of the Service.
const SERVICE: &str = "web";

/// All objects. Each has versions of its own, so that writes to different objects commute.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Api {
    lease: Option<Shared<LeaseView>>,
    /// Of the last write of the Lease, its deletion included.
    lease_version: Version,
    pods: Vec<Shared<PodView>>,
    service: Option<Shared<ServiceView>>,
}

/// A rule that a write has broken.
pub(super) type Broken = Option<&'static str>;

impl Api {
    pub(super) fn new(scope: &Scope) -> Self {
        let service = ServiceView {
            name: SERVICE.to_owned(),
            version: Version(1),
            active: None,
            term: None,
            selected: Some(NO_POD.to_owned()),
            has_selector: true,
        };
        Self {
            lease: None,
            lease_version: Version(1),
            pods: (0..scope.pods)
                .map(|pod| Shared::new(new_pod(pod)))
                .collect(),
            service: scope.service.then(|| Shared::new(service)),
        }
    }

    pub(super) fn lease(&self) -> Option<&LeaseView> {
        self.lease.as_deref()
    }

    pub(super) fn lease_version(&self) -> Version {
        self.lease_version
    }

    pub(super) fn pods(&self) -> impl Iterator<Item = &PodView> {
        self.pods.iter().map(|pod| &**pod)
    }

    pub(super) fn pod(&self, pod: usize) -> &PodView {
        &self.pods[pod]
    }

    pub(super) fn service(&self) -> Option<&ServiceView> {
        self.service.as_deref()
    }

    /// Answers a request of a pod, and says which rule its write has broken.
    pub(super) fn answer(
        &mut self,
        handover: Handover,
        writer: usize,
        action: &Action,
    ) -> (Outcome, Broken) {
        match action {
            Action::ReadLease => {
                let lease = self.lease().cloned();
                (lease.map_or(Outcome::NoLease, Outcome::Lease), None)
            }
            Action::WriteLease(write) => self.write_lease(handover, writer, write),
            Action::ReadPod { uid, .. } => match self.find(uid) {
                Some(pod) => (Outcome::Pod(self.pod(pod).clone()), None),
                None => failed(Failure::NotFound),
            },
            Action::WritePod(write) => self.write_pod(write),
            Action::ReadService { .. } => (Outcome::Service(self.service().cloned()), None),
            Action::WriteService(write) => self.write_service(write),
        }
    }

    fn write_lease(
        &mut self,
        handover: Handover,
        writer: usize,
        write: &LeaseWrite,
    ) -> (Outcome, Broken) {
        if write.base != self.lease().map(|lease| lease.version) {
            return failed(Failure::Conflict);
        }
        self.lease_version.0 += 1;
        let mut record = self
            .lease()
            .map(|lease| lease.record.clone())
            .unwrap_or_default();
        let before = record.term;
        record.holder = match write.kind {
            LeaseWriteKind::Recreate => Some(NO_POD.to_owned()),
            _ => write.holder.as_ref().map(ToString::to_string),
        };
        record.term = write.term;
        record.duration_ms = write.duration_ms;
        // Only that it changes matters.
        record.renew_time_us = self.lease_version.0 as i64;
        record.owner.clone_from(&write.owner);
        if write.answer.is_some() {
            record.switchover = None;
        }
        let lease = LeaseView {
            version: self.lease_version,
            record,
        };
        self.lease = Some(Shared::new(lease.clone()));
        let uid = identity(writer).uid;
        let labelled = self.pod(writer).role == RoleLabel::Active;
        let routed = self
            .service()
            .is_some_and(|service| service.selected.as_deref() == Some(&uid));
        let exclusive = handover == Handover::Exclusive;
        let broken = match write.kind {
            _ if write.term < before => Some("the term of the Lease falls"),
            LeaseWriteKind::Acquire | LeaseWriteKind::Handover if write.term == before => {
                Some("an acquisition is no new term")
            }
            LeaseWriteKind::Release if labelled => Some("freed by a pod that is labelled active"),
            LeaseWriteKind::Release | LeaseWriteKind::Handover
                if exclusive && (labelled || routed) =>
            {
                Some("given away by a pod that traffic may be sent to")
            }
            _ => None,
        };
        (Outcome::Lease(lease), broken)
    }

    fn write_pod(&mut self, write: &PodWrite) -> (Outcome, Broken) {
        let Some(pod) = self.find(&write.uid) else {
            return failed(Failure::NotFound);
        };
        if self.pods[pod].version != write.base {
            return failed(Failure::Conflict);
        }
        let before = self.pods[pod].term;
        self.edit_pod(pod, |pod| {
            if let Some((role, term)) = write.role {
                pod.role = match role {
                    PodRole::Active => RoleLabel::Active,
                    PodRole::Passive => RoleLabel::Passive,
                };
                pod.term = Some(term);
            }
            pod.started |= write.own_label;
        });
        let after = self.pod(pod).clone();
        let broken = (after.term < before).then_some("the term of a pod falls");
        (Outcome::Pod(after), broken)
    }

    fn write_service(&mut self, write: &ServiceWrite) -> (Outcome, Broken) {
        let Some(service) = &mut self.service else {
            return failed(Failure::NotFound);
        };
        if service.version != write.base {
            return failed(Failure::Conflict);
        }
        let before = service.term;
        service.change(|service| {
            service.version.0 += 1;
            service.active = Some(write.active.clone().unwrap_or_else(|| NO_POD.to_owned()));
            service.term = Some(write.term);
            // The API server derives the selector key while it admits the write.
            service.selected.clone_from(&service.active);
        });
        let after = ServiceView::clone(service);
        let broken = (after.term < before).then_some("the term of a Service falls");
        (Outcome::Service(Some(after)), broken)
    }

    /// Changes a pod as kubelets and people may; a change of nothing is no write.
    pub(super) fn edit_pod(&mut self, pod: usize, edit: impl FnOnce(&mut PodView)) {
        let before = self.pods[pod].clone();
        self.pods[pod].change(edit);
        if self.pods[pod] != before {
            self.pods[pod].change(|pod| pod.version.0 += 1);
        }
    }

    /// Somebody asks for a switchover to any other pod. Returns whether that changes anything.
    pub(super) fn ask_for_switchover(&mut self) -> bool {
        let Some(lease) = &mut self.lease else {
            return false;
        };
        if lease.record.switchover.is_some() {
            return false;
        }
        self.lease_version.0 += 1;
        lease.change(|lease| {
            lease.version = self.lease_version;
            lease.record.switchover = Some("any".to_owned());
        });
        true
    }

    pub(super) fn delete_lease(&mut self) {
        self.lease = None;
        self.lease_version.0 += 1;
    }

    /// Whether a write that arrives now would be committed.
    pub(super) fn would_take(&self, action: &Action) -> bool {
        match action {
            Action::WriteLease(write) => write.base == self.lease().map(|lease| lease.version),
            Action::WritePod(write) => self
                .find(&write.uid)
                .is_some_and(|pod| self.pod(pod).version == write.base),
            Action::WriteService(write) => self
                .service()
                .is_some_and(|service| service.version == write.base),
            Action::ReadLease | Action::ReadPod { .. } | Action::ReadService { .. } => false,
        }
    }

    fn find(&self, uid: &str) -> Option<usize> {
        self.pods.iter().position(|pod| pod.uid == uid)
    }
}

fn failed(failure: Failure) -> (Outcome, Broken) {
    (Outcome::Failed(failure), None)
}

/// A pod whose app is ready and whose sidecar has not started yet. The first is the oldest.
fn new_pod(pod: usize) -> PodView {
    let identity = identity(pod);
    PodView {
        uid: identity.uid,
        name: identity.name,
        version: Version(1),
        role: RoleLabel::Other,
        term: None,
        started: false,
        ready: true,
        terminating: false,
        disrupted: false,
        priority: 0,
        revision: String::new(),
        created_s: pod as i64,
        owner: None,
    }
}
