//! What the webhook and the sidecar must agree on, in one place.
//!
//! Absent from it: any IO, clock or Kubernetes client. The feature `shell` adds what both programs
//! need around their pure cores (logging, signals, the clock).

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

#[cfg(feature = "shell")]
pub mod clock;
pub mod contract;
pub mod crowd;
pub mod docs;
pub mod duration;
pub mod hash;
pub mod history;
pub mod ids;
pub mod metrics;
pub mod nearest;
pub mod objects;
pub mod owner;
pub mod pod;
pub mod role;
pub mod seeds;
pub mod service;
#[cfg(feature = "shell")]
pub mod shutdown;
#[cfg(feature = "shell")]
pub mod telemetry;
pub mod trial;
