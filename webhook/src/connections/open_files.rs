//! The limit of open files: each connection is one.

use super::CONNECTIONS_MAX;
/// Open files beside the connections with a place: those of the admin server, those that come and go,
/// those to the API server, and what the runtime has.
const OTHERS_MAX: usize = 320;

/// The limit, where it cannot be raised.
const USUAL: u64 = 1024;

/// How many connections there may be. The limit is raised as far as it goes: systemd and containerd
/// often leave it at 1024, for programs that cannot do with more.
pub fn connections_max() -> usize {
    let raised = rlimit::increase_nofile_limit(u64::MAX);
    let open_files = raised.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot raise the limit of open files");
        USUAL
    });
    let open_files = usize::try_from(open_files).unwrap_or(usize::MAX);
    let connections = open_files.saturating_sub(OTHERS_MAX);
    if connections < CONNECTIONS_MAX {
        tracing::warn!(open_files, connections, "the limit of open files is low");
    }
    connections.clamp(1, CONNECTIONS_MAX)
}
