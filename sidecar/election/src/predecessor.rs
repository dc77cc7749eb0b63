//! The last holder of the Lease that an exclusive leader has taken: its pod may carry the active label,
//! and no watch need have shown it.

use crate::agenda::Agenda;
use crate::converge::{Change, REFUSALS_MAX};
use crate::elector::Elector;
use crate::group::Target;
use crate::input::{Failure, Outcome};
use crate::observed::Source;
use crate::params::Handover;
use crate::step::{Action, LeaseWrite, LeaseWriteKind};
use crate::time::Mono;
use common::ids::{HolderForm, Identity};

impl Elector {
    /// Notes from whom a write that is about to be sent takes the Lease.
    pub(crate) fn note_predecessor(&mut self, write: &LeaseWrite) {
        let takes = write.kind == LeaseWriteKind::Acquire;
        if !takes || self.params.handover == Handover::Seamless {
            return;
        }
        // One that is taken back says nothing new. Who has freed it has stripped its pod.
        if let Some(record) = self.lease.record().filter(|_| !self.holds_lease()) {
            self.predecessor = record.holder.as_deref().and_then(|it| self.pod_behind(it));
        }
    }

    /// The pod that a Lease names. A name alone does for one that is known.
    fn pod_behind(&self, holder: &str) -> Option<Identity> {
        match self.params.customs.holder {
            HolderForm::NameAndUid => Identity::parse(holder),
            HolderForm::Name => {
                let mut pods = self.group.pods.values();
                let pod = pods.find(|pod| pod.name == holder)?;
                Some(Identity::new(&pod.name, &pod.uid))
            }
        }
    }

    /// Reads the pod of the last holder, if it is not among those of the group.
    pub(crate) fn look_for_predecessor(&self, agenda: &mut Agenda) -> Change {
        let Some(pod) = &self.predecessor else {
            return Change::None;
        };
        let target = Target::Pod(pod.uid.clone());
        let retry = self.group.retry(&target);
        if self.group.knows(&target) || retry.refusals >= REFUSALS_MAX {
            return Change::None;
        }
        if !agenda.reached(retry.not_before()) {
            return Change::Waiting;
        }
        Change::Due(Action::ReadPod {
            name: pod.name.clone(),
            uid: pod.uid.clone(),
        })
    }

    /// Takes the end of a request about a pod that is not known. Returns whether it was the last
    /// holder's.
    pub(crate) fn finish_predecessor(
        &mut self,
        now: Mono,
        target: &Target,
        source: Source,
        outcome: &Outcome,
    ) -> bool {
        let mut predecessor = self.predecessor.iter();
        let asked = matches!(source, Source::Read { .. });
        if !asked || !predecessor.any(|pod| *target == Target::Pod(pod.uid.clone())) {
            return false;
        }
        match outcome {
            Outcome::Pod(pod) => self.group.see_pod(pod.clone(), source),
            Outcome::PodLeft(_) | Outcome::Failed(Failure::NotFound) => self.predecessor = None,
            Outcome::Failed(failure) => {
                self.group.failed(target, now, *failure, &mut self.jitter);
            }
            Outcome::Lease(_) | Outcome::NoLease | Outcome::Service(_) => {}
        }
        true
    }
}
