//! The life of a pod in the kubelet's order, and the controller that replaces pods.
//!
//! Deletion, as seen on a real cluster: deletionTimestamp is seen at once, and the app gets SIGTERM
//! in the same instant (after its preStop hook, where it has one); when the app has exited the
//! sidecar gets SIGTERM, 0.4 s later; when the sidecar has ended, the object goes. What still runs
//! at the end of the grace period is killed, the sidecar 2 s after it.

use super::clock::MS;
use super::coverage::Met;
use super::event::{Event, HostId, News, Stage};
use super::host;
use super::scenario::Workload;
use super::world::World;
use common::contract::default;
use election::Handover;

/// What a container has between SIGTERM and SIGKILL at the end of the grace period.
const LAST_US: u64 = 2_000 * MS;
/// How often a held preStop hook is asked about.
const PRE_STOP_US: u64 = 50 * MS;

impl World {
    /// The next step for a pod.
    pub(super) fn kubelet(&mut self, id: HostId, stage: Stage) {
        if self.hosts[id].life.node_dead && stage != Stage::NodeLost {
            return;
        }
        if self.outage_until_us > self.now_us
            && matches!(
                stage,
                Stage::Ready | Stage::Gone | Stage::Uncordon | Stage::Report
            )
        {
            let at_us = self.outage_until_us + self.random.between(100, 1_000) * MS;
            self.disturb(at_us);
            self.queue.push(at_us, Event::Kubelet(id, stage));
            return;
        }
        let life = &self.hosts[id].life;
        let stops = life.deleted_us.is_some();
        match stage {
            // What was to stop a pod that came back with an older state is void.
            Stage::PreStop | Stage::AppExit | Stage::GraceEnd if !stops => {}
            Stage::Kill if !life.terminated => {}
            Stage::Gone if !life.over => {}
            Stage::Start => self.sidecar_starts(id),
            Stage::Ready => self.app_ready(id),
            Stage::PreStop => self.pre_stop(id),
            Stage::AppExit => self.app_exits(id),
            Stage::Terminate => self.terminate(id),
            Stage::GraceEnd => self.grace_ends(id),
            Stage::Kill => self.process_ended(id),
            Stage::KillIncarnation(incarnation) => {
                if self.hosts[id].incarnation == incarnation {
                    self.process_ended(id);
                }
            }
            Stage::Uncordon => {
                self.disturb(self.now_us);
                let uid = self.hosts[id].identity.uid.clone();
                let change = self.api.edit_pod(&uid, |pod| pod.view.disrupted = false);
                self.publish(change);
            }
            Stage::Regroup => self.regroup(id, true),
            Stage::Gone => self.object_goes(id),
            Stage::NodeLost => self.set_ready(id, false),
            Stage::Report => self.set_ready(id, self.hosts[id].life.ready),
        }
    }

    fn sidecar_starts(&mut self, id: HostId) {
        let host = &self.hosts[id];
        if !host.life.over && !host.life.terminated && host.elector.is_none() {
            self.disturb(self.now_us);
            self.start_process(id);
        }
    }

    fn app_ready(&mut self, id: HostId) {
        let life = &self.hosts[id].life;
        if life.app_running && life.unready_until_us <= self.now_us {
            self.set_ready(id, true);
            self.controller_soon();
        }
    }

    pub(super) fn set_ready(&mut self, id: HostId, ready: bool) {
        self.hosts[id].life.ready = ready;
        let uid = self.hosts[id].identity.uid.clone();
        let change = self.api.edit_pod(&uid, |pod| pod.view.ready = ready);
        self.disturb(self.now_us);
        self.publish(change);
    }

    /// A pod is deleted: its object says so at once.
    pub(super) fn delete_pod(&mut self, id: HostId) {
        let grace_us = self.settings.grace_ms * MS;
        let host = &mut self.hosts[id];
        if host.life.object_gone || host.life.deleted_us.is_some() {
            return;
        }
        host.life.deleted_us = Some(self.now_us);
        let uid = host.identity.uid.clone();
        let change = self.api.edit_pod(&uid, |pod| pod.view.terminating = true);
        self.publish(change);
        self.controller_soon();
        self.stop_containers(id, grace_us);
    }

    /// The kubelet begins to stop the containers of a pod.
    pub(super) fn stop_containers(&mut self, id: HostId, grace_us: u64) {
        self.hosts[id].life.grace_end_us = self.now_us + grace_us;
        self.disturb(self.now_us);
        if self.hosts[id].life.node_dead {
            return;
        }
        let held = self.settings.hold_app && self.settings.handover == Handover::Seamless;
        let (stage, after_us) = if held {
            (Stage::PreStop, PRE_STOP_US)
        } else {
            (Stage::AppExit, self.app_stops_us())
        };
        self.queue
            .push(self.now_us + after_us, Event::Kubelet(id, stage));
        self.queue
            .push(self.now_us + grace_us, Event::Kubelet(id, Stage::GraceEnd));
    }

    fn app_stops_us(&mut self) -> u64 {
        let (low_ms, high_ms) = self.settings.app_stops_in_ms;
        self.random.between(low_ms, high_ms) * MS
    }

    /// `/drain` of the sidecar: holds while traffic may still be sent here, and settles then.
    fn pre_stop(&mut self, id: HostId) {
        let now_us = self.now_us;
        let host = &self.hosts[id];
        let deleted_us = host.life.deleted_us.unwrap_or(now_us);
        let over = now_us >= deleted_us + self.settings.drain_timeout_ms * MS;
        let held = host
            .standing_at(now_us)
            .is_some_and(|standing| standing.role.leads() || standing.holds_traffic);
        if held && !over {
            self.queue
                .push(now_us + PRE_STOP_US, Event::Kubelet(id, Stage::PreStop));
            return;
        }
        let first_look = now_us <= deleted_us + PRE_STOP_US;
        let settle_us = if over || first_look {
            0
        } else {
            default::SETTLE_MS * MS
        };
        let exit_us = now_us + settle_us + self.app_stops_us();
        self.queue.push(exit_us, Event::Kubelet(id, Stage::AppExit));
    }

    fn app_exits(&mut self, id: HostId) {
        if !self.hosts[id].life.app_running {
            return;
        }
        self.hosts[id].life.app_running = false;
        self.set_ready(id, false);
        let at_us = self.now_us + self.random.between(300, 500) * MS;
        self.queue.push(at_us, Event::Kubelet(id, Stage::Terminate));
    }

    fn grace_ends(&mut self, id: HostId) {
        if self.hosts[id].life.app_running {
            self.run.coverage.met(Met::GraceEaten);
            self.hosts[id].life.app_running = false;
            self.set_ready(id, false);
            self.terminate(id);
        }
    }

    fn terminate(&mut self, id: HostId) {
        let now_us = self.now_us;
        let life = &mut self.hosts[id].life;
        if life.over || std::mem::replace(&mut life.terminated, true) {
            return;
        }
        self.disturb(now_us);
        let host = &self.hosts[id];
        let kill_us = host.life.grace_end_us.max(now_us) + LAST_US;
        if host.elector.is_none() {
            self.process_ended(id);
            return;
        }
        let terminate = Event::Deliver(id, host.incarnation, News::Terminate);
        self.queue.push(now_us, terminate);
        self.queue.push(kill_us, Event::Kubelet(id, Stage::Kill));
    }

    /// The sidecar's process has ended, by itself or by SIGKILL.
    pub(super) fn process_ended(&mut self, id: HostId) {
        let host = &mut self.hosts[id];
        if host.life.over {
            return;
        }
        host.stop_process();
        self.disturb(self.now_us);
        if self.hosts[id].life.terminated {
            self.hosts[id].life.over = true;
            let at_us = self.now_us + self.random.between(100, 900) * MS;
            self.queue.push(at_us, Event::Kubelet(id, Stage::Gone));
        } else {
            // The pod lives on: its native sidecar is started again.
            let at_us = self.now_us + self.random.between(300, 2_000) * MS;
            self.disturb(at_us);
            self.queue.push(at_us, Event::Kubelet(id, Stage::Start));
        }
    }

    fn object_goes(&mut self, id: HostId) {
        if !self.hosts[id].life.object_gone {
            self.hosts[id].life.object_gone = true;
            self.disturb(self.now_us);
            let uid = self.hosts[id].identity.uid.clone();
            let change = self.api.remove_pod(&uid);
            self.publish(change);
            self.controller_soon();
        }
    }

    fn controller_soon(&mut self) {
        if self.settings.workload != Workload::Bare {
            let at_us = self.now_us + self.random.between(20, 200) * MS;
            self.disturb(at_us);
            self.queue.push(at_us, Event::Controller);
        }
    }

    /// All pods shall be of a new revision.
    pub(super) fn roll_out(&mut self) {
        self.revision += 1;
        self.controller_soon();
    }

    /// The controller looks at its pods, and makes or deletes at most one.
    pub(super) fn controller(&mut self) {
        if self.outage_until_us > self.now_us {
            let at_us = self.outage_until_us + self.random.between(100, 1_000) * MS;
            self.disturb(at_us);
            self.queue.push(at_us, Event::Controller);
            return;
        }
        match self.settings.workload {
            Workload::Bare => {}
            Workload::Deployment => self.deployment(),
            Workload::StatefulSet => self.stateful_set(),
        }
    }

    /// maxSurge 1, maxUnavailable 0.
    fn deployment(&mut self) {
        let revision = format!("r{}", self.revision);
        let pods: Vec<_> = self
            .api
            .pods()
            .filter(|pod| !pod.view.terminating)
            .collect();
        let old = |pod: &&&super::objects::Pod| pod.view.revision != revision;
        let new = pods.iter().filter(|pod| !old(pod)).count();
        let ready = pods.iter().filter(|pod| pod.view.ready).count();
        let outdated: Vec<_> = pods.iter().filter(old).map(|pod| pod.uid()).collect();
        let unready_old = pods
            .iter()
            .filter(old)
            .find(|pod| !pod.view.ready)
            .map(|pod| pod.uid());
        let total = pods.len();
        if new < self.settings.pods && total <= self.settings.pods {
            self.add_pod(None);
            self.controller_soon();
        } else if !outdated.is_empty() && (ready > self.settings.pods || unready_old.is_some()) {
            let last = outdated.len() as u64 - 1;
            let random = self.random.between(0, last) as usize;
            let uid = unready_old.unwrap_or_else(|| outdated[random].clone());
            if let Some(id) = self.hosts.iter().position(|host| host.uid() == uid) {
                self.delete_pod(id);
            }
        }
    }

    /// One pod at a time, the highest ordinal first; a name is used again once it is free.
    fn stateful_set(&mut self) {
        let revision = format!("r{}", self.revision);
        for ordinal in 0..self.settings.pods {
            let name = format!("web-{ordinal}");
            if !self.api.pods().any(|pod| pod.view.name == name) {
                self.add_pod(Some(name));
                return;
            }
        }
        let settled = self
            .api
            .pods()
            .all(|pod| !pod.view.terminating && pod.view.ready);
        let outdated = self
            .api
            .pods()
            .filter(|pod| pod.view.revision != revision)
            .last();
        if let (true, Some(uid)) = (settled, outdated.map(|pod| pod.uid()))
            && let Some(id) = self.hosts.iter().position(|host| host.uid() == uid)
        {
            self.delete_pod(id);
        }
    }

    /// Notes whether a pod's object says that it could become active.
    pub(super) fn note_object(&mut self, id: HostId) {
        let pod = self.api.pod(&self.hosts[id].identity.uid);
        self.hosts[id].eligible = pod.is_some_and(|pod| pod.grouped && host::eligible(&pod.view));
    }

    /// Notes since when each pod could become active.
    pub(super) fn note_eligible(&mut self) {
        for host in &mut self.hosts {
            let eligible = host.eligible && host.reachable_at(self.now_us) && !host.life.node_dead;
            host.eligible_since_us = match (eligible, host.eligible_since_us) {
                (false, _) => None,
                (true, None) => Some(self.now_us),
                (true, since) => since,
            };
        }
    }
}
