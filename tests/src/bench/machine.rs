//! What was measured on, as far as a reader needs it.

use std::fmt::{self, Display, Formatter};
use std::fs;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, Doing, Result};

/// Variable of the environment.
const NOTE: &str = "NOTE";

/// The machine, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    /// Day, UTC.
    pub(super) day: String,
    /// Cores that the cluster and its load share.
    pub(super) cores: usize,
    /// Version of Linux.
    pub(super) linux: String,
    /// Version of Kubernetes.
    pub(super) kubernetes: String,
    /// What else a reader must know, such as that other work ran meanwhile: `NOTE` of the
    /// environment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) note: String,
}

impl Machine {
    /// That of the cluster.
    ///
    /// # Errors
    /// If it cannot be found out.
    pub(super) async fn of(cluster: &Cluster) -> Result<Self> {
        let action = || "find out what is measured on".to_owned();
        let cores = std::thread::available_parallelism().doing(action)?;
        let linux = fs::read_to_string("/proc/sys/kernel/osrelease").doing(action)?;
        let version = cluster.client().apiserver_version().await.doing(action)?;
        let numbers = |c: char| c.is_ascii_digit() || c == '.';
        Ok(Self {
            day: Timestamp::now().strftime("%Y-%m-%d").to_string(),
            cores: cores.get(),
            linux: linux.chars().take_while(|c| numbers(*c)).collect(),
            kubernetes: version.git_version,
            note: std::env::var(NOTE).unwrap_or_default(),
        })
    }
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            day,
            cores,
            linux,
            kubernetes,
            note,
        } = self;
        write!(
            f,
            "Measured on {day}: {cores} cores, Linux {linux}, Kubernetes {kubernetes}."
        )?;
        match note.is_empty() {
            true => Ok(()),
            false => write!(f, " {note}"),
        }
    }
}
