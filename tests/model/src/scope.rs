//! What is explored: how many electors, for how long, with how much bad luck.

use common::ids::Identity;
use election::{Customs, Handover, Mono, Params};

/// The step in which clocks advance, milliseconds. Two clocks that are at most one step apart at
/// any time can measure one interval up to two steps differently: exactly the margin of the lease
/// duration that is modelled, and so the largest difference that the elector must survive.
pub const TICK_MS: u64 = 250;
/// The lease duration of all electors: the shortest that is allowed, milliseconds.
pub const LEASE_DURATION_MS: u64 = 3_000;
/// How long a group takes to be in order again, at most, in steps: a lease duration and a second.
pub(super) const CALM_TICKS: u16 = 16;
/// What all clocks show at first, milliseconds: not the beginning of time, which has a meaning of
/// its own for the elector.
const START_MS: u64 = 1_000_000;

/// Bounds of one exploration. Everything that can happen within them is looked at.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Its name.
    pub name: &'static str,
    /// What it looks at.
    pub about: &'static str,
    /// When it is explored.
    pub effort: Effort,
    /// How many electors.
    pub pods: usize,
    /// What a planned move guarantees.
    pub handover: Handover,
    /// Whether the group has an annotated Service.
    pub service: bool,
    /// Where it begins.
    pub start: Start,
    /// How long, in steps of [`TICK_MS`].
    pub ticks: u16,
    /// How far apart clocks may be, in steps; 0: they advance together.
    pub apart_ticks: u16,
    /// How many faults, at most.
    pub faults: u8,
    /// Which faults.
    pub kinds: &'static [Fault],
    /// How many planned changes, at most.
    pub changes: u8,
    /// Which planned changes.
    pub change_kinds: &'static [Change],
    /// Whether somebody has to lead again, in [`CALM_TICKS`] after the last thing that happened.
    pub recovers: bool,
}

/// How much an exploration takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Seconds: `make test` does it.
    Test,
    /// Up to a minute: `make model` does it as well.
    Deep,
}

/// Where an exploration begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// No process runs yet, and there is no Lease.
    Fresh,
    /// The first pod leads, and everybody knows.
    Settled,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A request takes its time: it is committed at any later time or never, and answered at any
    /// time after that or never.
    Slow,
    /// The watches of a pod fall behind: each delivers at any later time or never.
    Behind,
    /// A process stands still, until any later time or for good.
    Freeze,
    /// A pod is cut off from the API server, until any later time or for good.
    Cut,
    /// A process dies; it is started again at any later time or never.
    Crash,
    /// Somebody deletes the Lease.
    DeleteLease,
}

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A pod is deleted.
    Delete,
    /// The role shall move to any other pod.
    Switchover,
    /// The app of a pod is not ready any more.
    Unready,
}

impl Scope {
    /// What the clock of a pod shows after so many steps.
    pub(super) fn time(ticks: u16) -> Mono {
        Mono::from_ms(START_MS + u64::from(ticks) * TICK_MS)
    }

    /// The settings of one elector.
    pub(super) fn params(&self, pod: usize) -> Params {
        Params {
            identity: identity(pod),
            owner: None,
            lease_duration_ms: LEASE_DURATION_MS,
            renew_deadline_ms: LEASE_DURATION_MS / 3 * 2,
            retry_period_ms: LEASE_DURATION_MS / 15 * 2,
            handover: self.handover,
            drain_timeout_ms: 1_000,
            unready_grace_ms: 500,
            jitter_seed: pod as u64,
            customs: Customs::default(),
        }
    }

    pub(super) fn knows(&self, fault: Fault) -> bool {
        self.kinds.contains(&fault)
    }

    pub(super) fn wants(&self, change: Change) -> bool {
        self.change_kinds.contains(&change)
    }
}

/// Name and uid of a pod: a, b, c.
pub(super) fn identity(pod: usize) -> Identity {
    let name = ["a", "b", "c", "d"].get(pod).copied().unwrap_or("x");
    Identity::new(name, format!("u{name}"))
}
