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
    /// Those that bind what they are for.
    bindings: HashMap<Place, Need>,
    /// Annotated Services and their groups.
    services: HashMap<Place, String>,
}

/// A RoleBinding of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Where it is.
    pub place: Place,
    /// The group, its account, and the namespace that it is for. None where neither its name nor its
    /// subject says it.
    pub need: Option<Need>,
    /// Whether it binds this account, and nobody else.
    pub binds: bool,
}

impl Binding {
    fn bound(&self) -> Option<&Need> {
        self.need.as_ref().filter(|_| self.binds)
    }
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
            .get(&(need.namespace.clone(), name))
            .is_some_and(|bound| bound.account.name == need.account.name)
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
    pub fn add_binding(&self, binding: &Binding) {
        if let Some(need) = binding.bound() {
            self.lock()
                .bindings
                .insert(binding.place.clone(), need.clone());
        }
    }

    /// The accounts that are sidecars of a group.
    pub fn sidecars(&self, namespace: &str, group: &str) -> Vec<Need> {
        let state = self.lock();
        let of_group = |(place, need): &(&Place, &Need)| {
            need.namespace == namespace
                && need.group == group
                && place.1 == names::binding(group, &need.account, Role::Sidecar)
        };
        state
            .bindings
            .iter()
            .filter(of_group)
            .map(|(_, need)| need.clone())
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
                let used =
                    |need: &&Need| (&need.namespace, &need.account.name) == (&place.0, &place.1);
                return state.bindings.values().filter(used).cloned().collect();
            }
        }
        Vec::new()
    }

    /// Takes what the watch of bindings saw. Returns whom it concerns: who was bound and may need
    /// the router's role, who is not bound any more by a binding that is there, and whose binding is
    /// gone while its account is not.
    pub fn bindings(&self, seen: Seen<Option<Binding>>) -> Vec<Need> {
        let mut state = self.lock();
        let one = match seen {
            Seen::All(all) => {
                let all: Vec<Binding> = all.into_iter().flatten().collect();
                state.bindings = all
                    .iter()
                    .filter_map(|it| Some((it.place.clone(), it.bound()?.clone())))
                    .collect();
                return all.into_iter().filter_map(|it| it.need).collect();
            }
            Seen::Applied(Some(binding)) => {
                let before = state.bindings.remove(&binding.place);
                if let Some(need) = binding.bound() {
                    state.bindings.insert(binding.place.clone(), need.clone());
                }
                binding.need.or(before)
            }
            Seen::Deleted(Some(binding)) => {
                let before = state.bindings.remove(&binding.place);
                let wanted = |need: &Need| {
                    let place = (need.namespace.clone(), need.account.name.clone());
                    need.account.kind == AccountKind::Custom || state.accounts.contains(&place)
                };
                binding.need.or(before).filter(wanted)
            }
            Seen::Applied(None) | Seen::Deleted(None) => None,
        };
        Vec::from_iter(one)
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

/// A binding as we make them; none for one that is not labelled as ours. Whom it is for is in its
/// name, which nobody can change, and not in its subjects and labels, which somebody can.
pub fn binding(binding: RoleBinding) -> Option<Binding> {
    let place = place(&binding.metadata);
    let labels = binding.metadata.labels.as_ref()?;
    if labels.get(MANAGED_BY.0).map(String::as_str) != Some(MANAGED_BY.1) {
        return None;
    }
    let subject = match binding.subjects.as_deref() {
        Some([one]) if one.kind == "ServiceAccount" && one.namespace.as_ref() == Some(&place.0) => {
            Some(one.name.as_str())
        }
        _ => None,
    };
    let named = names::bound_by(&place.1).map(|(group, account, _)| (group.to_owned(), account));
    let need = named.or_else(|| shortened(&place.1, labels.get(contract::GROUP)?, subject?));
    let need = need.map(|(group, account)| Need {
        namespace: place.0.clone(),
        group,
        account,
    });
    let binds = need
        .as_ref()
        .is_some_and(|need| subject == Some(need.account.name.as_str()));
    Some(Binding { place, need, binds })
}

/// Group and account of a binding whose account's name was too long for its own.
fn shortened(name: &str, group: &str, subject: &str) -> Option<(String, Account)> {
    let account = Account {
        name: subject.to_owned(),
        kind: AccountKind::Custom,
    };
    let is_its_name = |role| names::binding(group, &account, role) == name;
    (is_its_name(Role::Sidecar) || is_its_name(Role::Router)).then(|| (group.to_owned(), account))
}

fn place(metadata: &ObjectMeta) -> Place {
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}
