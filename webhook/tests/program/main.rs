//! The program itself, on the loopback device, with an API server that is none.
#![allow(clippy::unwrap_used, clippy::panic)]

#[allow(dead_code, reason = "shared with the tests of the crate")]
#[path = "../../src/fake_api.rs"]
mod fake_api;

mod hook;
mod hostile;
mod logs;
mod resident;
