//! What writes may do to the API server's objects, checked as they are committed: I2, I3 and I4.

use super::clock::{MS, SECOND};
use super::event::HostId;
use super::host;
use super::objects::{Change, Object, Pod, Service};
use super::world::World;
use common::contract::NO_POD;
use common::role::Giving;
use election::{
    Action, Handover, LeaseWriteKind, PodRole, PodWrite, Record, RoleLabel, ServiceWrite,
};

/// How long a successor must have been eligible for its group to be bound to it.
const ELIGIBLE_FOR_US: u64 = SECOND;

impl World {
    /// A request of an elector was committed: I2, I3, I4.
    pub(super) fn check_commit(&mut self, id: HostId, action: &Action, change: &Change) {
        match (action, &change.object) {
            (Action::WriteLease(write), Object::Lease { before, .. }) => {
                let before = before.as_ref().map(|lease| &lease.record);
                let term = before.map_or(0, |record| record.term);
                let acquires = write.kind == LeaseWriteKind::Acquire;
                if before.is_none_or(Record::is_unheld) {
                    let shown = self.term_shown(id);
                    self.memory.forget_terms_above(shown);
                    if shown == 0 && !self.any_active(id) {
                        // People have erased whatever told of a leader: nobody can know of it.
                        self.begin_anew(self.now_us);
                    }
                }
                if let Some(before) = before.filter(|record| record.paused) {
                    self.check_paused(id, write.kind, before.holder.as_deref());
                }
                if write.term < term || acquires && before.is_some() && write.term == term {
                    let kind = write.kind;
                    let message = format!("u{id}: {kind:?} in term {} after {term}", write.term);
                    self.violate("I4", message);
                }
                if matches!(
                    write.kind,
                    LeaseWriteKind::Handover | LeaseWriteKind::Release
                ) {
                    self.check_given_away(id, write.kind);
                }
            }
            (
                Action::WritePod(write),
                Object::Pod {
                    before: Some(before),
                    ..
                },
            ) => {
                self.check_pod_write(id, write, before);
            }
            (
                Action::WriteService(write),
                Object::Service {
                    before: Some(before),
                    ..
                },
            ) => {
                self.check_service_write(id, write, before);
            }
            _ => {}
        }
    }

    /// A group that is paused keeps its holder, whatever becomes of it.
    fn check_paused(&mut self, id: HostId, kind: LeaseWriteKind, holder: Option<&str>) {
        let own = holder == Some(self.hosts[id].identity.to_string().as_str());
        let takes = matches!(kind, LeaseWriteKind::Acquire | LeaseWriteKind::Confirm) && !own;
        let gives = matches!(kind, LeaseWriteKind::Handover | LeaseWriteKind::Release);
        if takes || gives {
            self.violate("I6", format!("u{id}: {kind:?} while the group is paused"));
        }
    }

    /// Whether anything that may be seen names an active pod.
    fn any_active(&self, id: HostId) -> bool {
        let pod = |uid: Option<&str>| uid.is_some_and(|uid| uid != NO_POD);
        let mut services = self.services_seen_by(id);
        self.api.pods().any(is_active)
            || services.any(|service| pod(service.view.active.as_deref()))
    }

    /// The highest term that is left on any pod or Service: once the Lease is deleted, nothing else
    /// says which terms there have been.
    fn term_shown(&self, id: HostId) -> u64 {
        let pods = self.api.pods().filter_map(|pod| pod.shown()?.term);
        let services = self
            .services_seen_by(id)
            .filter_map(|service| service.view.term);
        pods.chain(services).max().unwrap_or(0)
    }

    /// The Services of the group, unless they are out of this pod's hands.
    fn services_seen_by(&self, id: HostId) -> impl Iterator<Item = &Service> {
        let barred = self.hosts[id].barred_at(self.now_us);
        self.api.services().filter(move |_| !barred)
    }

    /// I3.
    fn check_given_away(&mut self, id: HostId, kind: LeaseWriteKind) {
        if self.goes_back() {
            return;
        }
        let exclusive = self.settings.handover == Handover::Exclusive;
        let host = &self.hosts[id];
        let uid = host.uid();
        let labelled = self.api.pod(uid).is_some_and(|pod| {
            // Outside of the group it may have been seen too late.
            let reached = pod.grouped || !host.told_to_end;
            pod.view.role == RoleLabel::Active && !pod.by_hand && reached
        });
        // A write that was given up can come at any time after all that can be done against it. The
        // next leader's own write of the Service is what makes it fail.
        let routed = self.routed_services().any(|service| {
            points_at(service, uid) && !service.late && !host.barred_at(self.now_us)
        });
        // By custom, the next leader takes the label off.
        let keeps = self.settings.customs.giving == Giving::Freed;
        if labelled && !keeps && (exclusive || kind == LeaseWriteKind::Release) {
            self.violate(
                "I3",
                format!("{kind:?} by u{id} that still carries the active label"),
            );
        } else if exclusive && routed {
            self.violate(
                "I3",
                format!("{kind:?} by u{id} that a Service still points at"),
            );
        }
    }

    fn check_pod_write(&mut self, id: HostId, write: &PodWrite, before: &Pod) {
        let Some((role, term)) = write.role else {
            return;
        };
        if before.view.term.is_some_and(|before| term < before) {
            let message = format!("u{id} writes {} in term {term}: {before:?}", write.uid);
            self.violate("I4", message);
        }
        if role == PodRole::Active {
            self.check_alone(id, "labels itself active");
            if write.uid != self.hosts[id].uid() {
                self.violate("I2", format!("u{id} makes {} active", write.uid));
            }
        }
    }

    fn check_service_write(&mut self, id: HostId, write: &ServiceWrite, before: &Service) {
        let name = &write.name;
        if before.view.term.is_some_and(|before| write.term < before) {
            let message = format!("u{id} writes {name} in term {}: {before:?}", write.term);
            self.violate("I4", message);
        }
        if !before.view.has_selector {
            self.violate("I2", format!("u{id} writes {name}, which has no selector"));
        }
        if let Some(active) = &write.active {
            // Where nothing derives the selector key, a write of the annotations moves no traffic.
            let moved = self.api.services().any(|service| {
                service.view.name == *name && service.view.selected.as_ref() == Some(active)
            });
            if moved {
                self.check_alone(id, "points a Service at itself");
            }
            if active != self.hosts[id].uid() {
                self.violate("I2", format!("u{id} points {name} at {active}"));
            }
        }
    }

    /// In `exclusive`, nobody else is active while a pod makes itself so.
    fn check_alone(&mut self, id: HostId, what: &str) {
        if self.settings.handover != Handover::Exclusive || self.goes_back() {
            return;
        }
        let uid = self.hosts[id].uid();
        let others = |pod: &&Pod| pod.view.uid != uid && !pod.by_hand && is_active(pod);
        let other = self.api.pods().find(others).map(Pod::uid);
        let elsewhere = |service: &&Service| {
            let selected = service.view.selected.as_deref();
            let host = &self.hosts[id];
            let known = host.answers_for(&service.view.name) && !host.barred_at(self.now_us);
            known && selected.is_some_and(|to| to != uid && self.api.pod(to).is_some())
        };
        let service = self
            .routed_services()
            .find(elsewhere)
            .map(|s| s.view.name.clone());
        if let Some(other) = other {
            self.violate("I2", format!("u{id} {what} while {other} is active"));
        } else if let Some(service) = service {
            self.violate(
                "I2",
                format!("u{id} {what} while {service} points at another pod"),
            );
        }
    }

    /// Annotated Services with a selector, as electors have left them.
    fn routed_services(&self) -> impl Iterator<Item = &Service> {
        self.api
            .services()
            .filter(|service| service.view.has_selector && !service.by_hand)
    }

    /// Something was committed, by whomever: the timelines, and I2 of `seamless`.
    pub(super) fn look_at(&mut self, change: &Change) {
        match &change.object {
            Object::Lease { .. } => {}
            Object::Pod { before, after } => {
                let pod = after.as_ref().or(before.as_ref());
                if let Some(id) = pod.and_then(|pod| host::number(&pod.view.uid)) {
                    self.note_object(id);
                }
                self.note_active();
            }
            Object::Service { after, .. } => {
                let selected = after
                    .as_ref()
                    .and_then(|service| service.view.selected.clone());
                if after
                    .as_ref()
                    .is_some_and(|service| service.view.name == "web-0")
                    && self.run.routed.last().map(|(_, last)| last) != Some(&selected)
                {
                    self.run.routed.push((self.now_us, selected));
                }
            }
        }
        self.check_seamless_routes(change);
    }

    /// Which pods carry the active label now.
    pub(super) fn note_active(&mut self) {
        let active: Vec<String> = self
            .api
            .pods()
            .filter(|pod| is_active(pod))
            .map(Pod::uid)
            .collect();
        let last = self.run.active.last().map(|(_, pods)| pods);
        if last != Some(&active) {
            let had = last.is_some_and(|pods| !pods.is_empty());
            self.check_seamless_labels(had, &active);
            self.run.active.push((self.now_us, active));
        }
    }

    /// Whether I2 of `seamless` binds now: no fault for long, and a successor.
    fn bound_to_seamless(&self) -> bool {
        let calm_us = self.faulty_until_us + self.settings.settle_ms() * MS;
        let since_us = self.now_us.saturating_sub(ELIGIBLE_FOR_US);
        let ready = |host: &host::Host| host.eligible_since_us.is_some_and(|us| us <= since_us);
        self.settings.handover == Handover::Seamless
            && self.now_us >= calm_us
            && self.hosts.iter().any(ready)
    }

    fn check_seamless_labels(&mut self, had: bool, active: &[String]) {
        if !self.bound_to_seamless() {
            return;
        }
        let strips = self.settings.customs.giving == Giving::StrippedAndFreed;
        if active.len() > if strips { 1 } else { 2 } {
            self.violate("I2", format!("{active:?} carry the active label"));
        } else if had && active.is_empty() && !strips {
            self.violate("I2", "no pod carries the active label any more".to_owned());
        }
    }

    fn check_seamless_routes(&mut self, change: &Change) {
        let gone = match &change.object {
            Object::Pod {
                before: Some(before),
                after: None,
            } => {
                let uid = &before.view.uid;
                self.routed_services()
                    .any(|service| points_at(service, uid))
            }
            Object::Service {
                before: Some(before),
                after: Some(after),
            } => {
                let before = before.view.selected.as_deref();
                let from_pod = before.is_some_and(|uid| self.api.pod(uid).is_some());
                let selected = after.view.selected.as_deref();
                let to_pod = selected.is_some_and(|uid| self.api.pod(uid).is_some());
                after.annotated && from_pod && !to_pod
            }
            _ => false,
        };
        if gone && self.bound_to_seamless() {
            self.violate(
                "I2",
                "a Service points at no pod, or at one that is gone".to_owned(),
            );
        }
    }
}

/// Whether it is an active pod of the group.
fn is_active(pod: &Pod) -> bool {
    pod.grouped && pod.view.role == RoleLabel::Active
}

fn points_at(service: &Service, uid: &str) -> bool {
    service.view.selected.as_deref() == Some(uid)
}
