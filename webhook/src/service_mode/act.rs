//! Sends what the planner wants written, and the Events that tell people of it.
//!
//! Every write names the version of the object that it was decided on, so one that comes late, after
//! somebody else wrote, changes nothing.

use crate::client::{ApiError, FIELD_MANAGER, REQUEST_DEADLINE, post, within};
use crate::service_mode::facts::{ASKED, Claim, Name, PodFacts, ServiceFacts};
use crate::service_mode::plan::{Active, PodWrite, ServiceWrite, Write};
use common::contract::{self, default};
use common::pod::Pod;
use common::service::Service;
use http::Method;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client};
use serde_json::{Map, Value, json};
use std::time::Duration;

const MERGE_PATCH: &str = "application/merge-patch+json";

/// An object after a write.
#[derive(Debug)]
pub(crate) enum Written {
    /// A pod.
    Pod(Option<PodFacts>),
    /// A Service; `None`: Service mode has nothing to do with it any more.
    Service(Name, Option<ServiceFacts>),
}

/// Sends one write, and gives it up after `limit`.
pub(crate) async fn send(
    client: &Client,
    write: &Write,
    limit: Duration,
) -> Result<Written, ApiError> {
    match write {
        Write::Pod(write) => {
            let path = path(&write.name, "pods", "/status");
            let pod: Pod = patch(client, &path, &pod_patch(write), limit).await?;
            Ok(Written::Pod(PodFacts::of(&pod)))
        }
        Write::Service(write) => {
            let path = path(&write.name, "services", "");
            let service: Service = patch(client, &path, &service_patch(write), limit).await?;
            Ok(Written::Service(
                write.name.clone(),
                ServiceFacts::of(&service),
            ))
        }
    }
}

fn path(name: &Name, kind: &str, subresource: &str) -> String {
    let Name { namespace, name } = name;
    format!("/api/v1/namespaces/{namespace}/{kind}/{name}{subresource}")
}

async fn patch<T: serde::de::DeserializeOwned>(
    client: &Client,
    path: &str,
    body: &Value,
    limit: Duration,
) -> Result<T, ApiError> {
    let request = http::Request::builder()
        .method(Method::PATCH)
        .uri(format!("{path}?fieldManager={FIELD_MANAGER}"))
        .header(http::header::CONTENT_TYPE, MERGE_PATCH)
        .body(body.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    within(limit, client.request(request)).await
}

fn preconditions(uid: &str, version: u64) -> Map<String, Value> {
    let uid = ("uid".to_owned(), json!(uid));
    let version = ("resourceVersion".to_owned(), json!(version.to_string()));
    Map::from_iter([uid, version])
}

fn pod_patch(write: &PodWrite) -> Value {
    let mut metadata = preconditions(&write.uid, write.version);
    let labels = write.labels.iter();
    let labels = labels.map(|(key, value)| ((*key).to_owned(), json!(value)));
    metadata.insert("labels".to_owned(), labels.collect::<Map<_, _>>().into());
    let mark = write.mark.then_some(ASKED);
    metadata.insert("annotations".to_owned(), json!({contract::MODE: mark}));
    json!({"metadata": metadata})
}

fn service_patch(write: &ServiceWrite) -> Value {
    let mut metadata = preconditions(&write.uid, write.version);
    let active = match &write.active {
        Active::Pod { uid, .. } => json!(uid),
        Active::Declined => json!(""),
        Active::Removed => Value::Null,
    };
    metadata.insert("annotations".to_owned(), json!({contract::ACTIVE: active}));
    let mut patch = json!({"metadata": metadata});
    if let Some(claim) = write.selector {
        patch["spec"] = json!({"selector": selector(&write.active, claim)});
    }
    patch
}

/// Our keys of a selector, for where nobody derives them.
fn selector(active: &Active, claim: Claim) -> Value {
    let (pod, points) = match active {
        Active::Pod { uid, .. } => (json!(uid), true),
        Active::Declined | Active::Removed => (Value::Null, false),
    };
    let compat = (points && claim.compat).then_some(default::ACTIVE_VALUE);
    json!({contract::POD: pod, contract::COMPAT_DESIGNATION: compat})
}

/// What people are told of a Service.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) service: Name,
    pub(crate) uid: Box<str>,
    pub(crate) reason: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) note: String,
}

/// Sends an Event; best effort, as Events are.
pub(crate) async fn tell(client: Client, told: Told) {
    let events: Api<Event> = Api::namespaced(client, &told.service.namespace);
    let event = event(&told, Timestamp::now());
    let params = post();
    if let Err(error) = within(REQUEST_DEADLINE, events.create(&params, &event)).await {
        let Name { namespace, name } = &told.service;
        tracing::warn!(%namespace, service = %name, %error, "cannot send an Event");
    }
}

fn event(told: &Told, now: Timestamp) -> Event {
    let Name { namespace, name } = &told.service;
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:x}", now.as_nanosecond())),
            namespace: Some(namespace.to_string()),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(now)),
        type_: Some(told.kind.to_owned()),
        reason: Some(told.reason.to_owned()),
        action: Some("ServiceMode".to_owned()),
        note: Some(told.note.clone()),
        reporting_controller: Some(FIELD_MANAGER.to_owned()),
        reporting_instance: Some(FIELD_MANAGER.to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            namespace: Some(namespace.to_string()),
            name: Some(name.to_string()),
            uid: Some(told.uid.to_string()),
            ..ObjectReference::default()
        }),
        ..Event::default()
    }
}
