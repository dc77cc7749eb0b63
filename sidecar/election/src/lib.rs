//! The elector: who of a group of pods is active.
//!
//! [`Elector::step`] takes the time and one piece of news, and returns one [`Step`]: at most one
//! request to send, when to be woken, and where this pod stands. It is driven by the sidecar on a
//! real cluster and by the simulated world in tests.
//!
//! Absent from it: IO, clocks, randomness, threads, Kubernetes types. Leadership is
//! `now < valid_until`, derived on each look; there is no flag to forget.

mod agenda;
mod answers;
mod backoff;
mod converge;
mod customs;
mod decide;
mod elector;
mod group;
mod history;
mod input;
mod observed;
mod outside;
mod params;
mod predecessor;
mod step;
mod successor;
mod switchover;
mod time;
mod view;

pub use common::ids::HolderForm;
pub use common::role::Giving;
pub use customs::Customs;
pub use elector::Elector;
pub use history::{HistoryNote, MoveKind};
pub use input::{Failure, Input, Outcome};
pub use params::{Handover, Params};
pub use step::{
    Action, LeaseWrite, LeaseWriteKind, PodRole, PodWrite, Request, RequestId, Role, ServiceWrite,
    Standing, Step,
};
pub use successor::{Ineligible, Peer, ineligible};
pub use switchover::{Refusal, SwitchoverAnswer};
pub use time::Mono;
pub use view::{LeaseView, PodView, Record, RoleLabel, ServiceView, TERM_MAX, Version};

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod tests;
