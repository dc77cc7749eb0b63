//! What people and other programs do to Services.

use super::admission::Term;
use super::clock::MS;
use super::coverage::Met;
use super::event::{Event, HostId};
use super::faults::{Operation, ServiceEdit, Target};
use super::watch::Kind;
use super::world::World;
use election::{Action, Input};

/// The Service that is edited.
const NAME: &str = "web-0";
/// A Service that is not annotated from the beginning.
const LATE: &str = "web-late";
/// How long a sidecar waits before it asks again for a right that it has not got, milliseconds.
const FORBIDDEN_MS: (u64, u64) = (1_500, 30_000);

impl World {
    /// Does one edit.
    pub(super) fn edit_service(&mut self, edit: ServiceEdit) {
        self.fault(self.now_us);
        let change = match edit {
            ServiceEdit::Strip => {
                self.mark("strip service", Met::ServiceEdited, None);
                self.api.edit_service(NAME, |service| {
                    service.by_hand = true;
                    service.view.active = None;
                    service.view.selected = None;
                    service.set_term(Term::Absent);
                })
            }
            ServiceEdit::Point(target) => {
                let Some(id) = self.find(target) else { return };
                self.mark("point service", Met::ServiceEdited, Some(id));
                return self.point_service(target);
            }
            ServiceEdit::Outbid(more) => {
                self.mark("outbid service", Met::ServiceOutbid, None);
                let now = self.api.lease().map_or(0, |lease| lease.record.term);
                self.api
                    .edit_service(NAME, |service| service.set_term(Term::Number(now + more)))
            }
            ServiceEdit::Fight { times: 0, .. } => None,
            ServiceEdit::Fight {
                target,
                every_ms,
                times,
            } => return self.fight(target, every_ms, times),
            ServiceEdit::Join => return self.join(),
            ServiceEdit::Leave { for_ms: 0 } => self.api.edit_service(NAME, |service| {
                // It comes back pointing wherever it pointed when it left.
                service.by_hand = true;
                service.annotated = true;
            }),
            ServiceEdit::Leave { for_ms } => {
                self.mark("service leaves", Met::ServiceLeft, None);
                let back_us = self.now_us + for_ms * MS;
                self.fault(back_us);
                let back = Operation::EditService(ServiceEdit::Leave { for_ms: 0 });
                self.queue.push(back_us, Event::Operation(back));
                self.api
                    .edit_service(NAME, |service| service.annotated = false)
            }
            ServiceEdit::Recreate { after_ms: 0 } => {
                if self.api.has_service(NAME) {
                    None
                } else {
                    self.api.create_service(NAME, true)
                }
            }
            ServiceEdit::Recreate { after_ms } => {
                self.mark("recreate service", Met::ServiceRecreated, None);
                let back_us = self.now_us + after_ms * MS;
                self.fault(back_us);
                let back = Operation::EditService(ServiceEdit::Recreate { after_ms: 0 });
                self.queue.push(back_us, Event::Operation(back));
                self.api.remove_service(NAME)
            }
        };
        self.publish(change);
    }

    /// The right to see and write Services is taken away, or an API server that has just started does
    /// not know of it yet.
    pub(super) fn forbid_services(&mut self, for_ms: u64) {
        self.mark("forbid services", Met::ServicesForbidden, None);
        let until_us = self.now_us + for_ms * MS;
        self.services_forbidden_until_us = self.services_forbidden_until_us.max(until_us);
        self.fault(until_us);
        for id in 0..self.hosts.len() {
            self.break_watch(id, Kind::Services, self.now_us);
        }
    }

    /// Whether there is no right to do this.
    pub(super) fn forbids(&self, action: &Action) -> bool {
        let service = matches!(action, Action::ReadService { .. } | Action::WriteService(_));
        service && self.now_us < self.services_forbidden_until_us
    }

    /// Whether there is no right to watch these; then the watch is told, and begins anew some time.
    pub(super) fn refuse_watch(&mut self, id: HostId, kind: Kind) -> bool {
        if kind != Kind::Services || self.now_us >= self.services_forbidden_until_us {
            return false;
        }
        self.queue_news(id, kind, Input::ServicesForbidden);
        let (least_ms, most_ms) = FORBIDDEN_MS;
        let again_us = self.now_us + self.random.between(least_ms, most_ms) * MS;
        self.fault(again_us);
        let epoch = self.hosts[id].stream(kind).epoch;
        self.queue.push(again_us, Event::Relist(id, kind, epoch));
        true
    }

    fn point_service(&mut self, target: Target) {
        let Some(id) = self.find(target) else { return };
        let uid = self.hosts[id].uid().to_owned();
        let change = self.api.edit_service(NAME, |service| {
            service.by_hand = true;
            service.view.active = Some(uid.clone());
            service.view.selected = Some(uid);
        });
        self.publish(change);
    }

    /// Another writer that wants a Service for itself.
    fn fight(&mut self, target: Target, every_ms: u64, times: u64) {
        self.mark("fight for service", Met::ServiceFought, None);
        self.point_service(target);
        let again_us = self.now_us + every_ms * MS;
        let again = ServiceEdit::Fight {
            target,
            every_ms,
            times: times - 1,
        };
        self.fault(again_us);
        let again = Event::Operation(Operation::EditService(again));
        self.queue.push(again_us, again);
    }

    /// A Service that selects all pods is annotated with the group.
    fn join(&mut self) {
        if self.api.has_service(LATE) {
            return;
        }
        self.mark("service joins", Met::ServiceJoined, None);
        let created = self.api.create_unannotated_service(LATE);
        self.publish(created);
        let joined = self
            .api
            .edit_service(LATE, |service| service.annotated = true);
        self.publish(joined);
    }
}
