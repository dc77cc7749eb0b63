//! The example's app, which answers with the name of its pod, and the client that asks it.
//!
//! The demo and the tests send with the same client, from a process or from a pod of this image.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod load;
pub mod request;
pub mod serve;
