//! A Service whose traffic follows the role, as far as people ask about it.

use common::contract;
use common::objects::Meta;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What stands for the ClusterIP of a headless Service.
const HEADLESS: &str = "None";

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

/// Where the traffic of a Service goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// It has no selector: it is left alone.
    Untouched,
    /// To every pod that it selects: nobody has pointed it anywhere.
    Selector,
    /// To nobody.
    Nobody,
    /// To the pod with this uid.
    Pod(&'a str),
}

impl Service {
    /// The group that its traffic follows.
    pub(crate) fn group(&self) -> Option<&str> {
        self.metadata.annotation(contract::GROUP)
    }

    /// Whether it has no address of its own.
    pub(crate) fn is_headless(&self) -> bool {
        self.spec.cluster_ip.as_deref() == Some(HEADLESS)
    }

    /// Its ClusterIP.
    pub(crate) fn address(&self) -> Option<&str> {
        let address = self.spec.cluster_ip.as_deref();
        address.filter(|address| !address.is_empty() && *address != HEADLESS)
    }

    /// Where its traffic goes.
    pub(crate) fn route(&self) -> Route<'_> {
        match self.spec.selector.as_ref().filter(|it| !it.is_empty()) {
            None => Route::Untouched,
            Some(selector) => match selector.get(contract::POD).map(String::as_str) {
                None => Route::Selector,
                Some(contract::NO_POD) => Route::Nobody,
                Some(uid) => Route::Pod(uid),
            },
        }
    }

    /// Whether what its user selects by leaves this pod out.
    pub(crate) fn leaves_out(&self, pod: &Meta) -> bool {
        let selector = self.spec.selector.iter().flatten();
        let mut wanted = selector.filter(|(key, _)| *key != contract::POD);
        wanted.any(|(key, value)| pod.label(key) != Some(value.as_str()))
    }
}
