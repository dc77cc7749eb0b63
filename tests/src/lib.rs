//! The real cluster, the load client and the pieces of the test runner.
//!
//! Nothing here is a mock: `cluster` starts etcd, the API server and the other programs of
//! Kubernetes from the versions pinned in `tests/kubernetes`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

use std::path::{Path, PathBuf};

pub mod admission;
pub mod bench;
pub mod clock;
pub mod cluster;
pub mod demo;
pub mod load;
pub mod monitoring;
pub mod mutants;
pub mod observe;
pub mod progress;
pub mod scene;
pub mod system;

/// Root of the project.
#[must_use]
pub fn project_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default()
}
