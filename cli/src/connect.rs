//! The cluster: found as kubectl finds it, asked with a limit on each request.

use crate::args::Common;
use crate::failure::Failure;
use futures_util::Stream;
use http::{Method, Request, StatusCode, header};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::WatchEvent;
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error;
use std::time::Duration;
use tokio::time::timeout;

/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Errors above each other that are looked through.
const CAUSES_MAX: usize = 16;
/// Who has written, for whoever asks later: a pause says whose it is.
const MANAGER: &str = "kubectl-active-passive";
/// The namespace where nobody names one.
const NAMESPACE: &str = "default";
const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// A cluster, and the namespace that is meant where none is named.
pub(crate) struct Cluster {
    client: Client,
    pub(crate) namespace: String,
    /// Host and port of the API server.
    pub(crate) address: String,
    request_timeout: Duration,
}

/// Reads the kubeconfig. Without one, in a pod, its service account is used, as kubectl does.
pub(crate) async fn connect(common: &Common) -> Result<Cluster, Failure> {
    let options = KubeConfigOptions {
        context: common.context.clone(),
        ..Default::default()
    };
    let read = match &common.kubeconfig {
        Some(file) => match Kubeconfig::read_from(file) {
            Ok(file) => Config::from_custom_kubeconfig(file, &options).await,
            Err(error) => Err(error),
        },
        None => Config::from_kubeconfig(&options).await,
    };
    let chosen = common.kubeconfig.is_some() || common.context.is_some();
    let mut config = match read {
        Ok(config) => config,
        Err(error) if chosen => return Err(Failure::Kubeconfig(error)),
        Err(error) => Config::incluster().map_err(|_| Failure::Kubeconfig(error))?,
    };
    // Repeating is for whoever waits, and bounded by their timeout.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT.min(common.request_timeout));
    if let Some(user) = &common.impersonate {
        config.auth_info.impersonate = Some(user.clone());
        config.auth_info.impersonate_groups = Some(common.impersonate_groups.clone());
    }
    let namespace = common.namespace.clone();
    let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
    let address = config.cluster_url.authority().map(ToString::to_string);
    let client = Client::try_from(config).map_err(|error| Failure::Client(Box::new(error)))?;
    Ok(Cluster {
        client,
        namespace,
        address: address.unwrap_or_default(),
        request_timeout: common.request_timeout,
    })
}

/// Where an object goes that names no namespace, without asking a cluster: as the command line says,
/// or the context. Where neither does, or there is no kubeconfig: `default`.
pub(crate) fn namespace(common: &Common) -> Result<String, Failure> {
    if let Some(namespace) = &common.namespace {
        return Ok(namespace.clone());
    }
    let read = match &common.kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let chosen = common.kubeconfig.is_some() || common.context.is_some();
    let config = match read {
        Ok(config) => config,
        Err(error) if chosen => return Err(Failure::Kubeconfig(error)),
        Err(_) => return Ok(NAMESPACE.to_owned()),
    };
    let current = common.context.as_ref().or(config.current_context.as_ref());
    let mut contexts = config.contexts.iter();
    let context = contexts.find(|it| Some(&it.name) == current);
    if let (None, Some(name)) = (context, &common.context) {
        let error = KubeconfigError::LoadContext(name.clone());
        return Err(Failure::Kubeconfig(error));
    }
    let context = context.and_then(|it| it.context.as_ref());
    let namespace = context.and_then(|it| it.namespace.clone());
    let namespace = namespace.filter(|it| !it.is_empty());
    Ok(namespace.unwrap_or_else(|| NAMESPACE.to_owned()))
}

impl Cluster {
    /// GETs an object. `what` completes an error message.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<T, Failure> {
        self.send(what, Method::GET, path, Vec::new()).await
    }

    /// Merges `patch` into an object, and leaves this program's name there. Returns the version of
    /// what was written, 0 if it has none.
    pub(crate) async fn patch(
        &self,
        what: &str,
        path: &str,
        patch: &Value,
    ) -> Result<u64, Failure> {
        let body = patch.to_string().into_bytes();
        let path = format!("{path}?fieldManager={MANAGER}");
        let patched: Value = self.send(what, Method::PATCH, &path, body).await?;
        let version = patched["metadata"]["resourceVersion"].as_str();
        Ok(version.and_then(|it| it.parse().ok()).unwrap_or(0))
    }

    /// Opens a watch. Its lines have no limit of their own: who serves them bounds its objects.
    pub(crate) async fn events<T: DeserializeOwned + Clone>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<impl Stream<Item = kube::Result<WatchEvent<T>>> + use<T>, Failure> {
        let request = Request::get(path)
            .body(Vec::new())
            .map_err(|error| Failure::Request {
                what: what.to_owned(),
                source: error,
            })?;
        match timeout(self.request_timeout, self.client.request_events(request)).await {
            Ok(opened) => opened.map_err(|error| failure(what, error)),
            Err(_) => Err(self.late(what)),
        }
    }

    /// POSTs an object: a question to the API server, or a dry run.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
        object: &Value,
    ) -> Result<T, Failure> {
        let body = object.to_string().into_bytes();
        self.send(what, Method::POST, path, body).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Failure> {
        let content_type = if method == Method::PATCH {
            MERGE_PATCH
        } else {
            JSON
        };
        let mut request = Request::builder().method(method).uri(path);
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(body).map_err(|error| Failure::Request {
            what: what.to_owned(),
            source: error,
        })?;
        match timeout(self.request_timeout, self.client.request(request)).await {
            Ok(answer) => answer.map_err(|error| failure(what, error)),
            Err(_) => Err(self.late(what)),
        }
    }

    fn late(&self, what: &str) -> Failure {
        Failure::Late {
            what: what.to_owned(),
            waited_ms: self.request_timeout.as_millis(),
        }
    }
}

fn failure(what: &str, error: kube::Error) -> Failure {
    let what = what.to_owned();
    let (code, message) = match &error {
        kube::Error::Api(status) => (status.code, status.message.clone()),
        _ => (0, String::new()),
    };
    match StatusCode::from_u16(code) {
        Ok(StatusCode::FORBIDDEN) => Failure::Forbidden { what, message },
        Ok(StatusCode::NOT_FOUND) => Failure::NotFound { what, message },
        _ if matches!(error, kube::Error::Service(_) | kube::Error::HyperError(_)) => {
            Failure::Unreachable {
                what,
                why: root(&error),
            }
        }
        _ => Failure::Api {
            what,
            source: Box::new(error),
        },
    }
}

/// What is at the bottom of an error: those above it say where it was met.
fn root(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    for _ in 0..CAUSES_MAX {
        let Some(below) = cause.source() else { break };
        cause = below;
    }
    cause.to_string()
}

#[cfg(test)]
impl Cluster {
    /// One behind this client, without a kubeconfig.
    pub(crate) fn of(client: Client) -> Self {
        Self {
            namespace: client.default_namespace().to_owned(),
            client,
            address: String::new(),
            request_timeout: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests;
