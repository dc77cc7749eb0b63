//! What can happen.

use super::process::Kind;

/// One event. Pods are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// The clock of one pod goes on by a step; its process is called if it wants to be by then.
    Tick(usize),
    /// All clocks go on by a step.
    TickAll,
    /// A process is called because its time has come (and had passed while it stood still).
    Wake(usize),
    /// The watches of a pod fall behind.
    FallBehind(usize),
    /// A watch that is behind delivers what has changed.
    Deliver(usize, Kind),
    /// The request of a process is committed and answered.
    Exchange(usize),
    /// The request of a process is committed; the answer is not there yet.
    Commit(usize),
    /// The late answer to a request arrives.
    Answer(usize),
    /// A write that its sender gave up is committed after all.
    CommitLate(usize, usize),
    /// A process starts.
    Start(usize),
    /// A process dies.
    Crash(usize),
    /// A process stands still; its clock goes on.
    Freeze(usize),
    /// It goes on.
    Thaw(usize),
    /// A pod is cut off: nothing reaches the API server, or comes from there.
    Cut(usize),
    /// It is connected again.
    Heal(usize),
    /// Somebody deletes the Lease.
    DeleteLease,
    /// Somebody asks for the role to move to any other pod.
    AskForSwitchover,
    /// Somebody deletes a pod.
    Delete(usize),
    /// The app of a pod stops being ready.
    Unready(usize),
    /// A pod's app has exited, and its sidecar gets SIGTERM.
    Terminate(usize),
    /// The sidecar ends, by itself or by SIGKILL.
    Exit(usize),
}

impl Event {
    /// Whether it is anything else than everybody doing in time what they do.
    pub(super) fn disturbs(self) -> bool {
        !matches!(
            self,
            Self::Tick(_) | Self::TickAll | Self::Wake(_) | Self::Exchange(_)
        )
    }
}
