//! The elector's requests: sent to the API server, and their answers put into its terms.

use crate::cause::Causes;
use crate::client::{self, JSON, MERGE_PATCH, NoAnswer, Reply};
use crate::clock::wall_time;
use crate::config::Config;
use crate::doubt::Doubt;
use crate::lease::{self, LastLease, Lease};
use crate::metrics::Metrics;
use crate::object::{self, Unreadable};
use crate::pods;
use crate::refusals::Refusals;
use crate::rights::PodWays;
use crate::routing;
use crate::sight::PodSight;
use common::pod::Pod;
use common::service::Service;
use election::{
    Action, Failure, LeaseWrite, Outcome, PodRole, PodView, PodWrite, RoleLabel, ServiceView,
    ServiceWrite,
};
use http::{Method, StatusCode};
use kube::Client;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Sends the elector's requests. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) client: Client,
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: Arc<Metrics>,
    refusals: Arc<Refusals>,
    ways: Arc<PodWays>,
    doubt: Arc<Doubt>,
    /// The role that was last written, where no label shows it.
    unshown: Arc<AtomicBool>,
}

/// How a request ended.
pub(crate) struct Answer {
    /// In the elector's terms.
    pub(crate) outcome: Outcome,
    /// The Lease that the answer carried: the base of the next write.
    pub(crate) lease: Option<Lease>,
}

/// Why a request did not do what it should.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The API server said so.
    Status(Reply),
    /// Nobody said anything.
    NoAnswer(NoAnswer),
    /// It said yes, in words that cannot be read.
    Unreadable(Unreadable),
    /// What was to be written is no longer what it was read as.
    Outdated,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            lease: None,
        }
    }
}

impl From<Lease> for Answer {
    fn from(lease: Lease) -> Self {
        Self {
            outcome: Outcome::Lease(lease.view.clone()),
            lease: Some(lease),
        }
    }
}

impl Api {
    pub(crate) fn new(
        client: Client,
        config: Arc<Config>,
        metrics: Arc<Metrics>,
        doubt: Arc<Doubt>,
    ) -> Self {
        let refusals = Arc::new(Refusals::default());
        Self {
            client,
            config,
            metrics,
            refusals,
            ways: Arc::default(),
            doubt,
            unshown: Arc::default(),
        }
    }

    /// The future that carries out `action`. Dropping it ends its connection.
    pub(crate) fn perform(
        &self,
        action: Action,
        last: &LastLease,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let api = self.clone();
        let base = match &action {
            Action::WriteLease(write) => write.base.map(|version| last.at(version).cloned()),
            _ => None,
        };
        async move {
            let name = name(&action);
            let done = match action {
                Action::ReadLease => api.read_lease().await,
                Action::WriteLease(write) => match base {
                    // The elector saw that version, and a newer one has come since: a PUT would
                    // be refused for certain.
                    Some(None) => Err(Failed::Outdated),
                    Some(Some(base)) => api.write_lease(&write, Some(&base)).await,
                    None => api.write_lease(&write, None).await,
                },
                Action::ReadPod { name, uid } => api.read_pod(&name, &uid).await,
                Action::WritePod(write) => api.write_pod(&write).await,
                Action::ReadService { name } => api.read_service(&name).await,
                Action::WriteService(write) => api.write_service(&write).await,
            };
            done.unwrap_or_else(|failed| Outcome::Failed(api.failure(name, &failed)).into())
        }
    }

    /// Opens a connection that the next request then finds: by reading the Lease, which is small and
    /// always allowed. What the answer is does not matter; returns whether there was one.
    pub(crate) fn connect(&self) -> impl Future<Output = bool> + Send + use<> {
        let api = self.clone();
        async move {
            let limit = Duration::from_millis(api.config.params.attempt_ms_max());
            let path = api.lease_path();
            let answer = timeout(limit, api.send("connect", Method::GET, &path, None)).await;
            !matches!(answer, Err(_) | Ok(Err(Failed::NoAnswer(_))))
        }
    }

    async fn read_lease(&self) -> Result<Answer, Failed> {
        match self
            .send("read_lease", Method::GET, &self.lease_path(), None)
            .await
        {
            Ok(reply) => Ok(read_lease(&reply)?.into()),
            Err(Failed::Status(reply)) if reply.status == StatusCode::NOT_FOUND => {
                Ok(Outcome::NoLease.into())
            }
            Err(failed) => Err(failed),
        }
    }

    async fn write_lease(
        &self,
        write: &LeaseWrite,
        base: Option<&Value>,
    ) -> Result<Answer, Failed> {
        let body = lease::written(write, base, &self.config, wall_time());
        let (method, path) = match write.base {
            Some(_) => (Method::PUT, self.lease_path()),
            None => (Method::POST, leases_path(&self.config.namespace)),
        };
        let reply = self
            .send("write_lease", method, &path, Some((JSON, &body)))
            .await?;
        Ok(read_lease(&reply)?.into())
    }

    async fn read_pod(&self, name: &str, uid: &str) -> Result<Answer, Failed> {
        let pod = self.get_pod(name).await?;
        if pod.metadata.uid != uid {
            return Ok(Outcome::Failed(Failure::NotFound).into());
        }
        self.pod_outcome(&pod)
    }

    async fn get_pod(&self, name: &str) -> Result<Pod, Failed> {
        let path = self.pod_path(name);
        let nothing = Value::Object(serde_json::Map::new());
        let (method, body) = match self.config.sight.pods {
            PodSight::OwnPatched => (Method::PATCH, Some((MERGE_PATCH, &nothing))),
            _ => (Method::GET, None),
        };
        read(&self.send("read_pod", method, &path, body).await?)
    }

    /// The own pod, if the API server shows it.
    pub(crate) async fn read_own_pod(&self, name: &str) -> Option<PodView> {
        let pod = self.get_pod(name).await.ok()?;
        self.view(&pod).ok()
    }

    fn view(&self, pod: &Pod) -> Result<PodView, Unreadable> {
        let mut view = pods::view(pod, &self.config)?;
        if !self.config.shows_role {
            view.role = match self.unshown.load(Ordering::Relaxed) {
                true => RoleLabel::Active,
                false => RoleLabel::Passive,
            };
        }
        Ok(view)
    }

    async fn write_pod(&self, write: &PodWrite) -> Result<Answer, Failed> {
        if self.config.sight.pods == PodSight::Imagined {
            return Ok(Outcome::Pod(pods::imagined_after(write, &self.config)).into());
        }
        if let Some((role, _)) = write.role.filter(|_| !self.config.shows_role) {
            self.unshown
                .store(role == PodRole::Active, Ordering::Relaxed);
            if !write.own_label {
                return self.pod_outcome(&self.get_pod(&write.name).await?);
            }
        }
        let reply = self.ways.write(self, write).await?;
        self.pod_outcome(&read(&reply)?)
    }

    fn pod_outcome(&self, pod: &Pod) -> Result<Answer, Failed> {
        let view = self.view(pod).map_err(Failed::Unreadable)?;
        let outcome = if self.config.members.has(&pod.metadata) {
            Outcome::Pod
        } else {
            Outcome::PodLeft
        };
        Ok(outcome(view).into())
    }

    /// The Service that is pointed by its selector, if the API server shows it.
    pub(crate) async fn read_routed(&self, name: &str) -> Option<ServiceView> {
        match self.read_service(name).await.ok()?.outcome {
            Outcome::Service(view) => view,
            _ => None,
        }
    }

    async fn read_service(&self, name: &str) -> Result<Answer, Failed> {
        let path = self.service_path(name);
        let reply = self.send("read_service", Method::GET, &path, None).await?;
        self.service_outcome(&reply)
    }

    async fn write_service(&self, write: &ServiceWrite) -> Result<Answer, Failed> {
        let patch = match &self.config.route {
            Some(route) if write.active.is_none() => {
                return Ok(Outcome::Service(Some(route.left(write))).into());
            }
            Some(route) => route.patch(write),
            None => routing::patch(write),
        };
        let path = self.service_path(&write.name);
        let body = Some((MERGE_PATCH, &patch));
        let reply = self
            .send("write_service", Method::PATCH, &path, body)
            .await?;
        self.service_outcome(&reply)
    }

    fn service_outcome(&self, reply: &Reply) -> Result<Answer, Failed> {
        let service: Service = read(reply)?;
        if let Some(route) = &self.config.route {
            let view = route.view(&service, &self.config.params.identity.uid);
            return Ok(Outcome::Service(Some(view.map_err(Failed::Unreadable)?)).into());
        }
        let ours = service.group() == Some(self.config.group.as_str());
        let view = ours
            .then(|| routing::view(&service))
            .transpose()
            .map_err(Failed::Unreadable)?;
        Ok(Outcome::Service(view).into())
    }

    /// Sends one request; every status but 2xx is a failure.
    pub(crate) async fn send(
        &self,
        name: &'static str,
        method: Method,
        path: &str,
        body: Option<(&str, &Value)>,
    ) -> Result<Reply, Failed> {
        let body = body.map(|(kind, json)| (kind, json.to_string().into_bytes()));
        let pending = self.metrics.pending(name);
        let answer = client::call(&self.client, client::request(method, path, body)).await;
        pending.ended(answer.as_ref().ok().map(|reply| reply.status.as_u16()));
        let reply = answer.map_err(Failed::NoAnswer)?;
        if reply.status.is_success() {
            Ok(reply)
        } else {
            Err(Failed::Status(reply))
        }
    }

    /// Says what the elector must know, and tells people about what only they can change.
    fn failure(&self, name: &str, failed: &Failed) -> Failure {
        let reply = match failed {
            Failed::Outdated => return Failure::Conflict,
            Failed::NoAnswer(error) => {
                tracing::debug!(request = name, error = %Causes(error), "no answer");
                return Failure::Lost;
            }
            Failed::Unreadable(error) => {
                tracing::warn!(request = name, %error, "the API server's answer is unreadable");
                return Failure::Lost;
            }
            Failed::Status(reply) => reply,
        };
        let failure = failure(reply.status, reply.retry_after_ms);
        if matches!(failure, Failure::Forbidden | Failure::Refused) {
            self.refusals.tell(name, reply, &self.config);
        }
        if failure == Failure::Forbidden && name.ends_with("_service") {
            self.doubt.raise();
        }
        failure
    }

    fn lease_path(&self) -> String {
        lease_path(&self.config)
    }

    pub(crate) fn pod_path(&self, name: &str) -> String {
        format!("{}/{name}", pods_path(&self.config.namespace))
    }

    fn service_path(&self, name: &str) -> String {
        format!("{}/{name}", services_path(&self.config.namespace))
    }
}

/// Path of the group's Lease.
pub(crate) fn lease_path(config: &Config) -> String {
    format!("{}/{}", leases_path(&config.namespace), config.lease.name)
}

/// Path of the Leases of a namespace.
pub(crate) fn leases_path(namespace: &str) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
}

/// Path of the pods of a namespace.
pub(crate) fn pods_path(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

/// Path of the Services of a namespace.
pub(crate) fn services_path(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/services")
}

fn name(action: &Action) -> &'static str {
    match action {
        Action::ReadLease => "read_lease",
        Action::WriteLease(_) => "write_lease",
        Action::ReadPod { .. } => "read_pod",
        Action::WritePod(_) => "write_pod",
        Action::ReadService { .. } => "read_service",
        Action::WriteService(_) => "write_service",
    }
}

/// What a status that is no success means to the elector.
fn failure(status: StatusCode, retry_after_ms: u64) -> Failure {
    match status.as_u16() {
        404 | 410 => Failure::NotFound,
        409 => Failure::Conflict,
        // 401 lasts until the token file has been read again; 408 was not carried out.
        401 | 408 | 429 | 500..=599 => Failure::Unavailable { retry_after_ms },
        403 => Failure::Forbidden,
        400..=499 => Failure::Refused,
        // Not an API server's answer to any of our requests.
        _ => Failure::Lost,
    }
}

fn read<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<T, Failed> {
    object::read(&reply.body).map_err(Failed::Unreadable)
}

fn read_lease(reply: &Reply) -> Result<Lease, Failed> {
    Lease::read(read(reply)?).map_err(Failed::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_what_the_elector_expects() {
        let check = |code, expected| {
            assert_eq!(
                failure(StatusCode::from_u16(code).unwrap(), 2_000),
                expected,
                "{code}"
            );
        };
        check(409, Failure::Conflict);
        check(404, Failure::NotFound);
        check(403, Failure::Forbidden);
        for code in [400, 422] {
            check(code, Failure::Refused);
        }
        for code in [401, 429, 500, 503, 504] {
            check(
                code,
                Failure::Unavailable {
                    retry_after_ms: 2_000,
                },
            );
        }
        check(302, Failure::Lost);
    }
}
