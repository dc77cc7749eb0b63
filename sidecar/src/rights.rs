//! How pods are written: through their status subresource where the cluster's rights allow that,
//! which cannot change what a pod runs; through the pod itself where they do not.

use crate::api::{Api, Failed};
use crate::client::{JSON, MERGE_PATCH, Reply};
use crate::object::{self, Reading};
use crate::pods;
use crate::refusals::cure;
use common::objects::Meta;
use election::PodWrite;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const REVIEW_PATH: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// Least time between two looks at the account's rights, seconds.
const REVIEW_EVERY_S: u64 = 30;

/// Which way is in use, and when it was last put in question.
#[derive(Debug, Default)]
pub(crate) struct PodWays(Mutex<Chosen>);

#[derive(Debug, Clone, Copy, Default)]
struct Chosen {
    way: PodWay,
    reviewed_at: Option<Instant>,
}

impl PodWays {
    /// Writes the pod, in another way from now on if the rights for this one are missing. The
    /// answer is the pod as written.
    ///
    /// Rights are asked for when a write is refused, not at the start: those of a new group may
    /// not have reached every API server by then.
    pub(crate) async fn write(&self, api: &Api, write: &PodWrite) -> Result<Reply, Failed> {
        let chosen = self.chosen();
        let written = chosen.way.write(api, write).await;
        let refused = match written {
            Err(Failed::Status(reply)) if reply.status == StatusCode::FORBIDDEN => reply,
            written => return written,
        };
        let asked_lately = |at: Instant| at.elapsed() < Duration::from_secs(REVIEW_EVERY_S);
        if chosen.reviewed_at.is_some_and(asked_lately) {
            return Err(Failed::Status(refused));
        }
        let way = PodWay::best(api).await.unwrap_or(chosen.way);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Chosen {
            way,
            reviewed_at: Some(Instant::now()),
        };
        if way == chosen.way {
            return Err(Failed::Status(refused));
        }
        let cure = cure(refused.status, &refused.message(), &api.config);
        tracing::warn!(
            ?way,
            cure,
            "the preferred right to write pods is missing; another serves"
        );
        way.write(api, write).await
    }

    fn chosen(&self) -> Chosen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A way to write role, term and own label of a pod. The preferred one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum PodWay {
    /// PATCH pods/status.
    #[default]
    PatchStatus,
    /// PATCH pods.
    Patch,
    /// PUT pods.
    Update,
}

impl PodWay {
    const ALL: [Self; 3] = [Self::PatchStatus, Self::Patch, Self::Update];

    /// The right that it takes.
    fn right(self) -> (&'static str, &'static str) {
        match self {
            Self::PatchStatus => ("patch", "status"),
            Self::Patch => ("patch", ""),
            Self::Update => ("update", ""),
        }
    }

    /// The most preferred way that the account has the right for.
    async fn best(api: &Api) -> Option<Self> {
        for way in Self::ALL {
            if way.allowed(api).await {
                return Some(way);
            }
        }
        None
    }

    async fn write(self, api: &Api, write: &PodWrite) -> Result<Reply, Failed> {
        let path = api.pod_path(&write.name);
        let patch = pods::patch(write, &api.config);
        match self {
            Self::PatchStatus => {
                let body = Some((MERGE_PATCH, &patch));
                api.send("write_pod", Method::PATCH, &format!("{path}/status"), body)
                    .await
            }
            Self::Patch => {
                api.send(
                    "write_pod",
                    Method::PATCH,
                    &path,
                    Some((MERGE_PATCH, &patch)),
                )
                .await
            }
            Self::Update => {
                let read = api.send("read_pod", Method::GET, &path, None).await?;
                let mut pod: Value = object::read(&read.body).map_err(Failed::Unreadable)?;
                update(&mut pod, write, api)?;
                api.send("write_pod", Method::PUT, &path, Some((JSON, &pod)))
                    .await
            }
        }
    }

    async fn allowed(self, api: &Api) -> bool {
        let (verb, subresource) = self.right();
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": api.config.namespace, "resource": "pods",
                "verb": verb, "subresource": subresource,
            }},
        });
        let body = Some((JSON, &review));
        let Ok(reply) = api
            .send("review_access", Method::POST, REVIEW_PATH, body)
            .await
        else {
            return false;
        };
        let answer: Result<Value, _> = object::read(&reply.body);
        answer.is_ok_and(|answer| answer.pointer("/status/allowed") == Some(&Value::Bool(true)))
    }
}

/// Puts the write into a whole pod, if that is still what the elector saw.
fn update(pod: &mut Value, write: &PodWrite, api: &Api) -> Result<(), Failed> {
    let unreadable = |error| Failed::Unreadable(object::Unreadable::Json(error));
    let meta: Meta = serde_json::from_value(pod["metadata"].clone()).map_err(unreadable)?;
    if meta.uid != write.uid || meta.version().map_err(Failed::Unreadable)? != write.base {
        return Err(Failed::Outdated);
    }
    let changes = pods::changes(write, &api.config);
    for section in ["labels", "annotations"] {
        let target = &mut pod["metadata"][section];
        if !target.is_object() {
            *target = json!({});
        }
        let wanted = changes[section].as_object().into_iter().flatten();
        let Some(target) = target.as_object_mut() else {
            continue;
        };
        for (key, value) in wanted {
            match value {
                Value::Null => drop(target.remove(key)),
                value => drop(target.insert(key.clone(), value.clone())),
            }
        }
    }
    Ok(())
}
