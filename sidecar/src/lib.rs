//! The sidecar: drives the elector of one pod.
//!
//! ```text
//! watches (Lease, pods, Services) ──news──▶ driver ──▶ Elector::step ──▶ one request at a time
//!                                             │
//!                                             ├─published─▶ HTTP, role file, notifications
//!                                             └─story─────▶ Kubernetes Events
//! ```
//!
//! Absent from it: any decision about roles, which is the elector's alone; retries, which are too;
//! and any use of wall time but to write it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod api;
mod cause;
mod client;
mod clock;
mod config;
mod contact;
mod credentials;
mod doubt;
mod drain;
mod driver;
mod events;
mod facts;
mod held;
mod histogram;
mod history;
mod http;
mod lease;
mod lines;
mod linger;
mod lookout;
mod members;
mod metrics;
mod notify;
mod object;
pub mod personality;
mod pods;
mod poll;
mod probe;
mod published;
mod refusals;
mod report;
mod rights;
mod role_file;
mod role_files;
mod routing;
mod selector_route;
mod serve;
mod sight;
mod story;
mod watch;
mod watched;

pub use client::{ClientError, client};
pub use clock::Clock;
pub use config::{Config, ConfigError, port};
pub use credentials::CredentialError;
pub use lease::{Fence, LeaseForm};
pub use members::{Mark, Members};
pub use notify::NotifyUrl;
pub use probe::{ProbeError, livez};
pub use role_file::RoleFileError;
pub use role_files::RoleFiles;
pub use selector_route::SelectorRoute;
pub use serve::ListenError;
pub use sight::{LeaseSight, PodSight, ServiceSight, Sight};

use api::Api;
use cause::Causes;
use contact::Contact;
use doubt::Doubt;
use driver::{Driver, Reach};
use election::Elector;
use events::{Delivery, Outbox};
use facts::Facts;
use http::App;
use lease::LastLease;
use linger::Leaving;
use metrics::Metrics;
use published::Publisher;
use sight::Followed;
use std::sync::Arc;
use std::time::Duration;
use story::Story;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use watched::{GroupPods, GroupServices};

/// How long files and notifications may take to say the last state, milliseconds.
const LAST_WORDS_MS_MAX: u64 = 200;

/// Why the sidecar does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its port is taken.
    #[error(transparent)]
    Listen(ListenError),
    /// Its status folder cannot be written.
    #[error(transparent)]
    RoleFile(RoleFileError),
}

/// Connections to the API server.
pub struct Clients {
    /// For the election and its watches.
    pub election: kube::Client,
    /// For Events, which must not take a connection that the election is about to use.
    pub events: kube::Client,
}

/// Runs the sidecar until `terminated` has resolved and the role is given up.
///
/// # Errors
/// [`StartError`] if it cannot start. Once started, it only ends after `terminated`.
pub async fn run(
    config: Config,
    clients: Clients,
    terminated: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let config = Arc::new(config);
    let clock = Clock::boottime();
    let listener = listen(&config).await?;
    let metrics = Arc::new(Metrics::default());
    let publisher = Publisher::new(config.params.lease_duration_ms);
    let app = App::new(
        config.clone(),
        publisher.subscribe(),
        clock,
        metrics.clone(),
    );
    let last_cycle = app.last_cycle.clone();
    let mut readers = readers(&config, &publisher, clock);
    if let Some(listener) = listener {
        tokio::spawn(serve::serve(listener, app.router()));
    }
    let (outbox, events) = Outbox::new(metrics.clone());
    let delivery = Delivery {
        client: clients.events,
        clock,
        config: config.clone(),
        metrics: metrics.clone(),
    };
    readers.spawn(delivery.run(events));
    let facts = Facts::default();
    let contact = Arc::new(Contact::default());
    let doubt = Arc::new(Doubt::default());
    let leaving = Leaving::default();
    let connection = clients.election.clone();
    let api = Api::new(connection, config.clone(), metrics.clone(), doubt.clone());
    let followed = Followed {
        api: api.clone(),
        client: clients.election.clone(),
        pods: GroupPods::new(config.clone(), facts.clone()).leaving_by(leaving.clone()),
        services: GroupServices::new(config.clone(), facts.clone(), doubt.clone()),
        config: config.clone(),
        metrics: metrics.clone(),
        contact: contact.clone(),
    };
    let news = followed.start();
    if config.lingers {
        tokio::spawn(leaving.clone().run(api.clone()));
    }
    lookout::start(&contact, &config, &api);
    let driver = Driver {
        elector: Elector::new(config.params.clone()),
        clock,
        story: Story::new(config, facts, metrics, outbox),
        api,
        publisher,
        last_cycle,
        last_lease: LastLease::default(),
        reach: Reach::new(contact),
        leaving,
    };
    driver.run(news, terminated).await;
    // The driver took the publisher along, so the readers end once they have said the last state.
    let last_words = async { while readers.join_next().await.is_some() {} };
    if timeout(Duration::from_millis(LAST_WORDS_MS_MAX), last_words)
        .await
        .is_err()
    {
        tracing::debug!("the last state may not have reached file and app");
    }
    Ok(())
}

/// Takes the port, and clears what an earlier run has told.
async fn listen(config: &Config) -> Result<Option<TcpListener>, StartError> {
    if let Some(folder) = &config.status_dir {
        role_file::clear(folder).map_err(StartError::RoleFile)?;
    }
    if let Some(files) = &config.role_files {
        files.clear();
    }
    match serve::listen(config.port).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if config.port_is_spare => {
            tracing::warn!(error = %Causes(&error), "nothing is answered by HTTP");
            Ok(None)
        }
        Err(error) => Err(StartError::Listen(error)),
    }
}

/// Starts whatever tells the app of the role. Each ends after the last state that is published.
fn readers(config: &Arc<Config>, publisher: &Publisher, clock: Clock) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    if let Some(folder) = config.status_dir.clone() {
        readers.spawn(role_file::keep(folder, publisher.subscribe(), clock));
    }
    if let Some(files) = config.role_files.clone() {
        readers.spawn(files.keep(publisher.subscribe(), clock));
    }
    if let Some(url) = config.notify_url.clone() {
        let state = publisher.subscribe();
        readers.spawn(notify::keep(url, state, clock, config.clone()));
    }
    readers
}

#[cfg(test)]
mod tests {
    use crate::Config;
    use common::contract::env;

    /// The settings of `web-1` in group `web` of namespace `shop`, all others by default.
    pub(crate) fn config() -> Config {
        Config::read(|name| {
            let value = match name {
                env::GROUP => "web",
                env::POD_NAME => "web-1",
                env::POD_UID => "u-1",
                env::POD_NAMESPACE => "shop",
                _ => return None,
            };
            Some(value.to_owned())
        })
        .unwrap()
    }
}
