//! Lists of all namespaces that policies are about, page by page: of a few namespaces each by itself,
//! of many all at once.

use crate::client::{ApiError, REQUEST_DEADLINE, within};
use inject::policy::{Labels, WorkloadKind};
use k8s_openapi::NamespaceResourceScope;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, ObjectList, ObjectMeta, PartialObjectMeta};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Namespaces that are listed each by itself.
const FEW: usize = 20;
/// Whole objects of one page. One has up to about 1.5 MiB: at worst 15 MiB of text, and as a tree of
/// JSON some times as much.
const PAGE_WHOLE: u32 = 10;
/// Metadata of one page. The annotations of an object have up to 256 KiB: at worst 25 MiB of them, and
/// an answer is held twice while it is read.
const PAGE_METADATA: u32 = 100;
/// Pages of one list: two million pods, 200,000 workloads.
const PAGES_MAX: usize = 20_000;

/// Where is listed.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    client: &'a Client,
    namespaces: &'a BTreeMap<String, Labels>,
}

impl<'a> Places<'a> {
    /// Places that hold these namespaces, and perhaps others.
    pub fn of(client: &'a Client, namespaces: &'a BTreeMap<String, Labels>) -> Self {
        Self { client, namespaces }
    }

    /// Hands every workload of a kind to `each`.
    ///
    /// # Errors
    /// If a page cannot be read.
    pub async fn workloads(
        &self,
        kind: WorkloadKind,
        each: impl FnMut(DynamicObject),
    ) -> Result<(), ApiError> {
        let list = async |api: &Api<DynamicObject>, params: &ListParams| api.list(params).await;
        self.every(PAGE_WHOLE, |place| self.of_kind(kind, place), list, each)
            .await
    }

    /// Hands the metadata of every workload of a kind to `each`.
    ///
    /// # Errors
    /// If a page cannot be read.
    pub async fn names(
        &self,
        kind: WorkloadKind,
        mut each: impl FnMut(ObjectMeta),
    ) -> Result<(), ApiError> {
        let list =
            async |api: &Api<DynamicObject>, params: &ListParams| api.list_metadata(params).await;
        let api = |place: Option<&str>| self.of_kind(kind, place);
        self.every(PAGE_METADATA, api, list, |object| each(object.metadata))
            .await
    }

    fn of_kind(&self, kind: WorkloadKind, place: Option<&str>) -> Api<DynamicObject> {
        let resource = resource(kind);
        match place {
            Some(name) => Api::namespaced_with(self.client.clone(), name, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Hands every object of a kind to `each`.
    ///
    /// # Errors
    /// If a page cannot be read.
    pub async fn whole<K>(&self, each: impl FnMut(K)) -> Result<(), ApiError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + DeserializeOwned + Debug,
    {
        let list = async |api: &Api<K>, params: &ListParams| api.list(params).await;
        self.every(PAGE_WHOLE, |place| self.api(place), list, each)
            .await
    }

    /// Hands the metadata of every object of a kind to `each`.
    ///
    /// # Errors
    /// If a page cannot be read.
    pub async fn metadata<K>(&self, each: impl FnMut(PartialObjectMeta<K>)) -> Result<(), ApiError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
        K: Clone + DeserializeOwned + Debug,
    {
        let list = async |api: &Api<K>, params: &ListParams| api.list_metadata(params).await;
        self.every(PAGE_METADATA, |place| self.api(place), list, each)
            .await
    }

    fn api<K>(&self, place: Option<&str>) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match place {
            Some(name) => Api::namespaced(self.client.clone(), name),
            None => Api::all(self.client.clone()),
        }
    }

    async fn every<K, T: Clone>(
        &self,
        page: u32,
        api: impl Fn(Option<&str>) -> Api<K>,
        list: impl AsyncFn(&Api<K>, &ListParams) -> kube::Result<ObjectList<T>>,
        mut each: impl FnMut(T),
    ) -> Result<(), ApiError> {
        let names = self.namespaces.keys().map(|name| Some(name.as_str()));
        let places = match self.namespaces.len() {
            0..=FEW => names.collect(),
            _ => vec![None],
        };
        for place in places {
            let api = api(place);
            let mut params = ListParams::default().limit(page);
            for _ in 0..PAGES_MAX {
                let listed = within(REQUEST_DEADLINE, list(&api, &params)).await?;
                listed.items.into_iter().for_each(&mut each);
                match listed.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params = params.continue_token(&token),
                    None => break,
                }
            }
        }
        Ok(())
    }
}

/// A kind of workload, as requests name it.
pub(super) fn resource(kind: WorkloadKind) -> ApiResource {
    ApiResource {
        group: kind.group().to_owned(),
        version: "v1".to_owned(),
        api_version: format!("{}/v1", kind.group()),
        kind: kind.as_str().to_owned(),
        plural: kind.plural().to_owned(),
    }
}

/// A workload as the API server has it, as far as it is looked at.
pub(super) fn read(object: DynamicObject) -> Value {
    let mut data = object.data;
    let metadata = &object.metadata;
    json!({
        "metadata": {
            "name": metadata.name,
            "creationTimestamp": metadata.creation_timestamp,
            "ownerReferences": metadata.owner_references,
        },
        "spec": data.get_mut("spec").map(Value::take).unwrap_or_default(),
    })
}
