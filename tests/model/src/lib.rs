//! The election, explored exhaustively: every order in which requests, answers, watch events,
//! clocks, faults and planned changes can meet, within the bounds of a [`Scope`].
//!
//! The processes are the real electors. What is checked in each state is in `machine`, what can
//! happen in `event`, and what is left out is said in `docs/model.md`.

mod api;
mod event;
mod explore;
mod machine;
mod process;
mod scope;
mod scopes;
mod shared;
mod show;
mod state;

pub use explore::{Explored, explore};
pub use scope::{Change, Effort, Fault, LEASE_DURATION_MS, Scope, Start, TICK_MS};
pub use scopes::scopes;
