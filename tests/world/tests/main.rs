//! What groups of electors do in the simulated world.

#![allow(clippy::panic, reason = "tests")]

// Playing scenarios and looking at what they leave.
mod check;
// Who does as another kind of elector does.
mod customs;
// What happens to a group, and the seeds that once found something.
mod scenarios;
// Who follows.
mod successors;
// What is hit by a script because chance seldom does.
mod windows;
