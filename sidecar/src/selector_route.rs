//! A Service that is pointed at the leader by a key in its selector: for where no annotation says so,
//! and nothing derives the key.

use crate::object::{Reading, Unreadable};
use common::contract::NO_POD;
use common::service::Service;
use election::{ServiceView, ServiceWrite};
use serde_json::{Value, json};

/// The Service, and the key and value by which it selects the own pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectorRoute {
    /// Name of the Service.
    pub service: String,
    /// The key, which each pod carries as a label.
    pub key: String,
    /// Its value on the own pod.
    pub value: String,
}

impl SelectorRoute {
    /// The Service as the elector sees it; `uid` is the own pod's.
    pub(crate) fn view(&self, service: &Service, uid: &str) -> Result<ServiceView, Unreadable> {
        let selector = service.selector();
        let selected = selector.and_then(|selector| selector.get(&self.key));
        let pod = selected.map(|value| {
            let own = *value == self.value;
            if own { uid } else { value }.to_owned()
        });
        Ok(ServiceView {
            name: service.metadata.name.clone(),
            version: service.metadata.version()?,
            active: pod.clone(),
            term: None,
            selected: pod,
            has_selector: true,
        })
    }

    /// The patch that points it at the own pod. Other keys of its selector stay.
    pub(crate) fn patch(&self, write: &ServiceWrite) -> Value {
        json!({
            "metadata": {"resourceVersion": write.base.0.to_string()},
            "spec": {"selector": {(&self.key): self.value}},
        })
    }

    /// What a write that points it at nobody is answered: traffic goes on to the last leader until the
    /// next one takes it over.
    pub(crate) fn left(&self, write: &ServiceWrite) -> ServiceView {
        ServiceView {
            name: write.name.clone(),
            version: write.base,
            active: Some(NO_POD.to_owned()),
            term: None,
            selected: Some(NO_POD.to_owned()),
            has_selector: true,
        }
    }
}
