//! What a run leaves behind.

use super::clock::SECOND;
use super::coverage::Coverage;
use std::fmt;

/// Lines of the log that a violation shows.
const TAIL_LINES: usize = 200;

/// The record of a run in which nothing was violated. Pods are named by their uid: a name can be
/// used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What was met.
    pub coverage: Coverage,
    /// Each operation that took place, and on which pod.
    pub marks: Vec<Mark>,
    /// Who believed to lead, from each instant on.
    pub leader: Vec<(u64, Option<String>)>,
    /// Which pods carried the active label, from each instant on.
    pub active: Vec<(u64, Vec<String>)>,
    /// Where the first Service pointed, from each instant on.
    pub routed: Vec<(u64, Option<String>)>,
    /// Each request that was sent.
    pub sent: Vec<Sent>,
    /// When the run ended, microseconds.
    pub end_us: u64,
    /// How many events it had.
    pub events: u64,
}

/// One operation that took place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When, microseconds.
    pub at_us: u64,
    /// The operation's name.
    pub what: &'static str,
    /// The pod.
    pub pod: Option<String>,
}

/// One request that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// When, microseconds.
    pub at_us: u64,
    /// By which pod.
    pub pod: String,
    /// What kind: `renew`, `read lease`, `label self`, ...
    pub what: &'static str,
}

impl Run {
    /// The record of a run that has just begun.
    pub(super) fn begun() -> Self {
        Self {
            coverage: Coverage::NONE,
            marks: Vec::new(),
            leader: Vec::new(),
            active: Vec::new(),
            routed: Vec::new(),
            sent: Vec::new(),
            end_us: 0,
            events: 0,
        }
    }

    /// The first operation of this name.
    pub fn mark(&self, what: &str) -> Option<&Mark> {
        self.marks.iter().find(|mark| mark.what == what)
    }

    /// How often the role went from one pod to another (not back to the same) from `from_us` on.
    pub fn moves_after(&self, from_us: u64) -> usize {
        let mut last = self.leader_at(from_us.saturating_sub(1));
        let mut moves = 0;
        for (at_us, leader) in &self.leader {
            if *at_us >= from_us && leader.is_some() {
                moves += usize::from(last.is_some() && last != leader.as_deref());
                last = leader.as_deref();
            }
        }
        moves
    }

    /// Who believed to lead at an instant.
    pub fn leader_at(&self, at_us: u64) -> Option<&str> {
        let last = self
            .leader
            .iter()
            .take_while(|(from_us, _)| *from_us <= at_us)
            .last();
        last.and_then(|(_, leader)| leader.as_deref())
    }

    /// Which pods carried the active label at an instant.
    pub fn active_at(&self, at_us: u64) -> &[String] {
        let mut before = self.active.iter();
        let last = before.rfind(|(from_us, _)| *from_us <= at_us);
        last.map_or(&[], |(_, pods)| pods)
    }

    /// When a pod other than `pod` first believed to lead after `from_us`, microseconds later.
    pub fn moved_us(&self, from_us: u64, pod: Option<&str>) -> Option<u64> {
        let moved = |(at_us, leader): &&(u64, Option<String>)| {
            *at_us >= from_us && leader.is_some() && leader.as_deref() != pod
        };
        self.leader
            .iter()
            .find(moved)
            .map(|(at_us, _)| at_us - from_us)
    }

    /// When the first Service first pointed at a pod other than `pod` after `from_us`, microseconds
    /// later.
    pub fn routed_us(&self, from_us: u64, pod: Option<&str>) -> Option<u64> {
        let moved = |(at_us, to): &&(u64, Option<String>)| {
            *at_us >= from_us && to.is_some() && to.as_deref() != pod
        };
        self.routed
            .iter()
            .find(moved)
            .map(|(at_us, _)| at_us - from_us)
    }

    /// Longest time without any active label after the first one, up to the end, microseconds.
    pub fn longest_without_active_us(&self) -> u64 {
        let first = self.active.iter().position(|(_, pods)| !pods.is_empty());
        let since = self.active.iter().skip(first.unwrap_or(self.active.len()));
        let ends = since
            .clone()
            .skip(1)
            .map(|(at_us, _)| *at_us)
            .chain([self.end_us]);
        let gaps = since.zip(ends).filter(|((_, pods), _)| pods.is_empty());
        gaps.map(|((from_us, _), to_us)| to_us - from_us)
            .max()
            .unwrap_or(0)
    }

    /// Most pods that carried the active label at once.
    pub fn most_active(&self) -> usize {
        self.active
            .iter()
            .map(|(_, pods)| pods.len())
            .max()
            .unwrap_or(0)
    }

    /// How many requests of this kind were sent after `from_us`.
    pub fn sent_after(&self, from_us: u64, what: &str) -> usize {
        self.sent
            .iter()
            .filter(|sent| sent.at_us > from_us && sent.what == what)
            .count()
    }
}

/// An invariant that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one: `I1`, ...
    pub rule: &'static str,
    /// What was seen.
    pub message: String,
    /// When, microseconds.
    pub at_us: u64,
    /// Name of the scenario.
    pub scenario: &'static str,
    /// Seed of the run.
    pub seed: u64,
    /// The log up to it.
    pub log: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self
            .log
            .iter()
            .skip(self.log.len().saturating_sub(TAIL_LINES))
        {
            writeln!(f, "{line}")?;
        }
        let seconds = self.at_us as f64 / SECOND as f64;
        writeln!(
            f,
            "{} violated at {seconds:.6} s: {}",
            self.rule, self.message
        )?;
        write!(
            f,
            "replay: make sim SEED={} SCENARIO={}",
            self.seed, self.scenario
        )
    }
}

impl std::error::Error for Violation {}
