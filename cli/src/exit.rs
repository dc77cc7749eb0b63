//! Exit codes, for scripts. `--help` and docs/operations.md list them.

/// Done.
pub(crate) const DONE: u8 = 0;
/// Something could not be read or written, or is not there.
pub(crate) const FAILED: u8 = 1;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 2;
/// The role does not move: it cannot, or the leader has refused.
pub(crate) const REFUSED: u8 = 3;
/// It was not seen to have moved within the timeout.
pub(crate) const LATE: u8 = 4;
/// Manifests are not injected, or cannot be injected or migrated; pods would be denied.
pub(crate) const UNINJECTED: u8 = 5;
/// A check has found an error.
pub(crate) const UNSOUND: u8 = 6;
/// Of the workloads that a plan is about, some would be refused.
pub(crate) const REFUSING: u8 = 7;
