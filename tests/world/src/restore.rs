//! The API server goes back to an older state, as after a disk was lost: what that does to objects,
//! and what kubelets make of it.
//!
//! No election through an API can hold while its record goes back: who had not heard of the newer
//! record cannot know. What is promised of leaders begins again one lease duration later.

use super::clock::MS;
use super::coverage::Met;
use super::event::{Event, HostId, Stage};
use super::faults::Operation;
use super::operations::NODE_LOST_US;
use super::world::World;

impl World {
    /// Writes down all objects.
    pub(super) fn back_up(&mut self) {
        self.backup = Some(self.api.clone());
    }

    /// The API server is down, and comes back with the objects of the last backup.
    pub(super) fn restore(&mut self, down_ms: u64, bumped: bool) {
        let Some(backup) = self.backup.take() else {
            return;
        };
        self.mark("restore", Met::Restored, None);
        self.outage(down_ms);
        let settled_us = self.begin_anew(self.outage_until_us);
        self.fault(settled_us);
        let existed: Vec<bool> = (0..self.hosts.len()).map(|id| self.exists(id)).collect();
        self.api.restore(&backup, bumped);
        for (id, existed) in existed.into_iter().enumerate() {
            match (existed, self.exists(id)) {
                (true, false) => self.kubelet_misses(id),
                (_, true) => self.kubelet_finds(id),
                (false, false) => {}
            }
        }
        (0..self.hosts.len()).for_each(|id| self.note_object(id));
        self.note_active();
        self.queue.push(self.outage_until_us, Event::Controller);
        if self.api.lease().is_some_and(|lease| lease.record.paused) {
            // Whoever paused the group before the backup resumes it once more.
            let resume = Operation::Pause { for_ms: 0 };
            self.queue
                .push(self.outage_until_us, Event::Operation(resume));
        }
    }

    fn exists(&self, id: HostId) -> bool {
        self.api.pod(self.hosts[id].uid()).is_some()
    }

    /// A pod is there (again), as it was. Where its processes have ended, the kubelet starts them;
    /// where they are being stopped, whoever deleted it does so once more.
    fn kubelet_finds(&mut self, id: HostId) {
        let uid = self.hosts[id].uid().to_owned();
        let life = &mut self.hosts[id].life;
        life.object_gone = false;
        let terminating = self.api.pod(&uid).is_some_and(|pod| pod.view.terminating);
        if life.over && terminating {
            self.later(id, Stage::Gone);
        } else if life.over && !life.node_dead {
            self.run.coverage.met(Met::Resurrected);
            let life = &mut self.hosts[id].life;
            life.over = false;
            life.terminated = false;
            life.ready = false;
            life.app_running = true;
            life.deleted_us = None;
            self.later(id, Stage::Start);
            self.later(id, Stage::Ready);
        }
        if self.hosts[id].life.node_dead {
            // The node controller waits once more until it takes the node for lost.
            let lost_us = self.outage_until_us + NODE_LOST_US;
            self.fault(lost_us);
            self.queue
                .push(lost_us, Event::Kubelet(id, Stage::NodeLost));
        }
        let deleted = self.hosts[id].life.deleted_us.is_some();
        self.api.edit_pod(&uid, |pod| {
            // A cordon of then is forgotten.
            pod.view.disrupted = false;
            pod.view.terminating |= deleted;
        });
        self.later(id, Stage::Report);
    }

    /// A pod is no longer there: the kubelet stops what it does not find.
    fn kubelet_misses(&mut self, id: HostId) {
        let life = &mut self.hosts[id].life;
        life.object_gone = true;
        let stopping = life.deleted_us.replace(self.now_us).is_some();
        if stopping || life.over {
            return;
        }
        let grace_us = self.settings.grace_ms * MS;
        let seen_us = self.outage_until_us + self.random.between(50, 3_000) * MS;
        self.hosts[id].life.grace_end_us = seen_us + grace_us;
        self.disturb(seen_us);
        self.queue.push(seen_us, Event::Kubelet(id, Stage::AppExit));
        self.queue
            .push(seen_us + grace_us, Event::Kubelet(id, Stage::GraceEnd));
    }

    fn later(&mut self, id: HostId, stage: Stage) {
        let at_us = self.outage_until_us + self.random.between(50, 2_000) * MS;
        self.disturb(at_us);
        self.queue.push(at_us, Event::Kubelet(id, stage));
    }
}
