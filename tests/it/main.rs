//! Tests that need no cluster, in one program.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

// What the values of the chart make of it.
mod chart;
// The chart's README has every value.
mod chart_readme;
// deploy/ is what the chart renders.
mod deploy;
// The page of failure modes names tests that exist.
mod failure_modes;
// Alerts and dashboard of the chart.
mod monitoring;
// The patches of the mutation test.
mod mutants;
// The rules of the house.
mod tidy;
