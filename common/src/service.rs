//! A Service whose traffic follows the role, as far as it is read here.

use crate::contract;
use crate::objects::Meta;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What stands for the ClusterIP of a headless Service.
const HEADLESS: &str = "None";

/// A Service, read from its JSON.
#[derive(Debug, Clone, Deserialize)]
pub struct Service {
    /// `metadata`.
    pub metadata: Meta,
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
pub enum Route<'a> {
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
    pub fn group(&self) -> Option<&str> {
        self.metadata.annotation(contract::GROUP)
    }

    /// What it selects by, our own key among it; `None` if that is nothing.
    pub fn selector(&self) -> Option<&BTreeMap<String, String>> {
        self.spec.selector.as_ref().filter(|it| !it.is_empty())
    }

    /// Whether it has no address of its own: its DNS name then stands for its pods'.
    pub fn is_headless(&self) -> bool {
        self.spec.cluster_ip.as_deref() == Some(HEADLESS)
    }

    /// Its ClusterIP.
    pub fn address(&self) -> Option<&str> {
        let address = self.spec.cluster_ip.as_deref();
        address.filter(|address| !address.is_empty() && *address != HEADLESS)
    }

    /// Where its traffic goes.
    pub fn route(&self) -> Route<'_> {
        match self.selector() {
            None => Route::Untouched,
            Some(selector) => match selector.get(contract::POD).map(String::as_str) {
                None => Route::Selector,
                Some(contract::NO_POD) => Route::Nobody,
                Some(uid) => Route::Pod(uid),
            },
        }
    }

    /// Whether what its user selects by leaves this pod out.
    pub fn leaves_out(&self, pod: &Meta) -> bool {
        let selector = self.selector().into_iter().flatten();
        let mut wanted = selector.filter(|(key, _)| *key != contract::POD);
        wanted.any(|(key, value)| pod.label(key) != Some(value.as_str()))
    }
}
