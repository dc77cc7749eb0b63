//! Objects as they are listed and watched, read into the small types of `common`: fields that
//! nothing depends on are skipped while they are parsed.

use crate::watch::{Events, Feed};
use common::pod::Pod;
use common::service::Service;
use futures_util::StreamExt;
use kube::Client;
use kube::api::{ListParams, WatchParams};
use kube::core::ObjectList;
use kube::core::request::Request;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// A kind of object, by its path.
pub(crate) trait Kind: DeserializeOwned + Clone + Send + Sync + 'static {
    /// Where all of them are listed.
    const PATH: &'static str;
    /// resourceVersion.
    fn version(&self) -> &str;
}

impl Kind for Pod {
    const PATH: &'static str = "/api/v1/pods";

    fn version(&self) -> &str {
        &self.metadata.resource_version
    }
}

impl Kind for Service {
    const PATH: &'static str = "/api/v1/services";

    fn version(&self) -> &str {
        &self.metadata.resource_version
    }
}

/// All objects of a kind, in every namespace.
pub(crate) struct Everywhere<K> {
    client: Client,
    kind: PhantomData<fn() -> K>,
}

impl<K> Everywhere<K> {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            kind: PhantomData,
        }
    }
}

impl<K: Kind> Feed for Everywhere<K> {
    type Object = K;

    async fn list(&self, params: &ListParams) -> kube::Result<ObjectList<K>> {
        let request = Request::new(K::PATH).list(params);
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.client.request(request).await
    }

    async fn watch(&self, params: &WatchParams, version: &str) -> kube::Result<Events<K>> {
        let request = Request::new(K::PATH).watch(params, version);
        let request = request.map_err(kube::Error::BuildRequest)?;
        Ok(self.client.request_events(request).await?.boxed())
    }

    fn version(object: &K) -> Option<String> {
        Some(object.version().to_owned()).filter(|version| !version.is_empty())
    }
}
