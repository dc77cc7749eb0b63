//! The simulated world: electors, a model of the API server, clocks that drift, and bad luck, all
//! in one thread and from one seed.
//!
//! [`World::run`] plays one [`Scenario`] and checks the invariants of [`invariants`] after each
//! event. A run that violates one gives its log and the line that replays it.
//!
//! Absent from it: real time, real IO, threads, and any chance but the seed's.

mod admission;
mod api;
mod chaos;
mod clock;
mod commits;
mod coverage;
mod customs;
mod event;
mod faults;
mod foreigner;
mod host;
mod invariants;
mod kubelet;
mod log;
mod named;
mod network;
mod objects;
mod operations;
mod random;
mod requests;
mod restore;
mod run;
mod scenario;
mod services;
mod storm;
mod successors;
mod sweep;
mod watch;
mod windows;
mod world;

pub use admission::{Rules, Term};
pub use clock::{MS, SECOND};
pub use coverage::{Coverage, Met};
pub use faults::{Mishap, Operation, ServiceEdit, Target, Weather};
pub use random::Random;
pub use run::{Mark, Run, Sent, Violation};
pub use scenario::{Plan, Scenario, Settings, Workload, random_scenarios, scenario, scenarios};
pub use sweep::{SHARES, Swept, sweep};
pub use watch::Kind;
pub use world::World;
