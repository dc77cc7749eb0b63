//! What happens when: the queue that a simulated world lives by.

use super::faults::Operation;
use super::watch::Kind;
use election::{Outcome, Request, RequestId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Number of a pod of the world, in the order of creation.
pub(super) type HostId = usize;

/// Something that happens at an instant of true time.
#[derive(Debug)]
pub(super) enum Event {
    /// The next burst of operations begins, once the world is calm.
    Burst(usize),
    /// A person, a controller or an accident does something.
    Operation(Operation),
    /// News reaches the process of a sidecar that was started as this incarnation.
    Deliver(HostId, u32, News),
    /// A request reaches the API server.
    Arrive(Box<Flight>),
    /// A broken watch begins anew.
    Relist(HostId, Kind, u32),
    /// The kubelet does its next step for a pod.
    Kubelet(HostId, Stage),
    /// The workload's controller looks at its pods.
    Controller,
    /// A program of another kind looks at the Lease.
    Foreigner,
}

/// News for one sidecar.
#[derive(Debug)]
pub(super) enum News {
    /// The wake-up of this generation.
    Wake(u64),
    /// The watch of this kind and epoch has something.
    Watch(Kind, u32),
    /// A request has ended.
    Answer(RequestId, Outcome),
    /// A request's time is up.
    Deadline(RequestId),
    /// SIGTERM.
    Terminate,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Flight {
    /// Who sent it, and as which incarnation.
    pub(super) host: HostId,
    pub(super) incarnation: u32,
    pub(super) request: Request,
    pub(super) fate: Fate,
}

/// What becomes of a request that reaches the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is answered.
    Answered,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It is not done: too many requests.
    Throttled,
    /// It is not done: the server failed.
    Failed,
    /// It is done, and answered with a failure of the server.
    DoneButFailed,
}

/// Steps in the life of a pod, in the kubelet's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The sidecar's process starts, or starts again.
    Start,
    /// The app is ready (again).
    Ready,
    /// The preStop hook of the app asks the sidecar whether traffic has moved.
    PreStop,
    /// The app exits on its SIGTERM.
    AppExit,
    /// The sidecar gets SIGTERM.
    Terminate,
    /// The grace period is over.
    GraceEnd,
    /// What still runs is killed.
    Kill,
    /// The sidecar's process is killed if it is still this incarnation.
    KillIncarnation(u32),
    /// The node takes pods again.
    Uncordon,
    /// The pod is put back into its group.
    Regroup,
    /// The object goes.
    Gone,
    /// The node has been silent for long: its pods count as not ready.
    NodeLost,
    /// The kubelet reports whether the app is ready, which the object may not say (any more).
    Report,
}

/// Events in order of time; those of one instant in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    count: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at_us: u64, event: Event) {
        self.count += 1;
        self.heap.push(Reverse(Entry {
            at_us,
            number: self.count,
            event,
        }));
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap
            .pop()
            .map(|Reverse(entry)| (entry.at_us, entry.event))
    }
}

#[derive(Debug)]
struct Entry {
    at_us: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_us, self.number).cmp(&(other.at_us, other.number))
    }
}
