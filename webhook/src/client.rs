//! The client of the API server.

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Config};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for the API server to take what we send.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for one answer; watches have limits of their own.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// Owner of every field that this program writes, apart from Helm's.
pub const FIELD_MANAGER: &str = "active-passive-webhook";

/// Parameters of every creation and replacement.
pub fn post() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The API server answered with an error, or the connection failed.
    #[error("{}", words(.0))]
    Answer(#[from] kube::Error),
    /// There was none in time.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
}

/// What the API server says in its own words; kube adds the whole of its answer.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        error => error.to_string(),
    }
}

impl ApiError {
    /// Whether the API server has decided against it, and would again.
    pub fn is_refusal(&self) -> bool {
        let refusal = |status: &kube::core::Status| [400, 403, 422].contains(&status.code);
        matches!(self, Self::Answer(kube::Error::Api(status)) if refusal(status))
    }

    /// Whether somebody else was first.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Answer(kube::Error::Api(status)) if status.code == 409)
    }

    /// Whether what was sent does not go with what is there: a patch whose test fails, for one.
    pub fn is_unprocessable(&self) -> bool {
        matches!(self, Self::Answer(kube::Error::Api(status)) if status.code == 422)
    }

    /// Whether the object, or what it would be put into, does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Answer(kube::Error::Api(status)) if status.is_not_found())
    }

    /// Whether the namespace is going away, where nothing can be made any more.
    pub fn is_namespace_ending(&self) -> bool {
        let ending = |status: &kube::core::Status| {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            causes
                .into_iter()
                .any(|cause| cause.reason == "NamespaceTerminating")
        };
        matches!(self, Self::Answer(kube::Error::Api(status)) if ending(status))
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no way to the API server.
    #[error("no configuration for the API server, neither in KUBECONFIG nor in a pod: {0}")]
    Config(#[source] kube::config::InferConfigError),
    /// The client cannot be made.
    #[error("cannot make a client for the API server: {0}")]
    Client(#[source] kube::Error),
}

/// A client for the API server of KUBECONFIG or of the pod.
///
/// # Errors
/// If there is none, or its files cannot be used.
pub async fn connect() -> Result<Client, ConnectError> {
    let config = Config::infer().await.map_err(ConnectError::Config)?;
    Client::try_from(bounded(config)).map_err(ConnectError::Client)
}

/// The settings of every client here. kube's own retries would hide fifteen attempts, some minutes
/// long, in one call that an admission waits for.
fn bounded(mut config: Config) -> Config {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.write_timeout = Some(WRITE_TIMEOUT);
    // Between two events of a watch minutes may pass. Single requests go through `within`.
    config.read_timeout = None;
    config
}

/// One request, with a deadline.
///
/// # Errors
/// What the request fails with, or that there was no answer in time.
pub async fn within<T>(
    deadline: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(deadline, request).await {
        Ok(answer) => answer.map_err(ApiError::Answer),
        Err(_) => Err(ApiError::Deadline(deadline)),
    }
}

/// Applies operations (RFC 6902) to one object, in our name.
///
/// # Errors
/// As [`within`].
pub async fn patch<K>(api: &Api<K>, name: &str, ops: Vec<Value>) -> Result<K, ApiError>
where
    K: Clone + DeserializeOwned + Debug,
{
    let patch: json_patch::Patch =
        serde_json::from_value(Value::Array(ops)).map_err(kube::Error::SerdeError)?;
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::<()>::Json(patch);
    within(REQUEST_DEADLINE, api.patch(name, &params, &patch)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_waits_without_bound() {
        let config = bounded(Config::new(http::Uri::from_static("https://localhost")));
        assert!(!config.default_retry);
        assert_eq!(config.connect_timeout, Some(CONNECT_TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_explained() {
        let never = std::future::pending::<kube::Result<()>>();
        let error = within(Duration::from_secs(2), never).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer within 2s");
    }
}
