//! The model of the API server: one Lease, the pods and the Services of one group.
//!
//! Writes are linearizable, each one commits in an instant, and preconditions hold as on the real
//! one. Absent from it: time, chance, and who can reach it; see [`super::network`].

use super::admission::{self, Rules, Term};
use super::objects::{Change, Object, Pod, Service};
use common::contract::NO_POD;
use common::ids::Identity;
use election::{
    Action, Failure, LeaseView, LeaseWrite, LeaseWriteKind, Outcome, PodRole, PodView, PodWrite,
    RoleLabel, ServiceView, ServiceWrite, Version,
};
use std::collections::BTreeMap;

/// From one version to the next. See [`Api::restore`]; a run has fewer restores than this.
const STRIDE: u64 = 16;

/// The objects of one group.
#[derive(Debug, Clone)]
pub(super) struct Api {
    version: Version,
    lease: Option<LeaseView>,
    pods: BTreeMap<String, Pod>,
    services: BTreeMap<String, Service>,
    rules: Rules,
}

/// Who asks, and what its clock on the wall says.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// The pod.
    pub identity: Identity,
    /// What it writes as renewTime, microseconds.
    pub renew_time_us: i64,
}

/// The end of a request at the API server.
pub(super) type Answer = (Outcome, Option<Change>);

impl Api {
    /// An empty namespace.
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            version: Version(100),
            lease: None,
            pods: BTreeMap::new(),
            services: BTreeMap::new(),
            rules,
        }
    }

    /// The version of the last write.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Goes back to what `backup` holds. No version is given to two states of one object: those
    /// of this life and of the next differ by one, and grow by [`STRIDE`]. In a real cluster the
    /// objects of other groups see to that.
    pub(super) fn restore(&mut self, backup: &Self, bumped: bool) {
        let version = if bumped {
            self.version.0 + 1_000 * STRIDE
        } else {
            backup.version.0
        };
        *self = backup.clone();
        self.version = Version(version + 1);
    }

    /// The Lease.
    pub(super) fn lease(&self) -> Option<&LeaseView> {
        self.lease.as_ref()
    }

    /// The pods, by name.
    pub(super) fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values()
    }

    /// The pod with this uid.
    pub(super) fn pod(&self, uid: &str) -> Option<&Pod> {
        self.pods.values().find(|pod| pod.view.uid == uid)
    }

    /// The Services that carry the group annotation, by name.
    pub(super) fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values().filter(|service| service.annotated)
    }

    /// Whether there is a Service of this name, annotated or not.
    pub(super) fn has_service(&self, name: &str) -> bool {
        self.services.contains_key(name)
    }

    /// Answers a request of a sidecar.
    pub(super) fn answer(&mut self, caller: &Caller, action: &Action) -> Answer {
        match action {
            Action::ReadLease => {
                let lease = self.lease.clone();
                (lease.map_or(Outcome::NoLease, Outcome::Lease), None)
            }
            Action::WriteLease(write) => self.write_lease(caller, write),
            Action::ReadPod { name, uid } => match self.pods.get(name) {
                Some(pod) if pod.view.uid == *uid => (pod.answer(), None),
                _ => failed(Failure::NotFound),
            },
            Action::WritePod(write) => self.write_pod(caller, write),
            Action::ReadService { name } => match self.services.get(name) {
                Some(service) => (Outcome::Service(service.shown()), None),
                None => failed(Failure::NotFound),
            },
            Action::WriteService(write) => self.write_service(caller, write),
        }
    }

    fn write_lease(&mut self, caller: &Caller, write: &LeaseWrite) -> Answer {
        let before = self.lease.clone();
        // A PUT carries the uid as well: without it, a PUT to a deleted Lease would create one.
        if write.base != before.as_ref().map(|lease| lease.version) {
            return failed(Failure::Conflict);
        }
        let mut record = before
            .as_ref()
            .map(|lease| lease.record.clone())
            .unwrap_or_default();
        record.holder = match write.kind {
            LeaseWriteKind::Recreate => Some(NO_POD.to_owned()),
            _ => write.holder.as_ref().map(ToString::to_string),
        };
        record.term = write.term;
        record.duration_ms = write.duration_ms;
        record.renew_time_us = caller.renew_time_us;
        record.owner.clone_from(&write.owner);
        if write.answer.is_some() {
            record.switchover = None;
        }
        let old = before.as_ref().map(|lease| &lease.record);
        if self.rules.fencing && !admission::lease_passes(&caller.identity, old, &record) {
            return failed(Failure::Refused);
        }
        let after = LeaseView {
            version: self.next_version(),
            record,
        };
        self.lease = Some(after.clone());
        let object = Object::Lease {
            before,
            after: Some(after.clone()),
        };
        (
            Outcome::Lease(after),
            Some(Change {
                version: self.version,
                object,
            }),
        )
    }

    fn write_pod(&mut self, caller: &Caller, write: &PodWrite) -> Answer {
        let Some(before) = self.pods.get(&write.name).cloned() else {
            return failed(Failure::NotFound);
        };
        if before.view.uid != write.uid || before.view.version != write.base {
            return failed(Failure::Conflict);
        }
        let mut after = before.clone();
        if let Some((role, term)) = write.role {
            after.view.role = match role {
                PodRole::Active => RoleLabel::Active,
                PodRole::Passive => RoleLabel::Passive,
            };
            after.set_term(Term::Number(term));
            after.by_hand = false;
        }
        after.view.started |= write.own_label;
        if self.rules.fencing && !admission::pod_passes(&caller.identity.uid, &before, &after) {
            return failed(Failure::Refused);
        }
        let change = self.put_pod(Some(before), after.clone());
        let answer = self.pods.get(&write.name).unwrap_or(&after).answer();
        (answer, change)
    }

    fn write_service(&mut self, caller: &Caller, write: &ServiceWrite) -> Answer {
        let Some(before) = self.services.get(&write.name).cloned() else {
            return failed(Failure::NotFound);
        };
        if before.view.version != write.base {
            return failed(Failure::Conflict);
        }
        let mut after = before.clone();
        after.view.active = Some(write.active.clone().unwrap_or_else(|| NO_POD.to_owned()));
        after.set_term(Term::Number(write.term));
        after.late = false;
        if write.with_selector && after.view.has_selector {
            after.view.selected.clone_from(&after.view.active);
        }
        self.route(Some(&before), &mut after);
        // Where nothing derives the selector, that of a person stays until it is written as well.
        after.by_hand &= after.view.selected != after.view.active;
        if self.rules.fencing && !admission::service_passes(&caller.identity.uid, &before, &after) {
            return failed(Failure::Refused);
        }
        let change = self.put_service(Some(before), after);
        let shown = self.services.get(&write.name).and_then(Service::shown);
        (Outcome::Service(shown), change)
    }

    /// Changes the Lease as a person may; `None` if there is none.
    pub(super) fn edit_lease(
        &mut self,
        edit: impl FnOnce(&mut election::Record),
    ) -> Option<Change> {
        let before = self.lease.clone()?;
        let mut record = before.record.clone();
        edit(&mut record);
        let after = LeaseView {
            version: self.next_version(),
            record,
        };
        self.lease = Some(after.clone());
        let object = Object::Lease {
            before: Some(before),
            after: Some(after),
        };
        Some(Change {
            version: self.version,
            object,
        })
    }

    /// Deletes the Lease; `None` if there is none.
    pub(super) fn delete_lease(&mut self) -> Option<Change> {
        let before = self.lease.take()?;
        let object = Object::Lease {
            before: Some(before),
            after: None,
        };
        Some(Change {
            version: self.next_version(),
            object,
        })
    }

    /// Creates a pod, which is not there yet.
    pub(super) fn create_pod(&mut self, view: PodView) -> Option<Change> {
        self.put_pod(
            None,
            Pod {
                view,
                term: Term::Absent,
                by_hand: false,
                grouped: true,
            },
        )
    }

    /// Changes a pod as kubelets, controllers and people may; `None` if nothing changed.
    pub(super) fn edit_pod(&mut self, uid: &str, edit: impl FnOnce(&mut Pod)) -> Option<Change> {
        let before = self.pod(uid)?.clone();
        let mut after = before.clone();
        edit(&mut after);
        self.put_pod(Some(before), after)
    }

    /// Writes a pod without changing what electors see of it, as kubelets do all the time.
    pub(super) fn touch_pod(&mut self, uid: &str) -> Option<Change> {
        let before = self.pod(uid)?.clone();
        let after = before.clone();
        Some(self.store_pod(Some(before), after))
    }

    /// Removes a pod; `None` if there is none of this uid.
    pub(super) fn remove_pod(&mut self, uid: &str) -> Option<Change> {
        let name = self.pod(uid)?.view.name.clone();
        let before = self.pods.remove(&name);
        Some(Change {
            version: self.next_version(),
            object: Object::Pod {
                before,
                after: None,
            },
        })
    }

    /// Creates a Service that nothing points anywhere yet.
    pub(super) fn create_service(&mut self, name: &str, has_selector: bool) -> Option<Change> {
        self.create_any_service(name, has_selector, true)
    }

    /// Creates a Service with a selector that has nothing to do with the group yet.
    pub(super) fn create_unannotated_service(&mut self, name: &str) -> Option<Change> {
        self.create_any_service(name, true, false)
    }

    fn create_any_service(
        &mut self,
        name: &str,
        has_selector: bool,
        annotated: bool,
    ) -> Option<Change> {
        let view = ServiceView {
            name: name.to_owned(),
            version: self.version,
            active: None,
            term: None,
            selected: None,
            has_selector,
        };
        let mut service = Service {
            view,
            term: Term::Absent,
            annotated,
            by_hand: false,
            late: false,
        };
        self.route(None, &mut service);
        self.put_service(None, service)
    }

    /// Changes a Service as people may, admission rule included; `None` if nothing changed.
    pub(super) fn edit_service(
        &mut self,
        name: &str,
        edit: impl FnOnce(&mut Service),
    ) -> Option<Change> {
        let before = self.services.get(name)?.clone();
        let mut after = before.clone();
        edit(&mut after);
        self.route(Some(&before), &mut after);
        self.put_service(Some(before), after)
    }

    /// Notes that a write came after its sender had given it up.
    pub(super) fn note_late(&mut self, action: &Action) {
        if let Action::WriteService(write) = action
            && let Some(service) = self.services.get_mut(&write.name)
        {
            service.late = true;
        }
    }

    /// Writes a Service without changing what electors see of it.
    pub(super) fn touch_service(&mut self, name: &str) -> Option<Change> {
        let before = self.services.get(name)?.clone();
        let after = before.clone();
        Some(self.store_service(Some(before), after))
    }

    /// Removes a Service; `None` if there is none of this name.
    pub(super) fn remove_service(&mut self, name: &str) -> Option<Change> {
        let before = self.services.remove(name)?;
        let object = Object::Service {
            before: Some(before),
            after: None,
        };
        Some(Change {
            version: self.next_version(),
            object,
        })
    }

    /// The rule that derives the selector key while a write is admitted, where it is installed.
    /// Annotations that an applier leaves out are kept while the Service stays in the group.
    fn route(&self, before: Option<&Service>, after: &mut Service) {
        if !self.rules.route || !after.view.has_selector {
            return;
        }
        if !after.annotated {
            after.view.selected = None;
            return;
        }
        let same = before.filter(|before| before.annotated);
        if before.is_some() && same.is_none() {
            after.view.active = None;
        }
        if let Some(before) = same {
            if after.view.active.is_none() {
                after.view.active.clone_from(&before.view.active);
            }
            if after.term == Term::Absent {
                after.set_term(before.term);
            }
        }
        let active = after.view.active.get_or_insert_with(|| NO_POD.to_owned());
        after.view.selected = Some(active.clone());
    }

    fn put_pod(&mut self, before: Option<Pod>, after: Pod) -> Option<Change> {
        // A write that changes nothing is no write: the version stays.
        (before.as_ref() != Some(&after)).then(|| self.store_pod(before, after))
    }

    fn store_pod(&mut self, before: Option<Pod>, mut after: Pod) -> Change {
        after.view.version = self.next_version();
        self.pods.insert(after.view.name.clone(), after.clone());
        Change {
            version: self.version,
            object: Object::Pod {
                before,
                after: Some(after),
            },
        }
    }

    fn put_service(&mut self, before: Option<Service>, after: Service) -> Option<Change> {
        (before.as_ref() != Some(&after)).then(|| self.store_service(before, after))
    }

    fn store_service(&mut self, before: Option<Service>, mut after: Service) -> Change {
        after.view.version = self.next_version();
        self.services.insert(after.view.name.clone(), after.clone());
        Change {
            version: self.version,
            object: Object::Service {
                before,
                after: Some(after),
            },
        }
    }

    fn next_version(&mut self) -> Version {
        self.version.0 += STRIDE;
        self.version
    }
}

fn failed(failure: Failure) -> Answer {
    (Outcome::Failed(failure), None)
}
