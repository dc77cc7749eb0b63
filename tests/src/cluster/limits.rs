//! Limits of the machine that many clusters at a time run into.

use std::fs;

use super::error::{Doing, Result};
use super::state;
use crate::progress;

/// Watchers of files that all programs of a user share.
const INOTIFY: &str = "/proc/sys/fs/inotify/max_user_instances";
/// What a cluster of two nodes uses of it, and then some.
const INOTIFY_PER_CLUSTER: u64 = 25;
const INOTIFY_RAISED: u64 = 1_024;

/// Raises a limit where the clusters that run leave no room for one more. A few clusters
/// change nothing.
pub(crate) fn ensure() -> Result<()> {
    let action = || format!("raise {INOTIFY}");
    let limit: u64 = fs::read_to_string(INOTIFY)
        .doing(action)?
        .trim()
        .parse()
        .doing(action)?;
    let clusters = state::find()?.alive.len() as u64 + 1;
    if limit >= (clusters * INOTIFY_PER_CLUSTER).min(INOTIFY_RAISED) {
        return Ok(());
    }
    progress::line(&format!(
        "{INOTIFY}: {limit} is too low for {clusters} clusters"
    ));
    fs::write(INOTIFY, INOTIFY_RAISED.to_string()).doing(action)
}
