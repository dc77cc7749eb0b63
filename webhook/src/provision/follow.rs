//! What watches bring: what exists, what is lost and must be made again, and which groups have an
//! annotated Service and so need the second role.

use crate::provision::known;
use crate::provision::{Need, ProvisionError, Provisioner};
use crate::watch::{MetadataOf, Scope, Whole, follow};
use futures_util::stream::{StreamExt, unfold};
use inject::names::{self, Role};
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Repairs that wait; those that find no room come back with the next list.
const REPAIRS_MAX: usize = 4096;
/// Repairs at once.
const REPAIRS_AT_ONCE: usize = 8;
/// Attempts at one repair.
const ATTEMPTS: u32 = 5;
/// Time between two attempts.
const RETRY: Duration = Duration::from_secs(1);
/// After this, what could not be repaired is tried again.
const AGAIN: Duration = Duration::from_secs(60);

impl Provisioner {
    /// Runs for ever: follows accounts, bindings and Services, and repairs.
    pub async fn follow(self: Arc<Self>) -> Infallible {
        let (repairs, queue) = mpsc::channel(REPAIRS_MAX);
        let (accounts_listed, after_accounts) = watch::channel(false);
        let after_bindings = self.listed.subscribe();
        let follow_bindings = async {
            // Otherwise every binding would seem to have lost its account.
            listed(after_accounts).await;
            self.follow_bindings(&repairs).await
        };
        let follow_services = async {
            listed(after_bindings).await;
            self.follow_services(&repairs).await
        };
        tokio::select! {
            never = self.follow_accounts(&repairs, &accounts_listed) => never,
            never = follow_bindings => never,
            never = follow_services => never,
            never = self.repair_all(queue) => never,
            never = self.remind(&repairs) => never,
        }
    }

    async fn follow_accounts(
        &self,
        repairs: &mpsc::Sender<Need>,
        listed: &watch::Sender<bool>,
    ) -> Infallible {
        let accounts: Api<ServiceAccount> = Api::all(self.client.clone());
        let scope = ours("accounts of groups");
        follow(MetadataOf(accounts), scope, known::account_place, |seen| {
            self.queue(repairs, self.known.accounts(seen));
            listed.send_replace(true);
        })
        .await
    }

    async fn follow_bindings(&self, repairs: &mpsc::Sender<Need>) -> Infallible {
        let bindings: Api<RoleBinding> = Api::all(self.client.clone());
        let scope = ours("bindings of groups");
        follow(Whole(bindings), scope, known::binding, |seen| {
            self.queue(repairs, self.known.bindings(seen));
            self.listed.send_replace(true);
        })
        .await
    }

    async fn follow_services(&self, repairs: &mpsc::Sender<Need>) -> Infallible {
        let services: Api<Service> = Api::all(self.client.clone());
        let scope = Scope {
            what: "annotated Services",
            ..Scope::default()
        };
        follow(MetadataOf(services), scope, known::service_group, |seen| {
            for (namespace, group) in self.known.services(seen) {
                self.queue(repairs, self.known.sidecars(&namespace, &group));
            }
        })
        .await
    }

    fn queue(&self, repairs: &mpsc::Sender<Need>, needs: Vec<Need>) {
        for need in needs.into_iter().filter(|need| self.lacks(need)) {
            let mut owed = self.owed();
            if owed.len() < REPAIRS_MAX {
                owed.insert(need.clone());
            }
            drop(owed);
            if let Err(error) = repairs.try_send(need) {
                tracing::warn!(%error, "too many repairs at once; this one comes again later");
            }
        }
    }

    /// Queues again what is still owed.
    async fn remind(&self, repairs: &mpsc::Sender<Need>) -> Infallible {
        loop {
            tokio::time::sleep(AGAIN).await;
            let owed: Vec<Need> = self.owed().iter().cloned().collect();
            // The receiver lives as long as this does, and a full queue brings the rest next time.
            for need in owed {
                repairs.try_send(need).ok();
            }
        }
    }

    fn owed(&self) -> MutexGuard<'_, HashSet<Need>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lacks(&self, need: &Need) -> bool {
        !self.is_ready(need) || self.lacks_router(need)
    }

    fn lacks_router(&self, need: &Need) -> bool {
        self.known.has_service(need) && !self.known.has_binding(need, Role::Router)
    }

    async fn repair_all(&self, queue: mpsc::Receiver<Need>) -> Infallible {
        let needs = unfold(queue, async |mut queue| Some((queue.recv().await?, queue)));
        needs
            .for_each_concurrent(REPAIRS_AT_ONCE, |need| self.repair(need))
            .await;
        // The queue ends with its senders, which `follow` holds for ever.
        std::future::pending().await
    }

    async fn repair(&self, need: Need) {
        for _ in 0..ATTEMPTS {
            let error = match self.try_repair(&need).await {
                Err(error) if !is_over(&error) => error,
                _ => {
                    self.owed().remove(&need);
                    return;
                }
            };
            let Need {
                namespace, group, ..
            } = &need;
            tracing::error!(namespace, group, %error, "a repair failed");
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn try_repair(&self, need: &Need) -> Result<(), ProvisionError> {
        self.ensure(need).await?;
        if self.lacks_router(need) {
            self.bind(need, Role::Router).await?;
        }
        Ok(())
    }
}

/// In a namespace that is going away, or gone, nothing is to be made.
fn is_over(error: &ProvisionError) -> bool {
    matches!(error, ProvisionError::Api { source, .. }
        if source.is_namespace_ending() || source.is_not_found())
}

fn ours(what: &'static str) -> Scope {
    Scope {
        what,
        labels: Some(names::selector()),
        fields: None,
    }
}

async fn listed(mut first: watch::Receiver<bool>) {
    if first.wait_for(|listed| *listed).await.is_err() {
        std::future::pending::<()>().await;
    }
}
