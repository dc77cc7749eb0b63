//! Reads the Lease or the own pod again and again, where there is no right to watch.

use crate::api::{Api, lease_path};
use crate::cause::Causes;
use crate::client;
use crate::config::Config;
use crate::contact::Contact;
use crate::lease::Lease;
use crate::metrics::Metrics;
use crate::object;
use crate::watched::News;
use election::{Input, Version};
use http::{Method, StatusCode};
use kube::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Reads one Lease every retry period.
pub(crate) struct LeasePoll {
    pub(crate) client: Client,
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) contact: Arc<Contact>,
    pub(crate) news: mpsc::Sender<News>,
}

impl LeasePoll {
    /// Runs until nobody listens to the news.
    pub(crate) async fn run(self) {
        let every = Duration::from_millis(self.config.params.retry_period_ms);
        let mut known = Version::default();
        loop {
            if let Some(news) = self.read(&mut known).await
                && self.news.send(news).await.is_err()
            {
                return;
            }
            tokio::select! {
                () = sleep(every) => {}
                () = self.news.closed() => return,
            }
        }
    }

    /// The Lease as it is, or that there is none since the version that was last `known`.
    async fn read(&self, known: &mut Version) -> Option<News> {
        self.metrics.watch_begins("leases", "get");
        let request = client::request(Method::GET, &lease_path(&self.config), None);
        let limit = Duration::from_millis(self.config.params.attempt_ms_max());
        let Ok(answer) = timeout(limit, client::call(&self.client, request)).await else {
            self.contact.lost();
            return None;
        };
        let reply = match answer {
            Ok(reply) => reply,
            Err(error) => {
                self.contact.lost();
                tracing::debug!(error = %Causes(&error), "the Lease could not be read");
                return None;
            }
        };
        self.contact.made();
        if reply.status == StatusCode::NOT_FOUND {
            return Some(News::Input(Input::LeaseAbsent(*known)));
        }
        if !reply.status.is_success() {
            let status = reply.status.as_u16();
            tracing::warn!(
                status,
                error = reply.message(),
                "the Lease could not be read"
            );
            return None;
        }
        match object::read(&reply.body).and_then(Lease::read) {
            Ok(lease) => {
                *known = lease.view.version;
                Some(News::Lease(lease))
            }
            Err(error) => {
                tracing::warn!(%error, "the Lease could not be read");
                None
            }
        }
    }
}

/// Reads the own pod every retry period.
pub(crate) struct OwnPodPoll {
    pub(crate) api: Api,
    pub(crate) news: mpsc::Sender<News>,
}

impl OwnPodPoll {
    /// Runs until nobody listens to the news.
    pub(crate) async fn run(self) {
        let params = &self.api.config.params;
        let every = Duration::from_millis(params.retry_period_ms);
        let limit = Duration::from_millis(params.attempt_ms_max());
        let identity = params.identity.clone();
        loop {
            let read = self.api.read_own_pod(&identity.name);
            if let Ok(Some(pod)) = timeout(limit, read).await {
                let own = (pod.uid == identity.uid).then_some(pod);
                let news = News::Input(Input::PodsListed(own.into_iter().collect()));
                if self.news.send(news).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = sleep(every) => {}
                () = self.news.closed() => return,
            }
        }
    }
}

/// Reads the Service that is pointed by its selector, every retry period.
pub(crate) struct RoutePoll {
    pub(crate) api: Api,
    pub(crate) news: mpsc::Sender<News>,
}

impl RoutePoll {
    /// Runs until nobody listens to the news.
    pub(crate) async fn run(self) {
        let params = &self.api.config.params;
        let every = Duration::from_millis(params.retry_period_ms);
        let limit = Duration::from_millis(params.attempt_ms_max());
        let Some(route) = self.api.config.route.clone() else {
            return;
        };
        loop {
            let read = self.api.read_routed(&route.service);
            if let Ok(service) = timeout(limit, read).await {
                let services = service.into_iter().collect();
                let news = News::Input(Input::ServicesListed(services));
                if self.news.send(news).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = sleep(every) => {}
                () = self.news.closed() => return,
            }
        }
    }
}
