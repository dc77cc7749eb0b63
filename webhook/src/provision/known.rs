//! What is known to exist, so that an admission need not ask the API server.
//!
//! Fed by watches of our own objects and of Services' annotations. Its size follows the number of
//! groups and of annotated Services, not that of pods.

use crate::provision::Need;
use crate::watch::Seen;
use common::contract;
use inject::names::{self, MANAGED_BY, Role};
use inject::{Account, AccountKind};
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::core::{ObjectMeta, PartialObjectMeta};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Namespace and name of an object.
pub type Place = (String, String);

/// The store.
#[derive(Debug, Default)]
pub struct Known {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    accounts: HashSet<Place>,
    bindings: HashMap<Place, Binding>,
    /// Annotated Services and their groups.
    services: HashMap<Place, String>,
}

/// A RoleBinding of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Where it is.
    pub place: Place,
    /// The group, its account, and the namespace.
    pub need: Need,
}

impl Known {
    /// Whether the account exists.
    pub fn has_account(&self, need: &Need) -> bool {
        self.lock()
            .accounts
            .contains(&(need.namespace.clone(), need.account.name.clone()))
    }

    /// How many accounts there are.
    pub fn accounts_len(&self) -> usize {
        self.lock().accounts.len()
    }

    /// Whether the account is bound to this role.
    pub fn has_binding(&self, need: &Need, role: Role) -> bool {
        let name = names::binding(&need.group, &need.account, role);
        self.lock()
            .bindings
            .contains_key(&(need.namespace.clone(), name))
    }

    /// Whether some Service follows the group.
    pub fn has_service(&self, need: &Need) -> bool {
        let state = self.lock();
        let of_group =
            |(place, group): (&Place, &String)| place.0 == need.namespace && *group == need.group;
        state.services.iter().any(of_group)
    }

    /// Notes that the account exists.
    pub fn add_account(&self, need: &Need) {
        self.lock()
            .accounts
            .insert((need.namespace.clone(), need.account.name.clone()));
    }

    /// Notes that a binding exists.
    pub fn add_binding(&self, binding: Binding) {
        self.lock().bindings.insert(binding.place.clone(), binding);
    }

    /// The accounts that are sidecars of a group.
    pub fn sidecars(&self, namespace: &str, group: &str) -> Vec<Need> {
        let state = self.lock();
        let of_group = |binding: &&Binding| {
            let need = &binding.need;
            need.namespace == namespace
                && need.group == group
                && binding.place.1 == names::binding(group, &need.account, Role::Sidecar)
        };
        state
            .bindings
            .values()
            .filter(of_group)
            .map(|binding| binding.need.clone())
            .collect()
    }

    /// Takes what the watch of accounts saw. Returns what is left without its account.
    pub fn accounts(&self, seen: Seen<Place>) -> Vec<Need> {
        let mut state = self.lock();
        match seen {
            Seen::All(all) => state.accounts = all.into_iter().collect(),
            Seen::Applied(place) => {
                state.accounts.insert(place);
            }
            Seen::Deleted(place) => {
                state.accounts.remove(&place);
                let used = |binding: &&Binding| {
                    let need = &binding.need;
                    (&need.namespace, &need.account.name) == (&place.0, &place.1)
                };
                return state
                    .bindings
                    .values()
                    .filter(used)
                    .map(|b| b.need.clone())
                    .collect();
            }
        }
        Vec::new()
    }

    /// Takes what the watch of bindings saw. Returns whom it concerns: who was bound and may need
    /// the router's role, and whose binding is gone while its account is not.
    pub fn bindings(&self, seen: Seen<Option<Binding>>) -> Vec<Need> {
        let mut state = self.lock();
        match seen {
            Seen::All(all) => {
                let all = all.into_iter().flatten();
                state.bindings = all
                    .map(|binding| (binding.place.clone(), binding))
                    .collect();
                state
                    .bindings
                    .values()
                    .map(|binding| binding.need.clone())
                    .collect()
            }
            Seen::Applied(Some(binding)) => {
                let need = binding.need.clone();
                state.bindings.insert(binding.place.clone(), binding);
                vec![need]
            }
            Seen::Deleted(Some(binding)) => {
                state.bindings.remove(&binding.place);
                let need = binding.need;
                let place = (need.namespace.clone(), need.account.name.clone());
                let wanted =
                    need.account.kind == AccountKind::Custom || state.accounts.contains(&place);
                Vec::from_iter(wanted.then_some(need))
            }
            Seen::Applied(None) | Seen::Deleted(None) => Vec::new(),
        }
    }

    /// Takes what the watch of Services saw. Returns namespaces and groups that are routed now.
    pub fn services(&self, seen: Seen<(Place, Option<String>)>) -> Vec<(String, String)> {
        let mut state = self.lock();
        let services = match seen {
            Seen::All(all) => {
                state.services.clear();
                all
            }
            Seen::Applied(service) => vec![service],
            Seen::Deleted((place, _)) => vec![(place, None)],
        };
        let routed = services.into_iter().filter_map(|(place, group)| {
            let Some(group) = group else {
                state.services.remove(&place);
                return None;
            };
            let routed = (place.0.clone(), group.clone());
            state.services.insert(place, group);
            Some(routed)
        });
        routed.collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is valid after every statement: a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where an account is.
pub fn account_place(account: PartialObjectMeta<ServiceAccount>) -> Place {
    place(&account.metadata)
}

/// Where a Service is, and which group it follows.
pub fn service_group(service: PartialObjectMeta<Service>) -> (Place, Option<String>) {
    let group = service
        .metadata
        .annotations
        .as_ref()
        .and_then(|all| all.get(contract::GROUP));
    (place(&service.metadata), group.cloned())
}

/// A binding as we make them; none for one that somebody else put our label on.
pub fn binding(binding: RoleBinding) -> Option<Binding> {
    let place = place(&binding.metadata);
    let labels = binding.metadata.labels.as_ref()?;
    if labels.get(MANAGED_BY.0).map(String::as_str) != Some(MANAGED_BY.1) {
        return None;
    }
    let group = labels.get(contract::GROUP)?.clone();
    let [subject] = binding.subjects.as_deref()? else {
        return None;
    };
    if subject.kind != "ServiceAccount" || subject.namespace.as_ref() != Some(&place.0) {
        return None;
    }
    let own = subject.name == format!("{}{group}", contract::GROUP_ACCOUNT_PREFIX);
    let kind = if own {
        AccountKind::Group
    } else {
        AccountKind::Custom
    };
    let account = Account {
        name: subject.name.clone(),
        kind,
    };
    let need = Need {
        namespace: place.0.clone(),
        group,
        account,
    };
    Some(Binding { place, need })
}

fn place(metadata: &ObjectMeta) -> Place {
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}
