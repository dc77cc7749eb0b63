//! Tests that need no cluster, in one program.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

// deploy/ is what the chart renders.
mod deploy;
// The page of failure modes names tests that exist.
mod failure_modes;
// The patches of the mutation test.
mod mutants;
// The rules of the house.
mod tidy;
