//! What Events say about objects and the election does not depend on: uids, selectors, labels.
//!
//! The watches note it in passing; nothing is asked for.

use common::contract;
use common::objects::Meta;
use common::service::Service;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The facts, shared by those who note them and who tells them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    /// Labels of the own pod.
    own_labels: Option<BTreeMap<String, String>>,
    /// Services of the group by name.
    services: BTreeMap<String, ServiceFacts>,
    /// Rises with each change.
    version: u64,
}

/// What is known of a Service of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceFacts {
    pub(crate) uid: String,
    /// It has no address of its own.
    pub(crate) headless: bool,
    /// What its user selects by; empty: it is left alone.
    selector: BTreeMap<String, String>,
}

impl ServiceFacts {
    /// Whether its traffic follows the role; one without selector is left alone.
    pub(crate) fn follows(&self) -> bool {
        !self.selector.is_empty()
    }
}

impl Facts {
    /// The own pod was seen.
    pub(crate) fn note_own_pod(&self, pod: &Meta) {
        let mut noted = self.noted();
        if noted.own_labels != pod.labels {
            noted.own_labels.clone_from(&pod.labels);
            noted.version += 1;
        }
    }

    /// The Services of the group are these.
    pub(crate) fn list_services<'a>(&self, services: impl IntoIterator<Item = &'a Service>) {
        let listed = services.into_iter().map(facts_of).collect();
        let mut noted = self.noted();
        noted.services = listed;
        noted.version += 1;
    }

    /// A Service of the group was seen.
    pub(crate) fn note_service(&self, service: &Service) {
        let (name, facts) = facts_of(service);
        let mut noted = self.noted();
        if noted.services.get(&name) != Some(&facts) {
            noted.services.insert(name, facts);
            noted.version += 1;
        }
    }

    /// A Service is gone, or no longer the group's.
    pub(crate) fn lose_service(&self, name: &str) {
        let mut noted = self.noted();
        if noted.services.remove(name).is_some() {
            noted.version += 1;
        }
    }

    /// Changes with whatever is noted.
    pub(crate) fn version(&self) -> u64 {
        self.noted().version
    }

    /// uid of a Service of the group.
    pub(crate) fn service_uid(&self, name: &str) -> Option<String> {
        let noted = self.noted();
        noted.services.get(name).map(|service| service.uid.clone())
    }

    /// Names of the Services of the group, and what is known of them.
    pub(crate) fn services(&self) -> Vec<(String, ServiceFacts)> {
        let services = &self.noted().services;
        services.clone().into_iter().collect()
    }

    /// Whether the Service's own selector leaves the own pod out, if both are known.
    pub(crate) fn leaves_out_own_pod(&self, service: &ServiceFacts) -> bool {
        let noted = self.noted();
        let Some(labels) = &noted.own_labels else {
            return false;
        };
        let mut wanted = service.selector.iter();
        wanted.any(|(key, value)| labels.get(key) != Some(value))
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn facts_of(service: &Service) -> (String, ServiceFacts) {
    let mut selector = service.selector().cloned().unwrap_or_default();
    // Ours, whatever it says.
    selector.remove(contract::POD);
    let facts = ServiceFacts {
        uid: service.metadata.uid.clone(),
        headless: service.is_headless(),
        selector,
    };
    (service.metadata.name.clone(), facts)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    pub(crate) fn service(name: &str, selector: &Value, cluster_ip: &str) -> Service {
        let json = json!({
            "metadata": {"name": name, "uid": format!("{name}-uid"), "resourceVersion": "1"},
            "spec": {"selector": selector, "clusterIP": cluster_ip},
        });
        serde_json::from_value(json).unwrap()
    }

    pub(crate) fn labelled(labels: &Value) -> Meta {
        serde_json::from_value(json!({"labels": labels})).unwrap()
    }

    #[test]
    fn a_selector_is_compared_without_our_own_key() {
        let facts = Facts::default();
        facts.note_service(&service(
            "web",
            &json!({"app": "web", contract::POD: "u-9"}),
            "10.0.0.1",
        ));
        let (_, web) = facts.services().remove(0);
        assert!(!facts.leaves_out_own_pod(&web), "the own pod is not known");
        facts.note_own_pod(&labelled(&json!({"app": "web", "tier": "a"})));
        assert!(!facts.leaves_out_own_pod(&web));
        facts.note_own_pod(&labelled(&json!({"app": "web-2"})));
        assert!(facts.leaves_out_own_pod(&web));
    }

    #[test]
    fn services_come_and_go() {
        let facts = Facts::default();
        let (a, b) = (
            service("a", &json!({"app": "web"}), "None"),
            service("b", &json!(null), ""),
        );
        facts.list_services([&a, &b]);
        assert!(facts.services()[0].1.headless && !facts.services()[1].1.headless);
        assert_eq!(facts.service_uid("b").as_deref(), Some("b-uid"));
        facts.lose_service("b");
        assert_eq!(facts.service_uid("b"), None);
        facts.list_services([]);
        assert!(facts.services().is_empty());
    }
}
