//! How much of the Lease and the pods the account lets this sidecar see, and what follows them.
//!
//! An injected sidecar has the rights that it wants. One that took another system's place has those
//! that the other one had: it does with them, and says once what would be better.

use crate::api::Api;
use crate::client::{self, JSON};
use crate::config::Config;
use crate::contact::Contact;
use crate::metrics::Metrics;
use crate::pods;
use crate::poll::{LeasePoll, OwnPodPoll, RoutePoll};
use crate::watch::Watch;
use crate::watched::{GroupPods, GroupServices, News, TheLease};
use election::Input;
use http::Method;
use kube::Client;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// News that wait for the driver; watches wait when there are more.
const NEWS_MAX: usize = 64;
/// Longest time for one question about rights, milliseconds.
const REVIEW_MS_MAX: u64 = 3_000;
const REVIEW_PATH: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const COORDINATION: &str = "coordination.k8s.io";

/// How each kind of object is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sight {
    /// The Lease.
    pub lease: LeaseSight,
    /// The pods of the group.
    pub pods: PodSight,
    /// Whether Services are looked for that are annotated with the group.
    pub services: ServiceSight,
}

/// How the Lease is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeaseSight {
    /// By a watch.
    #[default]
    Watched,
    /// By reading it every retry period.
    Polled,
}

/// How the pods of the group are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PodSight {
    /// By a watch.
    #[default]
    Watched,
    /// By listing them every retry period.
    Listed,
    /// The own one alone, by reading it every retry period.
    OwnRead,
    /// The own one alone, by a patch that changes nothing, whose answer is the pod.
    OwnPatched,
    /// Not at all: the own one is taken to be there and ready.
    Imagined,
}

/// The patch that changes nothing.
pub(crate) const NO_CHANGE: &str = "{}";

impl PodSight {
    /// The own pod alone. Who may list pods has the right to read one, in all likelihood.
    pub(crate) fn of_own(self) -> Self {
        match self {
            Self::Watched | Self::Listed | Self::OwnRead => Self::OwnRead,
            Self::OwnPatched | Self::Imagined => Self::OwnPatched,
        }
    }
}

/// How the Services of the group are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServiceSight {
    /// By a watch.
    #[default]
    Watched,
    /// The one that is pointed by its selector, by reading it every retry period.
    Polled,
    /// There are none.
    None,
}

impl Sight {
    /// The best that the rights in this namespace allow, without Services.
    pub(crate) async fn allowed(client: &Client, namespace: &str) -> Self {
        let may = async |verb, group, resource| {
            let right = Right {
                verb,
                group,
                resource,
                name: "",
            };
            allowed(client, namespace, right).await
        };
        let lease =
            may("list", COORDINATION, "leases").await && may("watch", COORDINATION, "leases").await;
        let pods = match () {
            () if may("watch", "", "pods").await => PodSight::Watched,
            () if may("list", "", "pods").await => PodSight::Listed,
            () if may("get", "", "pods").await => PodSight::OwnRead,
            () => PodSight::OwnPatched,
        };
        Self {
            lease: if lease {
                LeaseSight::Watched
            } else {
                LeaseSight::Polled
            },
            pods,
            services: ServiceSight::None,
        }
    }

    /// Says what would be better, with the line that makes it so.
    pub(crate) fn tell(self, namespace: &str) {
        let mut missing = Vec::new();
        if self.lease == LeaseSight::Polled {
            missing.push("leases.coordination.k8s.io");
        }
        if !matches!(self.pods, PodSight::Watched | PodSight::Imagined) {
            missing.push("pods");
        }
        if missing.is_empty() {
            return;
        }
        let resources = missing.join(",");
        let cure = format!(
            "kubectl -n {namespace} create role active-passive-watch --verb=get,list,watch \
             --resource={resources} && kubectl -n {namespace} create rolebinding \
             active-passive-watch --role=active-passive-watch \
             --group=system:serviceaccounts:{namespace}"
        );
        tracing::info!(
            cure,
            "there is no right to watch {resources}: they are asked for every retry period instead"
        );
    }
}

/// A right in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Right<'a> {
    pub(crate) verb: &'a str,
    pub(crate) group: &'a str,
    pub(crate) resource: &'a str,
    /// The object; "": all of them. A role may allow one by its name.
    pub(crate) name: &'a str,
}

/// Whether the account has a right.
pub(crate) async fn allowed(client: &Client, namespace: &str, right: Right<'_>) -> bool {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "namespace": namespace, "verb": right.verb, "group": right.group,
            "resource": right.resource, "name": right.name,
        }},
    });
    let body = Some((JSON, review.to_string().into_bytes()));
    let call = client::call(client, client::request(Method::POST, REVIEW_PATH, body));
    let Ok(Ok(reply)) = timeout(Duration::from_millis(REVIEW_MS_MAX), call).await else {
        return false;
    };
    let answer: Result<Value, _> = serde_json::from_slice(&reply.body);
    answer.is_ok_and(|answer| answer.pointer("/status/allowed") == Some(&Value::Bool(true)))
}

/// What is followed.
pub(crate) struct Followed {
    pub(crate) config: Arc<Config>,
    pub(crate) client: Client,
    pub(crate) api: Api,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) contact: Arc<Contact>,
    pub(crate) pods: GroupPods,
    pub(crate) services: GroupServices,
}

impl Followed {
    /// Follows all of it from now on.
    pub(crate) fn start(self) -> mpsc::Receiver<News> {
        let (sender, news) = mpsc::channel(NEWS_MAX);
        let (sight, every_ms) = (self.config.sight, self.config.params.retry_period_ms);
        match sight.lease {
            LeaseSight::Watched => {
                let lease = self.watch(TheLease(self.config.clone()), &sender);
                tokio::spawn(lease.run());
            }
            LeaseSight::Polled => {
                let poll = LeasePoll {
                    client: self.client.clone(),
                    config: self.config.clone(),
                    metrics: self.metrics.clone(),
                    contact: self.contact.clone(),
                    news: sender.clone(),
                };
                tokio::spawn(poll.run());
            }
        }
        let (client, metrics, contact) = (self.client, self.metrics, self.contact);
        let group_pods = Watch::new(
            client.clone(),
            self.pods,
            metrics.clone(),
            contact.clone(),
            sender.clone(),
        );
        match sight.pods {
            PodSight::Watched => drop(tokio::spawn(group_pods.run())),
            PodSight::Listed => drop(tokio::spawn(group_pods.list_every(every_ms))),
            PodSight::OwnRead | PodSight::OwnPatched => {
                let poll = OwnPodPoll {
                    api: self.api.clone(),
                    news: sender.clone(),
                };
                tokio::spawn(poll.run());
            }
            PodSight::Imagined => {
                let own = News::Input(Input::PodsListed(vec![pods::imagined(&self.config)]));
                drop(sender.try_send(own));
            }
        }
        match sight.services {
            ServiceSight::Watched => {
                let services = Watch::new(client, self.services, metrics, contact, sender);
                tokio::spawn(services.run());
            }
            ServiceSight::Polled => {
                let (api, news) = (self.api, sender);
                tokio::spawn(RoutePoll { api, news }.run());
            }
            ServiceSight::None => {
                // The channel is new, and has room.
                let none = News::Input(Input::ServicesListed(Vec::new()));
                drop(sender.try_send(none));
            }
        }
        news
    }

    fn watch<W: crate::watched::Watched>(&self, watched: W, news: &mpsc::Sender<News>) -> Watch<W> {
        Watch::new(
            self.client.clone(),
            watched,
            self.metrics.clone(),
            self.contact.clone(),
            news.clone(),
        )
    }
}
