//! What an elector may ask for, checked as it asks: the contract of a step, I3 as far as the elector
//! knows, and I5.

use super::clock::MS;
use super::coverage::Met;
use super::event::HostId;
use super::host::{Host, REQUESTS_MAX};
use super::log::Wanted;
use super::run::Sent;
use super::world::World;
use election::{
    Action, Elector, Handover, LeaseWrite, LeaseWriteKind, PodRole, PodWrite, Request, Role,
    Standing, Step,
};

impl World {
    /// What a step itself promises.
    pub(super) fn check_step(&mut self, id: HostId, step: &Step) {
        let host = &self.hosts[id];
        let now = host.clock.read(self.now_us);
        let standing = step.standing;
        let asked_again = host.elector.as_ref().map(|elector| elector.standing(now));
        let ends = |elector: &Elector| !elector.standing(standing.valid_until).role.leads();
        if standing.role.leads() != (now < standing.valid_until) {
            let message = format!(
                "u{id} is {:?} until {:?}",
                standing.role, standing.valid_until
            );
            self.violate("contract", message);
        } else if !host.elector.as_ref().is_none_or(ends) {
            let message = format!("u{id} leads beyond {:?}", standing.valid_until);
            self.violate("contract", message);
        } else if asked_again != Some(standing) {
            let message = format!("u{id} says {standing:?}, and asked again {asked_again:?}");
            self.violate("contract", message);
        }
    }

    /// How a step has changed where a pod stands. `told`: nothing but news can have done it.
    pub(super) fn check_transition(
        &mut self,
        id: HostId,
        before: &Standing,
        step: &Step,
        told: bool,
    ) {
        let after = step.standing;
        if before.role == Role::Leader && after.role == Role::Draining {
            self.run.coverage.met(Met::Draining);
        }
        if !before.role.leads() || after.role.leads() {
            return;
        }
        let host = &self.hosts[id];
        if host.clock.read(self.now_us) >= before.valid_until {
            return self.run.coverage.met(Met::Expired);
        }
        if step
            .request
            .iter()
            .any(|request| gives_away(&request.action))
        {
            return;
        }
        self.run.coverage.met(Met::Usurped);
        let holder = host.identity.to_string();
        let lease = self.api.lease().map(|lease| &lease.record);
        let still = lease.is_some_and(|record| {
            record.holder.as_ref() == Some(&holder) && record.term == before.term
        });
        if told && still && !self.goes_back() {
            let message = format!("u{id} gives up term {}, which is its own", before.term);
            self.violate("I6", message);
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
        let hurried = host.hurries(self.now_us);
        let on_its_way_out = host.told_to_end || host.knows_deletion();
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
        } else if hurried {
            format!("{uid} asks more than {REQUESTS_MAX} times in ten seconds")
        } else if on_its_way_out && claims(&request.action) {
            format!("{uid} asks to {wanted} though it is on its way out")
        } else if self.settings.handover == Handover::Exclusive
            && gives_away(&request.action)
            && (host.knows_deletion() && !host.told_to_end
                || host.told_to_end && host.believes_to_stay())
        {
            // SIGTERM alone does not say it either: the sidecar may have been restarted.
            format!("{uid} asks to {wanted} while its app is still stopping")
        } else if makes_active(&uid, &request.action) && !(leads && in_time) {
            format!("{uid} asks to {wanted}; leads: {leads}, deadline within validity: {in_time}")
        } else {
            return self.check_steady(id, request);
        };
        let rule = match () {
            () if hurried => "I5",
            () if gives_away(&request.action) => "I3",
            () => "contract",
        };
        self.violate(rule, message);
    }

    /// I5.
    fn check_steady(&mut self, id: HostId, request: &Request) {
        let now_us = self.now_us;
        let every_us = self.settings.lease_duration_ms / 3 * MS;
        let renews = matches!(
            request.action,
            Action::WriteLease(LeaseWrite {
                kind: LeaseWriteKind::Renew,
                ..
            })
        );
        let host = &mut self.hosts[id];
        let last = host
            .renewed
            .filter(|(_, incarnation)| *incarnation == host.incarnation);
        if renews {
            host.renewed = Some((now_us, host.incarnation));
        }
        let quiet_us = self.disturbed_until_us + self.settings.settle_ms() * MS;
        // A pod that drains acts when its own time runs out, without anything else happening.
        let left = |host: &Host| self.api.pod(host.uid()).is_some_and(|pod| !pod.grouped);
        let ends =
            |host: &Host| host.elector.is_some() && (host.life.deleted_us.is_some() || left(host));
        let draining = self.hosts.iter().any(ends);
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

/// Whether a request makes its sender the holder of the Lease.
fn claims(action: &Action) -> bool {
    matches!(
        action,
        Action::WriteLease(LeaseWrite {
            kind: LeaseWriteKind::Acquire | LeaseWriteKind::Confirm,
            ..
        })
    )
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
pub(super) fn request_name(uid: &str, action: &Action) -> &'static str {
    match action {
        Action::ReadLease => "read lease",
        Action::WriteLease(write) => match write.kind {
            LeaseWriteKind::Acquire => "acquire",
            LeaseWriteKind::Confirm => "confirm",
            LeaseWriteKind::Renew => "renew",
            LeaseWriteKind::Handover => "handover",
            LeaseWriteKind::Release => "release",
            LeaseWriteKind::Recreate => "recreate",
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
