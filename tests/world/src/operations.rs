//! Doing what a script says.

use super::admission::Term;
use super::clock::{MS, SECOND};
use super::coverage::Met;
use super::event::{Event, HostId, News, Stage};
use super::faults::{Operation, Target};
use super::run::Mark;
use super::watch::Kind;
use super::world::World;
use common::ids::Identity;

/// How long a node may be silent before its pods count as not ready.
pub(super) const NODE_LOST_US: u64 = 40 * SECOND;

impl World {
    /// Does one operation.
    pub(super) fn operate(&mut self, operation: &Operation) {
        if self.outage_until_us > self.now_us {
            // Nobody reaches the API server, and accidents wait for better times.
            let at_us = self.outage_until_us + self.random.between(10, 2_000) * MS;
            self.disturb(at_us);
            self.queue.push(at_us, Event::Operation(operation.clone()));
            return;
        }
        match operation {
            Operation::Rollout => {
                self.mark("rollout", Met::Rollout, None);
                self.disturb(self.now_us);
                self.roll_out();
            }
            Operation::Outage { for_ms } => {
                self.mark("outage", Met::Outage, None);
                self.outage(*for_ms);
            }
            Operation::Foreigner { for_ms, releases } => self.foreigner_starts(*for_ms, *releases),
            Operation::Backup => self.back_up(),
            Operation::Restore { down_ms, bumped } => self.restore(*down_ms, *bumped),
            Operation::Partition { which, for_ms } => self.partition(*which, *for_ms),
            Operation::LoseNext { kind, done } => {
                self.fault(self.now_us);
                self.lose_next = Some((*kind, *done));
            }
            Operation::Trip {
                what,
                mishap,
                times,
            } => {
                self.fault(self.now_us);
                self.trip = Some((what, *mishap, *times));
            }
            Operation::DeleteLease => self.delete_lease(),
            Operation::Pause { for_ms } => self.pause(*for_ms),
            Operation::Switchover(target) => self.switchover(*target),
            Operation::EditService(edit) => self.edit_service(*edit),
            Operation::ForbidServices { for_ms } => self.forbid_services(*for_ms),
            Operation::Weather {
                target,
                weather,
                for_ms,
            } => {
                let target = target.map(|target| self.find(target));
                if target != Some(None) {
                    self.note_mark("weather", target.flatten());
                    let until_us = self.now_us + for_ms * MS;
                    self.fault(until_us);
                    self.weather
                        .retain(|(until_us, ..)| *until_us > self.now_us);
                    self.weather.push((until_us, target.flatten(), *weather));
                }
            }
            Operation::Delete(target)
            | Operation::ForceDelete(target)
            | Operation::CrashNode(target)
            | Operation::CrashSidecar { target, .. }
            | Operation::RestartSidecar { target, .. }
            | Operation::Unready { target, .. }
            | Operation::Disrupt { target, .. }
            | Operation::Freeze { target, .. }
            | Operation::Cut { target, .. }
            | Operation::Deafen { target, .. }
            | Operation::StepWallClock { target, .. }
            | Operation::BreakWatch { target, .. }
            | Operation::EditRole { target, .. }
            | Operation::EditTerm { target, .. }
            | Operation::LeaveGroup { target, .. }
            | Operation::EditOwnLabel(target) => {
                if let Some(id) = self.find(*target) {
                    self.operate_on(id, operation);
                }
            }
        }
    }

    fn operate_on(&mut self, id: HostId, operation: &Operation) {
        let now_us = self.now_us;
        match operation {
            Operation::Delete(_) => {
                let uid = self.hosts[id].uid().to_owned();
                if self.holder().is_some_and(|holder| holder.uid == uid) {
                    self.run.coverage.met(Met::LeaderDeleted);
                }
                self.mark("delete", Met::Deleted, Some(id));
                self.delete_pod(id);
            }
            Operation::ForceDelete(_) => self.force_delete(id),
            Operation::CrashNode(_) => {
                self.mark("crash node", Met::NodeCrash, Some(id));
                self.fault(now_us + NODE_LOST_US);
                self.hosts[id].life.node_dead = true;
                self.hosts[id].life.over = true;
                self.hosts[id].stop_process();
                self.queue
                    .push(now_us + NODE_LOST_US, Event::Kubelet(id, Stage::NodeLost));
            }
            Operation::CrashSidecar { down_ms, .. } => {
                self.mark("crash sidecar", Met::SidecarCrash, Some(id));
                self.restart(id, *down_ms);
            }
            Operation::RestartSidecar { down_ms, .. } => self.restart_by_signal(id, *down_ms),
            Operation::Unready { for_ms, .. } => {
                self.mark("unready", Met::Unready, Some(id));
                let until_us = now_us + for_ms * MS;
                let life = &mut self.hosts[id].life;
                life.unready_until_us = life.unready_until_us.max(until_us);
                self.queue.push(until_us, Event::Kubelet(id, Stage::Ready));
                self.set_ready(id, false);
            }
            Operation::Disrupt { for_ms, .. } => self.disrupt(id, *for_ms),
            Operation::Freeze { for_ms, .. } => {
                self.mark("freeze", Met::Frozen, Some(id));
                let until_us = now_us + for_ms * MS;
                self.fault(until_us + SECOND);
                let host = &mut self.hosts[id];
                host.frozen_until_us = host.frozen_until_us.max(until_us);
            }
            Operation::Cut { for_ms, .. } => {
                self.mark("cut", Met::Cut, Some(id));
                self.cut(id, now_us + for_ms * MS);
            }
            Operation::Deafen { for_ms, .. } => self.deafen(id, now_us + for_ms * MS),
            Operation::StepWallClock { by_s, .. } => {
                // No fault: nothing that is decided may depend on it.
                self.mark("step wall clock", Met::WallClockStepped, Some(id));
                self.hosts[id].wall_skew_us += by_s * SECOND as i64;
            }
            Operation::BreakWatch { kind, for_ms, .. } => {
                self.mark("break watch", Met::BrokenWatch, Some(id));
                self.break_watch(id, *kind, now_us + for_ms * MS);
            }
            Operation::EditRole { role, .. } => {
                self.mark("edit role", Met::RoleEdited, Some(id));
                self.edit_pod(id, |pod| (pod.view.role, pod.by_hand) = (*role, true));
            }
            Operation::EditTerm { term, .. } => {
                self.mark("edit term", Met::TermEdited, Some(id));
                let now = self.api.lease().map_or(0, |lease| lease.record.term);
                let term = match term {
                    Term::Number(more) => Term::Number(now + more),
                    other => *other,
                };
                self.edit_pod(id, |pod| pod.set_term(term));
            }
            Operation::LeaveGroup { for_ms, .. } => {
                self.mark("leave group", Met::PodLeft, Some(id));
                self.regroup(id, false);
                if *for_ms > 0 {
                    let back_us = now_us + for_ms * MS;
                    self.fault(back_us);
                    self.queue.push(back_us, Event::Kubelet(id, Stage::Regroup));
                }
            }
            Operation::EditOwnLabel(_) => {
                self.mark("edit own label", Met::OwnLabelEdited, Some(id));
                self.edit_pod(id, |pod| pod.view.started = false);
            }
            _ => {}
        }
    }

    pub(super) fn mark(&mut self, what: &'static str, met: Met, id: Option<HostId>) {
        self.run.coverage.met(met);
        self.note_mark(what, id);
    }

    fn note_mark(&mut self, what: &'static str, id: Option<HostId>) {
        let pod = id.map(|id| self.hosts[id].uid().to_owned());
        let name = pod.as_deref().unwrap_or("the group");
        self.log
            .line(self.now_us, format_args!("=== {what}: {name}"));
        self.run.marks.push(Mark {
            at_us: self.now_us,
            what,
            pod,
        });
    }

    /// Someone takes a pod out of the group, or puts it back.
    pub(super) fn regroup(&mut self, id: HostId, grouped: bool) {
        self.hosts[id].ungrouped = !grouped;
        self.edit_pod(id, |pod| {
            pod.grouped = grouped;
            // Its role is what it was when it left.
            pod.by_hand |= grouped;
        });
        self.note_active();
    }

    fn edit_pod(&mut self, id: HostId, edit: impl FnOnce(&mut super::objects::Pod)) {
        self.fault(self.now_us);
        let uid = self.hosts[id].uid().to_owned();
        let change = self.api.edit_pod(&uid, edit);
        self.publish(change);
    }

    fn holder(&self) -> Option<Identity> {
        Identity::parse(self.api.lease()?.record.holder.as_deref()?)
    }

    /// The pod that is meant now; only those are whose processes have not ended for good.
    pub(super) fn find(&self, target: Target) -> Option<HostId> {
        let holder = self.holder();
        let holds = |id: &HostId| holder.as_ref() == Some(&self.hosts[*id].identity);
        let mut living = (0..self.hosts.len()).filter(|id| !self.hosts[*id].life.over);
        match target {
            Target::Leader => living.find(holds),
            Target::Standby(number) => {
                let others: Vec<HostId> = living.filter(|id| !holds(id)).collect();
                let count = others.len() as u64;
                (count > 0).then(|| others[(number % count) as usize])
            }
        }
    }

    fn force_delete(&mut self, id: HostId) {
        if self.hosts[id].life.object_gone {
            return;
        }
        self.mark("force delete", Met::ForceDeleted, Some(id));
        let life = &mut self.hosts[id].life;
        life.object_gone = true;
        let stopping = life.deleted_us.replace(self.now_us).is_some();
        let seen_us = self.now_us + self.random.between(50, 3_000) * MS;
        self.fault(seen_us);
        let uid = self.hosts[id].uid().to_owned();
        let change = self.api.remove_pod(&uid);
        self.publish(change);
        self.queue.push(self.now_us + 50 * MS, Event::Controller);
        if !stopping {
            // The kubelet stops what it no longer finds.
            let grace_us = self.settings.grace_ms * MS;
            self.hosts[id].life.grace_end_us = seen_us + grace_us;
            self.queue.push(seen_us, Event::Kubelet(id, Stage::AppExit));
            self.queue
                .push(seen_us + grace_us, Event::Kubelet(id, Stage::GraceEnd));
        }
    }

    /// The process of a sidecar dies, and is started again unless the pod is about to end.
    fn restart(&mut self, id: HostId, down_ms: u64) {
        if self.hosts[id].elector.is_none() {
            return;
        }
        let back_us = self.now_us + down_ms * MS;
        self.fault(back_us);
        if self.hosts[id].life.terminated {
            self.process_ended(id);
            return;
        }
        self.hosts[id].stop_process();
        self.queue.push(back_us, Event::Kubelet(id, Stage::Start));
    }

    /// SIGTERM without deletion; the process ends by itself when it has finished, or is killed.
    fn restart_by_signal(&mut self, id: HostId, down_ms: u64) {
        let host = &self.hosts[id];
        if host.elector.is_none() || host.life.terminated {
            return;
        }
        let incarnation = host.incarnation;
        let terminate = Event::Deliver(id, incarnation, News::Terminate);
        self.queue.push(self.now_us, terminate);
        self.mark("restart sidecar", Met::SidecarRestart, Some(id));
        let kill_us = self.now_us + down_ms * MS;
        self.fault(kill_us);
        self.queue.push(
            kill_us,
            Event::Kubelet(id, Stage::KillIncarnation(incarnation)),
        );
    }

    fn disrupt(&mut self, id: HostId, for_ms: u64) {
        self.disturb(self.now_us);
        let uid = self.hosts[id].uid().to_owned();
        self.mark("disrupt", Met::Disrupted, Some(id));
        let change = self.api.edit_pod(&uid, |pod| pod.view.disrupted = true);
        self.publish(change);
        let over_us = self.now_us + for_ms * MS;
        self.queue
            .push(over_us, Event::Kubelet(id, Stage::Uncordon));
    }

    fn cut(&mut self, id: HostId, until_us: u64) {
        self.fault(until_us + 3 * SECOND);
        let host = &mut self.hosts[id];
        host.cut_until_us = host.cut_until_us.max(until_us);
        self.break_some_watches(id, until_us);
    }

    fn deafen(&mut self, id: HostId, until_us: u64) {
        self.mark("deafen", Met::Deaf, Some(id));
        self.fault(until_us + 3 * SECOND);
        let host = &mut self.hosts[id];
        host.deaf_until_us = host.deaf_until_us.max(until_us);
        self.break_some_watches(id, until_us);
    }

    /// Some connections survive, and deliver later; others break.
    fn break_some_watches(&mut self, id: HostId, until_us: u64) {
        for kind in Kind::ALL {
            if self.random.chance(500) {
                self.break_watch(id, kind, until_us);
            }
        }
    }

    fn partition(&mut self, which: u64, for_ms: u64) {
        let chosen = |id: &HostId| which >> (id % 64) & 1 == 1 && !self.hosts[*id].life.over;
        let cut: Vec<HostId> = (0..self.hosts.len()).filter(chosen).collect();
        if cut.len() > 1 {
            self.mark("partition", Met::Partitioned, None);
        }
        for id in cut {
            self.cut(id, self.now_us + for_ms * MS);
        }
    }

    pub(super) fn break_watch(&mut self, id: HostId, kind: Kind, until_us: u64) {
        let at_us = until_us + self.random.between(1, 1_500) * MS;
        self.fault(at_us + 10 * MS);
        let stream = self.hosts[id].stream(kind);
        stream.break_off();
        let epoch = stream.epoch;
        self.queue.push(at_us, Event::Relist(id, kind, epoch));
    }

    /// The API server is down, and all watches break.
    pub(super) fn outage(&mut self, for_ms: u64) {
        let until_us = self.now_us + for_ms * MS;
        self.outage_until_us = until_us;
        self.fault(until_us);
        for id in 0..self.hosts.len() {
            for kind in Kind::ALL {
                self.break_watch(id, kind, until_us);
            }
        }
    }

    fn delete_lease(&mut self) {
        self.mark("delete lease", Met::LeaseDeleted, None);
        self.foreigner_is_erased();
        self.fault(self.now_us);
        let change = self.api.delete_lease();
        self.publish(change);
    }

    fn pause(&mut self, for_ms: u64) {
        let paused = self.api.lease().is_some_and(|lease| lease.record.paused);
        if for_ms > 0 && !paused {
            self.mark("pause", Met::Paused, None);
            let until_us = self.now_us + for_ms * MS;
            // A leader that ends meanwhile is missed: what is promised of moves is suspended.
            self.fault(until_us);
            self.queue
                .push(until_us, Event::Operation(Operation::Pause { for_ms: 0 }));
            let change = self.api.edit_lease(|record| record.paused = true);
            self.publish(change);
        } else if for_ms == 0 {
            self.disturb(self.now_us);
            let change = self.api.edit_lease(|record| record.paused = false);
            self.publish(change);
        }
    }

    fn switchover(&mut self, target: Option<Target>) {
        let name = match target.map(|target| self.find(target)) {
            None => "any".to_owned(),
            Some(Some(id)) => self.hosts[id].identity.name.clone(),
            Some(None) => "web-nobody".to_owned(),
        };
        self.mark(
            "switchover",
            Met::SwitchoverAsked,
            target.and_then(|target| self.find(target)),
        );
        self.disturb(self.now_us);
        let change = self.api.edit_lease(|record| record.switchover = Some(name));
        self.publish(change);
    }
}
