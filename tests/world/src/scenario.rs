//! What is simulated: the settings of a group, and what is done to it.

use super::admission::Rules;
use super::chaos;
use super::customs;
use super::faults::Operation;
use super::named;
use super::random::Random;
use super::storm;
use super::successors;
use super::windows;
use common::contract::default;
use common::ids::Identity;
use election::{Customs, Handover, Params};

/// A kind of run. Its name and a seed determine everything.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// How it is called on the command line.
    pub name: &'static str,
    /// Makes the plan of one run.
    pub plan: fn(&mut Random) -> Plan,
}

impl Scenario {
    pub(super) const fn new(name: &'static str, plan: fn(&mut Random) -> Plan) -> Self {
        Self { name, plan }
    }
}

/// Settings and script of one run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The group.
    pub settings: Settings,
    /// What is done to it. A burst begins when the group has been calm, and its operations follow
    /// each so many milliseconds after its beginning.
    pub bursts: Vec<Vec<(u64, Operation)>>,
}

/// What makes and replaces the pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Nothing does.
    Bare,
    /// New pods have new names, and come before the old ones go.
    Deployment,
    /// New pods have the names of the old ones, and come when those are gone.
    StatefulSet,
}

/// The group, its pods and its cluster.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many pods there shall be.
    pub pods: usize,
    /// Who keeps it so.
    pub workload: Workload,
    /// See [`Params`].
    pub handover: Handover,
    /// LD, milliseconds.
    pub lease_duration_ms: u64,
    /// See [`Params`], milliseconds.
    pub drain_timeout_ms: u64,
    /// See [`Params`], milliseconds.
    pub unready_grace_ms: u64,
    /// Priorities of the pods, in the order of their creation and over again.
    pub priorities: Vec<i32>,
    /// Workloads of the pods, in the order of their creation and over again.
    pub owners: Vec<&'static str>,
    /// Policies of the API server.
    pub rules: Rules,
    /// Annotated Services with a selector.
    pub services: usize,
    /// One more Service, annotated but without a selector.
    pub bare_service: bool,
    /// Grace period of the pods, milliseconds.
    pub grace_ms: u64,
    /// How long an app runs after its SIGTERM, milliseconds: at least and at most.
    pub app_stops_in_ms: (u64, u64),
    /// Whether the app's SIGTERM waits until traffic has moved (seamless only).
    pub hold_app: bool,
    /// Clocks run wrong by so much at most, parts in a million.
    pub drift_ppm_max: u64,
    /// See [`Params`].
    pub customs: Customs,
}

impl Settings {
    /// Three pods of a Deployment with the default settings, one annotated Service, a current
    /// cluster with all policies.
    pub fn usual(handover: Handover) -> Self {
        Self {
            pods: 3,
            workload: Workload::Deployment,
            handover,
            lease_duration_ms: default::LEASE_DURATION_MS,
            drain_timeout_ms: default::GRACE_PERIOD_S * 1_000 - default::DRAIN_RESERVE_MS,
            unready_grace_ms: default::UNREADY_GRACE_MS,
            priorities: vec![0],
            owners: vec![OWNER],
            rules: Rules {
                fencing: true,
                route: true,
            },
            services: 1,
            bare_service: false,
            grace_ms: default::GRACE_PERIOD_S * 1_000,
            app_stops_in_ms: (50, 500),
            hold_app: handover == Handover::Seamless,
            drift_ppm_max: 10_000,
            customs: Customs::default(),
        }
    }

    /// The workload of the pod with this number.
    pub(super) fn owner(&self, number: usize) -> String {
        self.owners[number % self.owners.len()].to_owned()
    }

    /// The settings of the elector of the pod with this number.
    pub(super) fn params(&self, number: usize, identity: Identity, jitter_seed: u64) -> Params {
        Params {
            identity,
            owner: Some(self.owner(number)),
            lease_duration_ms: self.lease_duration_ms,
            renew_deadline_ms: self.lease_duration_ms * 2 / 3,
            retry_period_ms: self.lease_duration_ms * 2 / 15,
            handover: self.handover,
            drain_timeout_ms: self.drain_timeout_ms,
            unready_grace_ms: self.unready_grace_ms,
            jitter_seed,
            customs: self.customs,
        }
    }

    /// When no fault has happened and nobody has done anything for so long, milliseconds, all must
    /// be in order: the last record expires, by the slowest clock; one more attempt of a request
    /// that was lost just before; an unready leader's grace; and two seconds, which are the
    /// directed record that nobody confirms, or the growing wait of a retry, and the writes.
    pub fn settle_ms(&self) -> u64 {
        let drift_ms = self.lease_duration_ms * 2 * self.drift_ppm_max / 1_000_000;
        let attempt_ms = self.lease_duration_ms / 5;
        self.lease_duration_ms + drift_ms + attempt_ms + self.unready_grace_ms + 2_000
    }
}

/// The workload of the pods.
pub(super) const OWNER: &str = "Deployment/web";

/// The random scenarios.
pub fn random_scenarios() -> impl Iterator<Item = &'static Scenario> {
    chaos::ALL.iter().chain(storm::ALL.iter())
}

/// All scenarios: the random ones and those with a fixed meaning.
pub fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    random_scenarios()
        .chain(named::ALL.iter())
        .chain(successors::ALL.iter())
        .chain(windows::ALL.iter())
        .chain(customs::ALL.iter())
}

/// The scenario of this name.
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    scenarios().find(|scenario| scenario.name == name)
}
