//! The three things that are watched, and what news about them means to the elector.

use crate::api::{leases_path, pods_path, services_path};
use crate::config::Config;
use crate::doubt::Doubt;
use crate::facts::Facts;
use crate::lease::Lease;
use crate::linger::Leaving;
use crate::object::{self, Reading, Unreadable};
use crate::pods;
use crate::routing;
use common::objects::Meta;
use common::pod::Pod;
use common::service::Service;
use election::{Input, PodView, Version};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;

/// News from a watch.
#[derive(Debug)]
pub(crate) enum News {
    /// The Lease, whole: the next write builds on it.
    Lease(Lease),
    /// Anything else, in the elector's terms.
    Input(Input),
}

/// A kind of object that is listed and watched.
pub(crate) trait Watched: Send + Sync + 'static {
    /// One object, as far as it is read.
    type Object: DeserializeOwned + Send;
    /// Name of the resource, for logs and metrics.
    const RESOURCE: &'static str;
    /// Whether everybody has the right to read these. Where it comes only with an annotated
    /// Service, its absence is nothing to complain about.
    const ALWAYS_ALLOWED: bool;
    /// What it means that there is no right to read these; `None`: nothing but trouble.
    const FORBIDDEN: Option<Input> = None;

    /// The settings.
    fn config(&self) -> &Config;
    /// Path of the list.
    fn path(&self) -> String;
    /// Query that picks the objects, ready to be sent; "" for all.
    fn selector(&self) -> String;
    /// Whether an object of a list is of interest. The others are not kept.
    fn picks(&self, _object: &Self::Object) -> bool {
        true
    }
    /// A whole list, as of `version`.
    fn listed(&mut self, objects: Vec<Self::Object>, version: Version) -> Result<News, Unreadable>;
    /// An object was added or changed. `None`: nothing that matters.
    fn changed(&mut self, object: Self::Object) -> Result<Option<News>, Unreadable>;
    /// Resolves once there is doubt whether these may still be watched; see [`Doubt`].
    fn doubted(&self, _last: Option<Instant>) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
    /// An object is gone, as of `version`.
    fn gone(&mut self, object: Self::Object, version: Version) -> Option<News>;
}

/// The group's Lease.
pub(crate) struct TheLease(pub(crate) Arc<Config>);

impl Watched for TheLease {
    type Object = Value;
    const RESOURCE: &'static str = "leases";
    const ALWAYS_ALLOWED: bool = true;

    fn config(&self) -> &Config {
        &self.0
    }

    fn path(&self) -> String {
        leases_path(&self.0.namespace)
    }

    fn selector(&self) -> String {
        format!("fieldSelector=metadata.name%3D{}", self.0.lease.name)
    }

    fn listed(&mut self, objects: Vec<Value>, version: Version) -> Result<News, Unreadable> {
        match objects.into_iter().next() {
            Some(lease) => Lease::read(lease).map(News::Lease),
            None => Ok(News::Input(Input::LeaseAbsent(version))),
        }
    }

    fn changed(&mut self, object: Value) -> Result<Option<News>, Unreadable> {
        Lease::read(object).map(News::Lease).map(Some)
    }

    fn gone(&mut self, _object: Value, version: Version) -> Option<News> {
        Some(News::Input(Input::LeaseAbsent(version)))
    }
}

/// The pods of the group.
pub(crate) struct GroupPods {
    config: Arc<Config>,
    facts: Facts,
    leaving: Leaving,
}

impl GroupPods {
    pub(crate) fn new(config: Arc<Config>, facts: Facts) -> Self {
        Self {
            config,
            facts,
            leaving: Leaving::default(),
        }
    }

    /// The own pod leaves once it has said that it takes no part any more.
    fn note_leaving(&self, pod: &Pod, view: &mut PodView) {
        if view.terminating {
            self.leaving.ask();
        }
        if self.leaving.is_asked() {
            let said = !self.config.mark.is_on(&pod.metadata) || self.leaving.is_done();
            (view.terminating, view.started) = (said, true);
        }
    }

    /// Shows the own pod as one that is on its way out, once that is said.
    pub(crate) fn leaving_by(self, leaving: Leaving) -> Self {
        Self { leaving, ..self }
    }

    fn view(&self, pod: &Pod) -> Result<PodView, Unreadable> {
        let mut view = pods::view(pod, &self.config)?;
        if pod.metadata.uid == self.config.params.identity.uid {
            self.facts.note_own_pod(&pod.metadata);
            if self.config.lingers {
                self.note_leaving(pod, &mut view);
            }
        }
        Ok(view)
    }
}

impl Watched for GroupPods {
    type Object = Pod;
    const RESOURCE: &'static str = "pods";
    const ALWAYS_ALLOWED: bool = true;

    fn config(&self) -> &Config {
        &self.config
    }

    fn path(&self) -> String {
        pods_path(&self.config.namespace)
    }

    fn selector(&self) -> String {
        self.config.members.query()
    }

    fn listed(&mut self, objects: Vec<Pod>, _version: Version) -> Result<News, Unreadable> {
        let pods = objects.iter().map(|pod| self.view(pod));
        let pods = pods.collect::<Result<_, _>>()?;
        Ok(News::Input(Input::PodsListed(pods)))
    }

    fn changed(&mut self, object: Pod) -> Result<Option<News>, Unreadable> {
        let view = self.view(&object)?;
        Ok(Some(News::Input(Input::PodSeen(view))))
    }

    fn gone(&mut self, object: Pod, _version: Version) -> Option<News> {
        Some(News::Input(Input::PodGone(object.metadata.uid)))
    }
}

/// The Services of the namespace whose traffic follows the group. The API cannot select by
/// annotation, so all of them pass by here.
pub(crate) struct GroupServices {
    config: Arc<Config>,
    facts: Facts,
    /// Names of those of the group, to see when one is no longer.
    known: BTreeSet<String>,
    doubt: Arc<Doubt>,
}

impl GroupServices {
    pub(crate) fn new(config: Arc<Config>, facts: Facts, doubt: Arc<Doubt>) -> Self {
        Self {
            config,
            facts,
            known: BTreeSet::new(),
            doubt,
        }
    }
}

impl Watched for GroupServices {
    type Object = Service;
    const RESOURCE: &'static str = "services";
    const ALWAYS_ALLOWED: bool = false;
    const FORBIDDEN: Option<Input> = Some(Input::ServicesForbidden);

    fn config(&self) -> &Config {
        &self.config
    }

    fn path(&self) -> String {
        services_path(&self.config.namespace)
    }

    fn selector(&self) -> String {
        String::new()
    }

    fn picks(&self, service: &Service) -> bool {
        service.group() == Some(self.config.group.as_str())
    }

    fn listed(&mut self, objects: Vec<Service>, _version: Version) -> Result<News, Unreadable> {
        let services = objects
            .iter()
            .map(routing::view)
            .collect::<Result<Vec<_>, _>>()?;
        self.facts.list_services(&objects);
        self.known = services
            .iter()
            .map(|service| service.name.clone())
            .collect();
        Ok(News::Input(Input::ServicesListed(services)))
    }

    fn changed(&mut self, object: Service) -> Result<Option<News>, Unreadable> {
        if !self.picks(&object) {
            self.facts.lose_service(&object.metadata.name);
            let left = self.known.remove(&object.metadata.name);
            let version = object.metadata.version()?;
            let gone = Input::ServiceGone(object.metadata.name, version);
            return Ok(left.then_some(News::Input(gone)));
        }
        let view = routing::view(&object)?;
        self.facts.note_service(&object);
        self.known.insert(view.name.clone());
        Ok(Some(News::Input(Input::ServiceSeen(view))))
    }

    fn gone(&mut self, object: Service, version: Version) -> Option<News> {
        self.facts.lose_service(&object.metadata.name);
        let known = self.known.remove(&object.metadata.name);
        known.then_some(News::Input(Input::ServiceGone(
            object.metadata.name,
            version,
        )))
    }

    async fn doubted(&self, last: Option<Instant>) {
        self.doubt.raised(last).await;
    }
}

/// The resourceVersion of any object.
pub(crate) fn version_of(json: &[u8]) -> Result<(String, Version), Unreadable> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        metadata: Meta,
    }
    let text = object::read::<Versioned>(json)?.metadata.resource_version;
    let version = object::version(&text)?;
    Ok((text, version))
}
