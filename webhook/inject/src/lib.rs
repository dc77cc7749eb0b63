//! What the webhook answers, as pure functions of what it was asked.
//!
//! - [`decision::decide`]: what becomes of a pod that is about to be created;
//! - [`offline::inject`]: the same for the templates of workloads, without an API server;
//! - [`policy::decide`], [`policy::evaluate`]: what policies of administrators make of pods and of
//!   workloads;
//! - [`route::route`]: where an annotated Service points, derived from its annotations;
//! - [`certs::plan`]: what to do about the serving certificate;
//! - [`review`]: admission reviews as they come in and go out.
//!
//! Everything is decided on raw JSON: a typed round trip would drop the fields that this build's
//! types do not know. Nothing here fails: each function is total, on any input.
//!
//! Absent from it, and kept out by `clippy.toml`: IO, clocks, the environment, randomness, threads,
//! lookups of any kind. Two calls with equal arguments give equal answers, in the webhook, in the
//! command line tool and in a test.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod account;
mod apps;
pub mod certs;
mod container;
pub mod decision;
mod drain;
mod elector_env;
mod group;
mod json;
pub mod names;
pub mod objects;
pub mod offline;
pub mod options;
mod patch;
mod pod;
pub mod policy;
mod port;
mod preset;
pub mod reason;
mod repair;
mod resources;
pub mod review;
pub mod route;
mod shapes;
mod sieve;
mod syntax;
mod values;
mod volumes;

pub use account::{Account, AccountKind};
pub use decision::{Decision, Injection, RequestInfo, Settings, decide};
pub use json::Json;
pub use patch::Add;
