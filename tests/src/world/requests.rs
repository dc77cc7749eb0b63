//! What an elector may ask for, checked as it asks: the contract of a step, I3 as far as the elector
//! knows, and I5.

use super::clock::MS;
use super::event::HostId;
use super::log::Wanted;
use super::run::Sent;
use super::world::World;
use election::{Action, Handover, LeaseWrite, LeaseWriteKind, PodRole, PodWrite, Request, Step};

impl World {
    /// What a step itself promises.
    pub(super) fn check_step(&mut self, id: HostId, step: &Step) {
        let host = &self.hosts[id];
        let now = host.clock.read(self.now_us);
        let standing = step.standing;
        let asked_again = host.elector.as_ref().map(|elector| elector.standing(now));
        if standing.role.leads() != (now < standing.valid_until) {
            let message = format!(
                "u{id} is {:?} until {:?}",
                standing.role, standing.valid_until
            );
            self.violate("contract", message);
        } else if asked_again != Some(standing) {
            let message = format!("u{id} says {standing:?}, and asked again {asked_again:?}");
            self.violate("contract", message);
        }
    }

    /// A request is about to be sent.
    pub(super) fn check_request(&mut self, id: HostId, request: &Request) {
        let host = &self.hosts[id];
        let now = host.clock.read(self.now_us);
        let in_ms = request.deadline.ms_since(now);
        let standing = host.standing;
        let leads = standing.is_some_and(|standing| standing.role.leads());
        let in_time = standing.is_some_and(|standing| request.deadline <= standing.valid_until);
        let uid = host.uid().to_owned();
        let what = request_name(&uid, &request.action);
        self.run.sent.push(Sent {
            at_us: self.now_us,
            pod: uid.clone(),
            what,
        });
        let host = &mut self.hosts[id];
        host.gave_away |= gives_away(&request.action);
        let wanted = Wanted(&request.action);
        let message = if host.in_flight.is_some() {
            format!("{uid} asks to {wanted} while another request is in flight")
        } else if host.last_request.is_some_and(|last| last >= request.id) {
            format!(
                "{uid} uses the number of an earlier request: {:?}",
                request.id
            )
        } else if in_ms == 0 || in_ms > self.settings.lease_duration_ms / 5 {
            format!("{uid} asks to {wanted} within {in_ms} ms")
        } else if self.settings.handover == Handover::Exclusive
            && gives_away(&request.action)
            && !host.told_to_end
            && host.knows_deletion()
        {
            format!("{uid} asks to {wanted} while its app is still stopping")
        } else if makes_active(&uid, &request.action) && !(leads && in_time) {
            format!("{uid} asks to {wanted}; leads: {leads}, deadline within validity: {in_time}")
        } else {
            return self.check_steady(id, request);
        };
        let rule = if gives_away(&request.action) {
            "I3"
        } else {
            "contract"
        };
        self.violate(rule, message);
    }

    /// I5.
    fn check_steady(&mut self, id: HostId, request: &Request) {
        let now_us = self.now_us;
        let every_us = self.settings.lease_duration_ms / 3 * MS;
        let host = &mut self.hosts[id];
        let renews = matches!(
            request.action,
            Action::WriteLease(LeaseWrite {
                kind: LeaseWriteKind::Renew,
                ..
            })
        );
        let last = host
            .renewed
            .filter(|(_, incarnation)| *incarnation == host.incarnation);
        if renews {
            host.renewed = Some((now_us, host.incarnation));
        }
        let quiet_us = self.disturbed_until_us + self.settings.settle_ms() * MS;
        // A pod that drains acts when its own time runs out, without anything else happening.
        let draining = self.api.pods().any(|pod| pod.view.terminating);
        if now_us < quiet_us + every_us || draining {
            return;
        }
        let uid = self.hosts[id].uid();
        if !renews {
            let message = format!(
                "{uid} asks to {} in a steady state",
                Wanted(&request.action)
            );
            self.violate("I5", message);
        } else if let Some((last_us, _)) = last
            && now_us - last_us < every_us / 100 * 97
        {
            let after_ms = (now_us - last_us) / MS;
            self.violate("I5", format!("{uid} renews again after {after_ms} ms"));
        }
    }
}

/// Whether a request makes a pod active, points a Service, or writes another pod: what leaders do.
fn makes_active(uid: &str, action: &Action) -> bool {
    match action {
        Action::WritePod(write) => {
            let active = write.role.is_some_and(|(role, _)| role == PodRole::Active);
            active || write.uid != uid
        }
        Action::WriteService(write) => write.active.is_some(),
        _ => false,
    }
}

fn gives_away(action: &Action) -> bool {
    matches!(
        action,
        Action::WriteLease(LeaseWrite {
            kind: LeaseWriteKind::Handover | LeaseWriteKind::Release,
            ..
        })
    )
}

/// What a request is called in the record of a run.
fn request_name(uid: &str, action: &Action) -> &'static str {
    match action {
        Action::ReadLease => "read lease",
        Action::WriteLease(write) => match write.kind {
            LeaseWriteKind::Acquire => "acquire",
            LeaseWriteKind::Confirm => "confirm",
            LeaseWriteKind::Renew => "renew",
            LeaseWriteKind::Handover => "handover",
            LeaseWriteKind::Release => "release",
        },
        Action::ReadPod { .. } => "read pod",
        Action::WritePod(PodWrite { role: None, .. }) => "own label",
        Action::WritePod(PodWrite {
            role: Some((PodRole::Active, _)),
            ..
        }) => "label self",
        Action::WritePod(write) if write.uid == uid => "unlabel self",
        Action::WritePod(_) => "mark passive",
        Action::ReadService { .. } => "read service",
        Action::WriteService(write) if write.active.is_some() => "point service",
        Action::WriteService(_) => "point service nowhere",
    }
}
