//! What the program does beside serving: short errands, which the chart's hooks run as Jobs, and
//! Service mode, which runs in pods of its own.

use crate::client::{ConnectError, connect};
use crate::run::RunError;
use crate::{check, farewell, service_mode};
use clap::{Args, Parser};
use common::shutdown::Shutdown;
use std::ffi::OsStr;

/// Names of the errands, as first argument.
const NAMES: [&str; 4] = ["check", "idle", "release-services", "service-mode"];

/// An errand of the program.
#[derive(Debug, Clone, Parser)]
#[command(name = "active-passive-webhook", version)]
pub enum Task {
    /// See whether a pod with the annotation gets the sidecar, and with --image, whether a role moves.
    Check(CheckArgs),
    /// Wait for SIGTERM: the application of `check`.
    Idle,
    /// Take our key out of the selectors of all Services, once the installation is gone.
    ReleaseServices(ReleaseArgs),
    /// Give the traffic of annotated Services to one of their pods each, until SIGTERM.
    ServiceMode(service_mode::ServiceModeArgs),
}

/// Of [`Task::Check`].
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Namespace for pods, which nobody else uses.
    #[arg(long)]
    pub namespace: String,
    /// Image of this program, which the pods of the moving role run. Without it none moves.
    #[arg(long)]
    pub image: Option<String>,
    /// When it is pulled.
    #[arg(long, default_value = "IfNotPresent")]
    pub image_pull_policy: String,
}

/// Of [`Task::ReleaseServices`].
#[derive(Debug, Clone, Args)]
pub struct ReleaseArgs {
    /// MutatingWebhookConfiguration of the installation.
    #[arg(long, default_value = "active-passive")]
    pub configuration: String,
}

/// Why an errand failed.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// Signals cannot be received.
    #[error("cannot register for signals: {0}")]
    Signals(#[source] std::io::Error),
    /// There is no way to the API server.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The installation does not do what it should.
    #[error(transparent)]
    Check(#[from] check::CheckError),
    /// Services were not released.
    #[error(transparent)]
    Farewell(#[from] farewell::FarewellError),
    /// Service mode cannot go on.
    #[error(transparent)]
    ServiceMode(#[from] RunError),
}

impl Task {
    /// The errand that the first argument names; a wrong line of one ends the program.
    #[must_use]
    pub fn asked() -> Option<Self> {
        let first = std::env::args_os().nth(1)?;
        let named = NAMES.iter().any(|name| first == OsStr::new(name));
        named.then(Self::parse)
    }

    /// Does it.
    ///
    /// # Errors
    /// If it cannot be done, or what it looks for does not hold.
    pub async fn run(self) -> Result<(), TaskError> {
        match self {
            Self::Idle => {
                let mut shutdown = Shutdown::register().map_err(TaskError::Signals)?;
                shutdown.requested().await;
            }
            Self::Check(args) => check::check(connect().await?, &args).await?,
            Self::ReleaseServices(args) => {
                farewell::release(connect().await?, &args.configuration).await?;
            }
            Self::ServiceMode(args) => service_mode::run(args).await?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_errand_is_told_from_the_server_by_its_name() {
        let command = Task::command();
        let names: Vec<&str> = command
            .get_subcommands()
            .map(clap::Command::get_name)
            .collect();
        assert_eq!(names, NAMES);
    }
}
