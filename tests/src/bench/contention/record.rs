//! The result as `results/contention.json` holds it.

use serde::{Deserialize, Serialize};

use super::beliefs::{self, Belief, End, Fault, Overlap, Span};
use super::deeds::{Deed, Done};
use crate::bench::machine::Machine;
use crate::bench::{CONTENTION, record};
use crate::cluster::Result;
use crate::system::System;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// What it ran on.
    pub(super) measured: Machine,
    /// What chance followed from.
    pub(super) seed: u64,
    /// How long they contended.
    pub(super) ran_ms: u64,
    pub(super) kinds: Vec<Side>,
    pub(super) overlaps: Overlaps,
    /// Longest time in which nobody believed to hold the Lease.
    pub(super) longest_without_ms: u64,
}

/// What became of one kind of electors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Side {
    pub(super) system: System,
    /// Electors that were killed, frozen and ended, each time that it was done.
    pub(super) killed: usize,
    pub(super) frozen: usize,
    pub(super) terminated: usize,
    /// How often one of this kind took over from another pod.
    pub(super) takeovers: usize,
    /// How often one of them began to believe that it holds the Lease.
    pub(super) beliefs: usize,
    /// How many of these ended with the process, and how many with the run.
    pub(super) ended_by_kill: usize,
    pub(super) ended_by_end: usize,
    /// How long one of them believed it.
    pub(super) believed_ms: u64,
}

/// How often two believed at once, by whose fault it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Overlaps {
    /// 0 is wanted.
    pub(super) ours: usize,
    /// A peer went on after its Lease had run out, how often and for how long at most.
    pub(super) peer_outlived: usize,
    pub(super) peer_outlived_ms_max: u64,
    /// A peer went on after it had freed the Lease itself.
    pub(super) peer_released: usize,
    pub(super) peer_released_ms_max: u64,
    /// A peer began while another peer was entitled.
    pub(super) peer_early: usize,
}

impl Run {
    pub(super) fn new(
        measured: Machine,
        seed: u64,
        span: Span,
        done: &Done,
        beliefs: &[Belief],
    ) -> Self {
        Self {
            measured,
            seed,
            ran_ms: span.ms(),
            kinds: [System::Ours, System::Peer]
                .map(|system| Side::new(system, done, beliefs))
                .into(),
            overlaps: Overlaps::new(&beliefs::overlaps(beliefs)),
            longest_without_ms: beliefs::longest_without_ms(beliefs, span),
        }
    }
}

impl Side {
    fn new(system: System, done: &Done, beliefs: &[Belief]) -> Self {
        let done = |deed: Deed| done.counts.get(&(system, deed)).copied().unwrap_or(0);
        let own = || beliefs.iter().filter(|belief| belief.system == system);
        let ended = |end: End| own().filter(|belief| belief.end == end).count();
        Self {
            system,
            killed: done(Deed::Kill),
            frozen: done(Deed::Freeze),
            terminated: done(Deed::Terminate),
            takeovers: beliefs::takeovers(beliefs, system),
            beliefs: own().count(),
            ended_by_kill: ended(End::Killed),
            ended_by_end: ended(End::Over),
            believed_ms: own().map(|belief| belief.span.ms()).sum(),
        }
    }
}

impl Overlaps {
    fn new(all: &[Overlap]) -> Self {
        let of = |fault: Fault| all.iter().filter(move |overlap| overlap.fault == fault);
        let longest = |fault| of(fault).map(|overlap| overlap.span.ms()).max();
        Self {
            ours: of(Fault::Ours).count(),
            peer_outlived: of(Fault::PeerOutlived).count(),
            peer_outlived_ms_max: longest(Fault::PeerOutlived).unwrap_or(0),
            peer_released: of(Fault::PeerReleased).count(),
            peer_released_ms_max: longest(Fault::PeerReleased).unwrap_or(0),
            peer_early: of(Fault::PeerEarly).count(),
        }
    }
}

/// What the file holds, if there is one.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read() -> Result<Option<Run>> {
    record::read(CONTENTION)
}

/// Writes the result in the place of an earlier one.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write(run: &Run) -> Result<()> {
    record::write(CONTENTION, run)
}
