//! The webhook: the shell around the `inject` crate.
//!
//! - [`args`], [`run`]: from the command line to a running program and its orderly end;
//! - [`serve`], [`routes`], [`handlers`]: TLS, HTTP and the two admission paths;
//! - [`certificate`], [`configuration`], [`handshake`]: the certificate, the API server's trust in
//!   it, and the proof that both work;
//! - [`provision`], [`rights`]: the accounts and bindings of groups, and the right to make them;
//! - [`policy`]: what administrators say about namespaces, and how far it has got;
//! - [`service_mode`]: a program of its own, for Services without sidecars;
//! - [`task`], [`check`], [`farewell`]: what the chart's hooks ask of the program instead;
//! - [`watch`], [`client`]: the API server; [`readiness`], [`metrics`]: what operators see.
//!
//! What becomes of a pod or a Service is decided in `inject`; nothing here has an opinion on it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod args;
pub mod certificate;
pub mod check;
pub mod client;
pub mod configuration;
pub mod connections;
#[cfg(test)]
mod fake_api;
pub mod farewell;
pub mod handlers;
pub mod handshake;
pub mod load;
pub mod metrics;
pub mod policy;
pub mod provision;
pub mod readiness;
pub mod rights;
pub mod routes;
pub mod run;
pub mod serve;
pub mod service_mode;
pub mod task;
pub mod watch;
