//! Accounts and bindings of groups.
//!
//! A group's first pod asks for them, and waits; from then on watches say that they exist, and an
//! admission asks nobody. What somebody deletes is made again as long as the other half is there.

pub mod follow;
pub mod known;
mod objects;

use crate::client::{ApiError, post, within};
use crate::metrics::Metrics;
use crate::provision::known::Known;
use inject::names::{self, Role};
use inject::{Account, AccountKind, Injection};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::{Api, Client};
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::time::timeout;

/// How long an admission waits.
const ADMISSION_DEADLINE: Duration = Duration::from_secs(2);
/// Longest wait for one answer of the API server.
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// How long the first admissions wait to hear what exists, which is a third of the requests that it
/// takes to find out by making it.
const LISTED_DEADLINE: Duration = Duration::from_millis(500);
/// Flights that are remembered before those that have landed are forgotten.
const FLIGHTS_MAX: usize = 1024;

/// An account that sidecars of a group run as.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Need {
    /// Namespace of the pods.
    pub namespace: String,
    /// The group.
    pub group: String,
    /// The account.
    pub account: Account,
}

impl Need {
    /// What an injected pod needs.
    pub fn of(injection: &Injection, namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            group: injection.group.to_string(),
            account: injection.account.clone(),
        }
    }
}

/// Names of the ClusterRoles.
#[derive(Debug, Clone)]
pub struct ClusterRoles {
    /// For every sidecar.
    pub sidecar: String,
    /// For those of groups with an annotated Service.
    pub router: String,
}

impl ClusterRoles {
    fn name(&self, role: Role) -> &str {
        match role {
            Role::Sidecar => &self.sidecar,
            Role::Router => &self.router,
        }
    }
}

/// Why an account is not ready.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The API server did not do what it was asked.
    #[error("cannot {action} {name} in namespace {namespace}: {source}")]
    Api {
        /// What was tried.
        action: &'static str,
        /// The object.
        name: String,
        /// Its namespace.
        namespace: String,
        /// What the API server says.
        source: ApiError,
    },
    /// A RoleBinding has the name of ours and binds something else.
    #[error(
        "RoleBinding {name} in namespace {namespace} binds {found} instead of {wanted}, which \
         cannot be changed: delete it, and it is made again"
    )]
    OtherRole {
        /// Name of the binding.
        name: String,
        /// Its namespace.
        namespace: String,
        /// The role that it binds.
        found: String,
        /// The role that it should bind.
        wanted: String,
    },
    /// It took longer than an admission waits.
    #[error("not done within 2s")]
    Deadline,
    /// There are more accounts of groups than anybody needs: somebody makes them up.
    #[error(
        "there are {groups_max} accounts of groups already; delete those that are not needed \
         (kubectl get serviceaccounts -A -l {}={}), or raise --groups-max of the webhook",
        names::MANAGED_BY.0,
        names::MANAGED_BY.1
    )]
    TooMany {
        /// How many there may be.
        groups_max: usize,
    },
}

impl ProvisionError {
    /// Whether trying again changes nothing before somebody does something.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Api { source, .. } => source.is_refusal(),
            Self::OtherRole { .. } | Self::TooMany { .. } => true,
            Self::Deadline => false,
        }
    }
}

/// What bounds the provisioner. Nobody but an API server should ask it for accounts, but it cannot
/// tell who asks.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Namespaces in which it makes nothing.
    pub excluded_namespaces: Vec<String>,
    /// Accounts of groups that it makes in the whole cluster.
    pub groups_max: usize,
}

/// Makes accounts and bindings.
pub struct Provisioner {
    client: Client,
    roles: ClusterRoles,
    bounds: Bounds,
    known: Known,
    /// Whether accounts and bindings have been listed.
    listed: watch::Sender<bool>,
    /// What was lost and is not made again yet.
    owed: Mutex<HashSet<Need>>,
    /// What is being made: the pods of a group come in swarms, and one request is enough.
    flights: Mutex<HashMap<Need, Weak<AsyncMutex<()>>>>,
    metrics: Arc<Metrics>,
}

impl Provisioner {
    /// A provisioner that knows nothing yet.
    pub fn new(client: Client, roles: ClusterRoles, bounds: Bounds, metrics: Arc<Metrics>) -> Self {
        Self {
            client,
            roles,
            bounds,
            known: Known::default(),
            listed: watch::Sender::new(false),
            owed: Mutex::default(),
            flights: Mutex::default(),
            metrics,
        }
    }

    /// Makes sure, for an admission, that the account exists and is bound.
    ///
    /// # Errors
    /// If it is not, after 2 s at most.
    pub async fn ready(&self, need: &Need) -> Result<(), ProvisionError> {
        if self.is_ready(need) {
            return Ok(());
        }
        // Apart, as most reviews do not come here: each connection has room for all that is not.
        let made = Box::pin(async {
            let mut listed = self.listed.subscribe();
            let heard = timeout(LISTED_DEADLINE, listed.wait_for(|listed| *listed));
            if heard.await.is_ok() && self.is_ready(need) {
                return Ok(());
            }
            self.ensure(need).await
        });
        let made = timeout(ADMISSION_DEADLINE, made).await;
        made.unwrap_or(Err(ProvisionError::Deadline))
    }

    /// The API server.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether nothing is made in this namespace.
    pub fn excludes(&self, namespace: &str) -> bool {
        let excluded = &self.bounds.excluded_namespaces;
        excluded.iter().any(|excluded| excluded == namespace)
    }

    /// Whether the account exists, for a dry run, which makes nothing. Not knowing counts as no.
    pub async fn exists(&self, need: &Need) -> bool {
        if self.known.has_account(need) {
            return true;
        }
        let request = Box::pin(async {
            self.accounts(need)
                .get_metadata_opt(&need.account.name)
                .await
        });
        let found = within(ADMISSION_DEADLINE, request).await;
        found.is_ok_and(|found| found.is_some())
    }

    fn is_ready(&self, need: &Need) -> bool {
        let has_account = need.account.kind == AccountKind::Custom || self.known.has_account(need);
        has_account && self.known.has_binding(need, Role::Sidecar)
    }

    /// Makes what is missing for the sidecars of a group.
    async fn ensure(&self, need: &Need) -> Result<(), ProvisionError> {
        let flight = self.flight(need);
        let _turn = flight.lock().await;
        if need.account.kind == AccountKind::Group && !self.known.has_account(need) {
            self.make_account(need).await?;
        }
        if !self.known.has_binding(need, Role::Sidecar) {
            self.bind(need, Role::Sidecar).await?;
        }
        Ok(())
    }

    /// Makes the group's account after the model of the namespace's default one, which the pods
    /// would have run as: with its pull secrets, and as willing to give its token to containers.
    async fn make_account(&self, need: &Need) -> Result<(), ProvisionError> {
        let groups_max = self.bounds.groups_max;
        if self.known.accounts_len() >= groups_max {
            return Err(ProvisionError::TooMany { groups_max });
        }
        let accounts = self.accounts(need);
        let model = self
            .ask("read account", "default", need, async {
                accounts.get_opt("default").await
            })
            .await?;
        let account = objects::account(need, model.as_ref());
        let name = &need.account.name;
        let params = post();
        let create = async { accounts.create(&params, &account).await };
        let labelled = match self.ask("create account", name, need, create).await {
            Ok(_) => {
                self.metrics.provisioned("account");
                let Need {
                    namespace, group, ..
                } = need;
                tracing::info!(namespace, group, "made the group's account");
                true
            }
            Err(ProvisionError::Api { source, .. }) if source.is_conflict() => {
                let get = async { accounts.get_metadata(name).await };
                objects::is_ours(&self.ask("read account", name, need, get).await?.metadata)
            }
            Err(error) => return Err(error),
        };
        // The watch does not see an account of somebody else's making: its end would go unnoticed.
        if labelled {
            self.known.add_account(need);
        }
        Ok(())
    }

    /// Binds the account to one role.
    async fn bind(&self, need: &Need, role: Role) -> Result<(), ProvisionError> {
        let bindings: Api<RoleBinding> = Api::namespaced(self.client.clone(), &need.namespace);
        let wanted = objects::binding(need, role, self.roles.name(role));
        let name = names::binding(&need.group, &need.account, role);
        let params = post();
        let create = async { bindings.create(&params, &wanted).await };
        let bound = match self.ask("create RoleBinding", &name, need, create).await {
            Ok(made) => {
                self.metrics.provisioned("binding");
                let Need {
                    namespace, group, ..
                } = need;
                tracing::info!(namespace, group, name, "bound the group's account");
                made
            }
            Err(ProvisionError::Api { source, .. }) if source.is_conflict() => {
                let get = async { bindings.get(&name).await };
                let found = self.ask("read RoleBinding", &name, need, get).await?;
                if found.role_ref != wanted.role_ref {
                    return Err(ProvisionError::OtherRole {
                        name,
                        namespace: need.namespace.clone(),
                        found: found.role_ref.name,
                        wanted: wanted.role_ref.name,
                    });
                }
                match objects::mended(&found, &wanted) {
                    None => found,
                    Some(mended) => {
                        let replace = async { bindings.replace(&name, &params, &mended).await };
                        self.ask("change RoleBinding", &name, need, replace).await?
                    }
                }
            }
            Err(error) => return Err(error),
        };
        if let Some(binding) = known::binding(bound) {
            self.known.add_binding(&binding);
        }
        Ok(())
    }

    async fn ask<T: Debug>(
        &self,
        action: &'static str,
        name: &str,
        need: &Need,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ProvisionError> {
        within(REQUEST_DEADLINE, request)
            .await
            .map_err(|source| ProvisionError::Api {
                action,
                name: name.to_owned(),
                namespace: need.namespace.clone(),
                source,
            })
    }

    fn accounts(&self, need: &Need) -> Api<ServiceAccount> {
        Api::namespaced(self.client.clone(), &need.namespace)
    }

    fn flight(&self, need: &Need) -> Arc<AsyncMutex<()>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.len() >= FLIGHTS_MAX {
            flights.retain(|_, flight| flight.strong_count() > 0);
        }
        if let Some(flight) = flights.get(need).and_then(Weak::upgrade) {
            return flight;
        }
        let flight = Arc::new(AsyncMutex::new(()));
        flights.insert(need.clone(), Arc::downgrade(&flight));
        flight
    }
}

#[cfg(test)]
mod tests;
