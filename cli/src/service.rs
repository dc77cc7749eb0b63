//! A Service whose traffic follows the role, as far as people ask about it.

use common::contract;
use common::objects::Meta;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A Service, read from its JSON.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Service {
    pub(crate) metadata: Meta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Spec {
    selector: Option<BTreeMap<String, String>>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
}

impl Service {
    /// The group that its traffic follows.
    pub(crate) fn group(&self) -> Option<&str> {
        self.metadata.annotation(contract::GROUP)
    }

    /// Whether it has a selector: one without is left alone.
    pub(crate) fn has_selector(&self) -> bool {
        self.spec.selector.as_ref().is_some_and(|it| !it.is_empty())
    }

    /// Whether it has no address of its own.
    pub(crate) fn is_headless(&self) -> bool {
        self.address() == Some("None")
    }

    /// Its ClusterIP.
    pub(crate) fn address(&self) -> Option<&str> {
        self.spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty())
    }

    /// uid of the pod that it selects; `None` where it selects by nothing of ours.
    pub(crate) fn selected(&self) -> Option<&str> {
        let selector = self.spec.selector.as_ref()?;
        selector.get(contract::POD).map(String::as_str)
    }

    /// Whether what its user selects by leaves this pod out.
    pub(crate) fn leaves_out(&self, pod: &Meta) -> bool {
        let selector = self.spec.selector.iter().flatten();
        let mut wanted = selector.filter(|(key, _)| *key != contract::POD);
        wanted.any(|(key, value)| pod.label(key) != Some(value.as_str()))
    }
}
